import { spawn } from 'node:child_process';
import { Redis } from 'ioredis';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { signalJobOptions } from '../../src/queue/jobOptions.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { buildApplicationComplete, buildSignalJob } from '../support/buildSignal.ts';
import { buildCommands, type Commands } from '../support/commands.ts';
import { expireLocks } from '../support/expireLocks.ts';
import type { Platform } from '../support/platforms.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import {
  delivered,
  hang,
  json,
  type RecordedRequest,
  refused,
  type ScriptedAnswer,
} from '../support/scriptedSeek.ts';
import { startDispatcher } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const SCRIPT = new URL('./dyingWorker.js', import.meta.url).pathname;
const NEWER = 'of-a-newer-version';
const DEATH_TIMEOUT_MS = 30_000;

let redis: RedisServer;
let client: Redis;
let commands: Commands;
let count = 0;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  [redis, commands] = await Promise.all([startRedis(), buildCommands()]);
  client = new Redis(redis.url);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(async () => {
  client.disconnect();
  await commands.stop();
  await redis.stop();
});

type Kind = { kind: string; token: string };

/** Signals of each outcome. The kind is in the token. */
const KINDS: Kind[] = [
  ...['flaky', 'plain', 'plain', 'forbidden', 'plain', 'skipped', 'plain', 'plain', 'flaky'],
  ...['plain', 'plain', 'forbidden', 'plain', 'plain', 'skipped', 'plain', 'plain', 'plain'],
].map((kind, n) => ({ kind, token: `${kind}-${n}` }));

const toSignal = ({ kind, token }: Kind) =>
  kind === 'skipped'
    ? buildApplicationComplete({ token: undefined, applicationId: token })
    : buildApplicationComplete({ token });

const tokensOf = ({ text }: RecordedRequest): string[] =>
  [...text.matchAll(/"token":"([^"]+)"/g)].map(([, token = '']) => token);

/** SEEK refuses `forbidden`, and fails once for each `flaky`. Counts the signals that it has accepted. */
const createSeek = () => {
  const accepted = new Map<string, number>();
  const failed = new Set<string>();

  const answer = (request: RecordedRequest): ScriptedAnswer => {
    const tokens = tokensOf(request);
    const flaky = tokens.filter((token) => token.startsWith('flaky') && !failed.has(token));
    for (const token of flaky) failed.add(token);
    if (flaky.length > 0) return json({ message: 'Service Unavailable' }, { status: 503 });
    if (tokens.some((token) => token.startsWith('forbidden'))) return refused('FORBIDDEN');
    for (const token of tokens) accepted.set(token, (accepted.get(token) ?? 0) + 1);
    return delivered();
  };
  return { answer, accepted };
};

type Options = { batchSize?: number; sendsFirst?: boolean };

const setup = async ({ batchSize = 1, sendsFirst = true }: Options = {}) => {
  count += 1;
  const prefix = `{test-${count}}`;
  const env = {
    QUEUE_PREFIX: prefix,
    BATCH_SIZE: String(batchSize),
    BATCH_LINGER_MS: '1',
    WORKER_CONCURRENCY: '12',
  };
  const platform: Platform = {
    open: (config, profile, logger) =>
      openRedis({ ...queueOptions(config), url: redis.url, profile, logger }),
    clear: async () => {},
    stop: async () => {},
  };
  const script = createSeek();
  const dispatcher = await startDispatcher(platform, { answers: script.answer, env, workers: 0 });
  closing.push(dispatcher.stop);
  const queue = await dispatcher.openBackend().queue(SIGNALS);
  const signals: (Kind & { id: string })[] = [];
  const send = async (): Promise<void> => {
    const sent = await dispatcher.sendAll(KINDS.map(toSignal));
    signals.push(...KINDS.map((kind, n) => ({ ...kind, id: sent[n]?.signalId ?? '' })));
    const newer = { ...buildSignalJob(), version: 99 };
    await queue.add('New', newer, signalJobOptions(NEWER, Date.now()));
  };
  if (sendsFirst) await send();

  /** Starts a worker that dies at this point: a call, its number, and `before` or `after` it. */
  const startDying = (point: string) => {
    const timing = { RETRY_BASE_MS: '5', RETRY_MAX_MS: '40', DELIVERY_SUSPEND_MAX_MS: '40' };
    return startScript(point, {
      ...dispatcher.seek.env,
      ...env,
      ...timing,
      SHUTDOWN_TIMEOUT_MS: '1',
    });
  };

  /** Starts another worker. It takes what the dead one held at once. Resolves with the ids of that. */
  const drain = async (): Promise<string[]> => {
    const active = await client.lrange(`${prefix}:${SIGNALS}:active`, 0, -1);
    for (const name of [SIGNALS, DEAD_LETTERS]) await expireLocks(client, prefix, name);
    await dispatcher.startWorker();
    return active;
  };
  return { ...dispatcher, queue, script, signals, send, startDying, drain };
};

