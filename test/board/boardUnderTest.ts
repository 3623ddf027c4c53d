import { Queue, UnrecoverableError, Worker } from 'bullmq';

import { createBoard } from '../../src/board/createBoard.ts';
import type { PagesDeps } from '../../src/board/pages/routes.ts';

import { startRedis } from '../support/redisServer.ts';
import { waitFor } from '../support/waitFor.ts';

export const TOKEN = 'seek-token+of/one&application%20only';
export const DEAD_LETTER = '5b1f6c1e-0000-5000-8000-000000000001';
export const RETRYING = '5b1f6c1e-0000-5000-8000-000000000002';

export const LOGIN = { username: 'opérateur', password: 'mot:de passe' };

export const VIEWER = { username: 'viewer', password: 'view-only' };

/** The pages of an empty queue. */
export const EMPTY_PAGES: PagesDeps = {
  status: async () => ({
    counts: { waiting: 0, active: 0, retrying: 0, delivered: 0, skipped: 0, dead: 0 },
    backlog: 0,
    workers: 1,
    delivery: { state: 'running' },
  }),
  workerStats: { read: async () => ({ buckets: [], workers: [], now: Date.now() }) },
  newestDeadLetters: async () => [],
  find: async () => undefined,
  search: async () => [],
  redrive: async () => ({ kind: 'not-found' }),
  log: () => {},
};

export const basic = ({ username, password } = LOGIN) =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

const job = {
  version: 4,
  acceptedAt: '2026-07-01T00:00:00.000Z',
  signal: { typeCode: 'ApplicationComplete', token: TOKEN },
};

/** A board over its own Redis, which holds one failed dead letter and one retrying signal. */
export const startBoard = async () => {
  const redis = await startRedis();
  const options = { connection: { url: redis.url }, prefix: '{seek}' };
  const signals = new Queue('signals', options);
  const deadLetters = new Queue('dead-letters', options);
  const logged: Record<string, unknown>[] = [];
  const redrivers: [string, string][] = [];
  // A dead letter with a `returnvalue` completes, as after a redrive. Any other fails with its reason.
  const worker = new Worker(
    'dead-letters',
    async ({ data }) => {
      if (data.returnvalue) return data.returnvalue;
      throw new UnrecoverableError(data.reason);
    },
    options,
  );

  const board = (readOnly = false) => {
    const app = createBoard({
      signals,
      deadLetters,
      pages: EMPTY_PAGES,
      noteRedriver: async (signalId, by) => {
        redrivers.push([signalId, by]);
      },
      accounts: [
        { ...LOGIN, readOnly },
        { ...VIEWER, readOnly: true },
      ],
      log: (fields, message) => logged.push({ ...fields, message }),
    });
    return (method: string, path: string, headers: Record<string, string> = {}) =>
      app.request(`http://board.test${path}`, {
        method,
        headers: { host: 'board.test', authorization: basic(), ...headers },
      });
  };

  const moveToDeadLetters = async (id: string, data: unknown) => {
    const deadLetter = await deadLetters.add('dead-letter', data, { jobId: id });
    await waitFor(async () => ['failed', 'completed'].includes(await deadLetter.getState()));
    return deadLetter;
  };

  const reset = async () => {
    await signals.obliterate({ force: true });
    await deadLetters.obliterate({ force: true });
    logged.length = 0;
    redrivers.length = 0;
    await signals.add('ApplicationComplete', job, { jobId: RETRYING, delay: 3_600_000 });
    await moveToDeadLetters(DEAD_LETTER, { job, reason: `/input/token: Is not valid: ${TOKEN}` });
  };

  return {
    board,
    request: board(),
    signals,
    deadLetters,
    worker,
    logged,
    redrivers,
    moveToDeadLetters,
    reset,
    stop: async () => {
      await Promise.all([worker.close(), signals.close(), deadLetters.close()]);
      await redis.stop();
    },
  };
};

export type BoardUnderTest = Awaited<ReturnType<typeof startBoard>>;
