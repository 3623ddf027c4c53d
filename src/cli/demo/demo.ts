import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { loadConfig } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import { lockFolder } from '../../queue/embedded/folderLock.ts';
import type { SignalInput } from '../../schemas/signal.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { Simulator } from '../../simulator/createSimulator.ts';
import { openEmbeddedQueue, startDevStack } from '../processes/dev.ts';
import { createService } from '../processes/service.ts';
import { createScenes, type Scene } from './scenes.ts';
import { attemptsOf, createScreen, heading, type Screen } from './screen.ts';

const SETTLED_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 50;

/** `seek-signals demo`: a scripted run over sample signals in a temporary folder, explained. */
export const demo = async (env: NodeJS.ProcessEnv): Promise<number> => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-signals-demo-'));
  try {
    return await playIn(folder, env);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const playIn = async (folder: string, env: NodeJS.ProcessEnv): Promise<number> => {
  process.stdout.write('Starting the queue, the simulated SEEK, API, worker and board …\n');
  const config = loadConfig({
    ...{ EMBEDDED_PATH: folder, LOG_LEVEL: env.LOG_LEVEL ?? 'silent' },
    ...{ RETRY_BASE_MS: '400', API_PORT: '0', BOARD_PORT: '0', SIMULATOR_PORT: '0' },
  });
  const logger = createLogger({ level: config.LOG_LEVEL });
  const service = createService(
    await openEmbeddedQueue(config, logger, await lockFolder(folder, {})),
    logger,
    config,
  );
  try {
    const { apiUrl, apiKey, simulator } = await startDevStack(service, config);
    if (simulator === undefined) throw new Error('The demo plays SEEK itself');
    return await play(createApi(apiUrl, apiKey), simulator);
  } finally {
    await service.closers.closeAll();
  }
};

type Check = { what: string; ok: boolean };

const play = async (api: Api, seek: Simulator): Promise<number> => {
  const scenes = createScenes();
  const screen = createScreen(scenes.map(({ title }) => title));
  const checks: Check[] = [];
  for (const scene of scenes) checks.push(await playScene(api, seek, screen, scene));
  screen.end();
  checks.push(await playDuplicate(api, scenes[0]), await playInvalid(api));

  const delivered = scenes.filter(({ ends, redrive }) => ends === 'delivered' || redrive).length;
  const arrived = seek.signals.total();
  checks.push({ what: `SEEK has ${arrived} signals, each once`, ok: arrived === delivered });

  const failed = checks.filter(({ ok }) => !ok);
  process.stdout.write(heading('What to make of it\n'));
  for (const { what, ok } of checks) process.stdout.write(`  ${ok ? 'ok  ' : 'FAIL'} ${what}\n`);
  process.stdout.write(
    failed.length === 0
      ? '\nEvery signal is settled as it should be. `npm start` runs all of this for you to play with.\n'
      : `\n${failed.length} of ${checks.length} did not end as they should.\n`,
  );
  return failed.length === 0 ? 0 : 1;
};

const playScene = async (
  api: Api,
  seek: Simulator,
  screen: Screen,
  scene: Scene,
): Promise<Check> => {
  const { title, story, signal, before, ends, redrive } = scene;
  screen.say(`${heading(title)}\n  ${story}`);
  before?.(seek);
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

type Watch = {
  until: SignalRecord['state'];
  redrives: number;
  onChange: (record: SignalRecord) => void;
};

const watchUntil = async (api: Api, signalId: string, { until, redrives, onChange }: Watch) => {
  const deadline = Date.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const record = await api.find(signalId);
    if (record !== undefined) onChange(record);
    if (record?.state === until && record.redrives >= redrives) return record;
    if (Date.now() > deadline) return record;
    await wait(LOOK_EVERY_MS);
  }
};

const playDuplicate = async (api: Api, first: Scene | undefined): Promise<Check> => {
  process.stdout.write(
    `${heading('the first signal once more')}\n  An ATS that is not sure sends again. The signal is recognised, and not sent twice.\n`,
  );
  const answer = await api.post(first?.signal);
  process.stdout.write(`    HTTP ${answer.status} ${JSON.stringify(answer.body)}\n`);
  return { what: 'the same signal again: a duplicate', ok: answer.body.duplicate === true };
};

const playInvalid = async (api: Api): Promise<Check> => {
  process.stdout.write(
    `${heading('a signal that SEEK would refuse')}\n  It is refused at the door, with every problem named at once.\n`,
  );
  const answer = await api.post({
    typeCode: 'ApplicationStatusUpdate',
    token: 'demo-trailing-space ',
    current: { status: { label: 'Interview', index: -1, total: 3 }, timestamp: 'yesterday' },
  });
  process.stdout.write(`    HTTP ${answer.status} ${JSON.stringify(answer.body)}\n`);
  return { what: 'a wrong signal: refused at the door', ok: answer.status === 422 };
};

/** The HTTP API, as an ATS would call it. */
export const createApi = (apiUrl: string, apiKey: string) => {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };

  const post = async (body: unknown, path = '/signals') => {
    const answer = await fetch(`${apiUrl}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    const answered: Record<string, unknown> = JSON.parse(await answer.text());
    return { status: answer.status, body: answered };
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
      const answer = await fetch(`${apiUrl}/signals/${signalId}`, { headers });
      if (answer.status === 404) return undefined;
      const record: SignalRecord = JSON.parse(await answer.text());
      return record;
    },
  };
};

export type Api = ReturnType<typeof createApi>;