type Setup = Awaited<ReturnType<typeof setup>>;

const startScript = (point: string, env: Record<string, string>) => {
  const child = spawn(process.execPath, [SCRIPT, `${commands.folder}/dist`, ...point.split(' ')], {
    env: { ...env, REDIS_URL: redis.url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  closing.push(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return {
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    untilWaiting: () => waitFor(() => output.includes('Waits for a job')),
    untilDead: async () => {
      const hasEnded = () => child.signalCode ?? child.exitCode ?? undefined;
      const ended = await waitFor(() => hasEnded() !== undefined && `${hasEnded()}`, {
        timeoutMs: DEATH_TIMEOUT_MS,
        what: `death at ${point}; the worker wrote ${output}`,
      });
      expect([point, ended, ended === 'SIGKILL' || output]).toEqual([point, 'SIGKILL', true]);
    },
  };
};

const END_OF_KIND: Record<string, 'delivered' | 'dead' | 'skipped'> = {
  plain: 'delivered',
  flaky: 'delivered',
  forbidden: 'dead',
  skipped: 'skipped',
};

/** Each signal ends as it should, and SEEK has accepted twice only what the dead worker held. */
const expectNothingLost = async (
  { signals, until, untilDeadLettered, script, queue, deadLetters }: Setup,
  active: string[],
): Promise<void> => {
  for (const { id, kind } of signals) {
    if (kind === 'forbidden') await untilDeadLettered(id);
    else await until(id, END_OF_KIND[kind] ?? 'delivered');
  }
  expect(await deadLetters()).toHaveLength(2);
  for (const { id, kind, token } of signals) {
    const times = script.accepted.get(token) ?? 0;
    const once = END_OF_KIND[kind] === 'delivered' ? 1 : 0;
    expect([token, times]).toEqual([token, active.includes(id) && times === 2 ? 2 : once]);
  }
  // Only a worker of that version may end it.
  await waitFor(async () => (await queue.getJobState(NEWER)) === 'delayed');
  expect((await queue.getJob(NEWER))?.data).toMatchObject({ version: 99 });
};

describe('a worker is killed', () => {
  const CALLS = [
    ...['jobs.take 1', 'jobs.confirm 1', 'jobs.settle 1', 'jobs.settle 2'],
    ...['jobs.retry 1', 'jobs.fail 1', 'jobs.delay 1'],
    ...['jobData.write 1', 'bookkeeping.saveSkipRecord 1', 'bookkeeping.markUnsent 1'],
    ...['bookkeeping.recordOutcomes 1', 'log 1', 'store.removeFinished 1', 'deadLetterJobs.fail 1'],
  ];
  const POINTS = CALLS.flatMap((call) => [`${call} before`, `${call} after`]);

  it.each(POINTS.map((point, n) => ({ point, batchSize: n % 4 < 2 ? 1 : 5 })))(
    '$point, in batches of $batchSize → nothing is lost, and only what it held may be sent twice',
    async ({ point, batchSize }) => {
      const subject = await setup({ batchSize });

      await subject.startDying(point).untilDead();

      await expectNothingLost(subject, await subject.drain());
    },
  );

  it('after it has waited for a job and taken it → nothing is lost', async () => {
    const subject = await setup({ sendsFirst: false });
    const worker = subject.startDying('jobs.waitForJob 1 after');
    await worker.untilWaiting();

    await subject.send();
    await worker.untilDead();

    await expectNothingLost(subject, await subject.drain());
  });

  it.each([
    { when: 'arrives', batchSize: 1 },
    { when: 'arrives', batchSize: 5 },
    { when: 'is answered', batchSize: 1 },
    { when: 'is answered', batchSize: 5 },
  ])(
    'when its third request $when at SEEK, in batches of $batchSize → nothing is lost',
    async ({ when, batchSize }) => {
      const subject = await setup({ batchSize });
      const { seek, script } = subject;
      let requests = 0;
      seek.answerWith((request) => {
        const answer = script.answer(request);
        requests += 1;
        if (requests !== 3) return answer;
        if (when === 'arrives') worker.kill('SIGKILL');
        return (response, socket) => {
          response.once('finish', () => worker.kill('SIGKILL'));
          answer(response, socket);
        };
      });

      const worker = subject.startDying('never 0 before');
      await worker.untilDead();

      await expectNothingLost(subject, await subject.drain());
    },
  );

  it.each(['before', 'after'])(
    'during a stop, %s the first aborted signal is requeued → nothing is lost',
    async (when) => {
      const subject = await setup();
      const { seek, script } = subject;
      seek.answerWith(() => hang());
      const worker = subject.startDying(`jobs.requeue 1 ${when}`);
      await waitFor(() => seek.requests.length >= 10);

      worker.kill('SIGTERM');
      await worker.untilDead();
      seek.answerWith(script.answer);

      await expectNothingLost(subject, await subject.drain());
    },
  );
});
