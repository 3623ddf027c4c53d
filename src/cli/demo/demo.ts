import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { loadConfig } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import { lockFolder } from '../../queue/embedded/folderLock.ts';
import { printableJson } from '../../runtime/printable.ts';
import type { SignalInput } from '../../schemas/signal.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { Simulator } from '../../simulator/createSimulator.ts';
import { printText } from '../io/output.ts';
import { openEmbeddedQueue, startDevStack } from '../processes/dev.ts';
import { createService } from '../processes/service.ts';
import { createScenes, type Scene } from './scenes.ts';
import { attemptsOf, createScreen, heading, type Screen } from './screen.ts';

const OUTCOME_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 50;

/** `seek-signals demo`: sends sample signals to the simulator, in a temporary folder, and explains each step. */
export const demo = async (env: NodeJS.ProcessEnv): Promise<number> => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-signals-demo-'));
  try {
    return await runIn(folder, env);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const runIn = async (folder: string, env: NodeJS.ProcessEnv): Promise<number> => {
  process.stdout.write('Starting the queue, the simulator, the API, a worker and the board …\n');
  const config = loadConfig({
    EMBEDDED_PATH: folder,
    LOG_LEVEL: env.LOG_LEVEL ?? 'silent',
    RETRY_BASE_MS: '400',
    API_PORT: '0',
    BOARD_PORT: '0',
    SIMULATOR_PORT: '0',
  });
  const logger = createLogger({ level: config.LOG_LEVEL });
  const service = createService(
    await openEmbeddedQueue(config, logger, await lockFolder(folder, {})),
    logger,
    config,
  );
  try {
    const { apiUrl, apiKey, simulator } = await startDevStack(service, config);
    if (simulator === undefined) {
      throw new Error('The demo needs the simulator, which startDevStack did not start');
    }
    return await runScenes(createApi(apiUrl, apiKey), simulator);
  } finally {
    await service.closers.closeAll();
  }
};

type DemoCheck = { what: string; ok: boolean };

const runScenes = async (api: Api, simulator: Simulator): Promise<number> => {
  const scenes = createScenes();
  const screen = createScreen(scenes.map(({ title }) => title));
  const checks: DemoCheck[] = [];
  for (const scene of scenes) checks.push(await runScene(api, simulator, screen, scene));
  screen.end();
  checks.push(await sendDuplicate(api, scenes[0]), await sendInvalid(api));

  const delivered = scenes.filter(({ ends, redrive }) => ends === 'delivered' || redrive).length;
  const arrived = simulator.signals.total();
  checks.push({ what: `SEEK received ${arrived} signals, each once`, ok: arrived === delivered });

  const failed = checks.filter(({ ok }) => !ok);
  process.stdout.write(heading('Result\n'));
  for (const { what, ok } of checks) process.stdout.write(`  ${ok ? 'ok  ' : 'FAIL'} ${what}\n`);
  process.stdout.write(
    failed.length === 0
      ? '\nEvery signal ended as expected. `npm start` runs the same for you to try.\n'
      : `\n${failed.length} of ${checks.length} checks failed.\n`,
  );
  return failed.length === 0 ? 0 : 1;
};

const runScene = async (
  api: Api,
  simulator: Simulator,
  screen: Screen,
  scene: Scene,
): Promise<DemoCheck> => {
  const { title, story, signal, before, ends, redrive } = scene;
  screen.say(`${heading(title)}\n  ${story}`);
  before?.(simulator);
  const signalId = await api.send(signal);
  const watch = (until: SignalRecord['state'], redrives: number) =>
    watchUntil(api, signalId, {
      until,
      redrives,
      onChange: (record) => screen.show(title, record),
    });

  let record = await watch(ends, 0);
  if (redrive !== undefined && record?.state === 'dead') {
    screen.say(`  ${redrive}`);
    await api.redrive(signalId);
    record = await watch('delivered', 1);
  }
  const expected = redrive === undefined ? ends : 'delivered';
  const what = `${title}: ${record === undefined ? 'unknown' : `${record.state} after ${attemptsOf(record)}`}`;
  return { what, ok: record?.state === expected };
};

type WatchOptions = {
  until: SignalRecord['state'];
  redrives: number;
  onChange: (record: SignalRecord) => void;
};

const watchUntil = async (
  api: Api,
  signalId: string,
  { until, redrives, onChange }: WatchOptions,
) => {
  const deadline = Date.now() + OUTCOME_TIMEOUT_MS;
  for (;;) {
    const record = await api.find(signalId);
    if (record !== undefined) onChange(record);
    if (record?.state === until && record.redrives >= redrives) return record;
    if (Date.now() > deadline) return record;
    await wait(POLL_INTERVAL_MS);
  }
};

const sendDuplicate = async (api: Api, first: Scene | undefined): Promise<DemoCheck> => {
  process.stdout.write(
    `${heading('the first signal again')}\n  An ATS that got no answer sends the signal again. The queue recognises the duplicate.\n`,
  );
  const response = await api.post(first?.signal);
  printText(`    HTTP ${response.status} ${printableJson(response.body)}\n`);
  return { what: 'the same signal again: a duplicate', ok: response.body.duplicate === true };
};

const sendInvalid = async (api: Api): Promise<DemoCheck> => {
  process.stdout.write(
    `${heading('an invalid signal')}\n  The API rejects it, and names every problem at once.\n`,
  );
  const response = await api.post({
    typeCode: 'ApplicationStatusUpdate',
    token: 'demo-trailing-space ',
    current: { status: { label: 'Interview', index: -1, total: 3 }, timestamp: 'yesterday' },
  });
  printText(`    HTTP ${response.status} ${printableJson(response.body)}\n`);
  return { what: 'an invalid signal: rejected with 422', ok: response.status === 422 };
};

/** A client of the HTTP API, as an ATS would write it. */
const createApi = (apiUrl: string, apiKey: string) => {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };

  const post = async (body: unknown, path = '/signals') => {
    const response = await fetch(`${apiUrl}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    const parsed: Record<string, unknown> = JSON.parse(await response.text());
    return { status: response.status, body: parsed };
  };

  return {
    post,
    send: async (signal: SignalInput): Promise<string> => {
      const { status, body } = await post(signal);
      if (status !== 202) throw new Error(`Not accepted: HTTP ${status} ${JSON.stringify(body)}`);
      return String(body.signalId);
    },
    redrive: async (signalId: string): Promise<void> => {
      const { status } = await post({}, `/dead-letters/${signalId}/redrive`);
      if (status !== 202) throw new Error(`Not redriven: HTTP ${status}`);
    },
    find: async (signalId: string): Promise<SignalRecord | undefined> => {
      const response = await fetch(`${apiUrl}/signals/${signalId}`, { headers });
      if (response.status === 404) return undefined;
      const record: SignalRecord = JSON.parse(await response.text());
      return record;
    },
  };
};

type Api = ReturnType<typeof createApi>;
