import { type Job, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { SIGNALS } from '../../src/queue/backend.ts';
import { isObject } from '../../src/schemas/json.ts';
import { onRedis } from '../support/platforms.ts';
import { after, delivered, type RecordedRequest, slow } from '../support/scriptedSeek.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';
import { gate, inputOf } from './deliveryPathHelpers.ts';
import { many } from './setupDeadLetters.ts';

const CONCURRENCY = 12;
const env = { WORKER_CONCURRENCY: String(CONCURRENCY) };

const closing: (() => Promise<unknown>)[] = [];
// Before the connection that they share is closed.
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
const { setup: setupDispatcher } = usePlatform(onRedis);

const setup = async (options: Parameters<typeof setupDispatcher>[0] = {}) => {
  const dispatcher = await setupDispatcher({ workers: 0, env, ...options });
  const queue = await dispatcher.openBackend().bullQueue(SIGNALS);
  const { connection, prefix = '' } = queue.opts;
  if (!(connection instanceof Redis)) throw new Error('Expected a connection of ioredis');
  const tokens = (requests: RecordedRequest[]) => requests.map((request) => inputOf(request).token);

  return {
    ...dispatcher,
    queue,
    sendMany: async (count: number) => {
      const sent = await dispatcher.sendAll(many(count));
      return sent.map(({ signalId }) => signalId);
    },
    sentTokens: () => tokens(dispatcher.seek.requests),
    /** Starts a worker of BullMQ, with its defaults. Resolves with what it has processed. */
    startBullWorker: (process: (job: Job) => Promise<unknown>) => {
      const worker = new Worker(SIGNALS, process, { connection, prefix, concurrency: 5 });
      worker.on('error', () => {});
      closing.push(() => worker.close());
      return worker;
    },
    /** The fields of each job that Redis stores, and the type of each that BullMQ reads. */
    readShapes: async (ids: string[]) => {
      return Promise.all(
        ids.map(async (id) => {
          const job = await queue.getJob(id);
          const fields = await connection.hgetall(queue.toKey(id));
          const isLocked = await connection.exists(queue.toKey(`${id}:lock`));
          return JSON.stringify({
            stored: Object.keys(fields).sort(),
            read: Object.entries(job?.asJSON() ?? {}).map(([name, value]) => [name, typeof value]),
            result: Object.keys(isObject(job?.returnvalue) ? job.returnvalue : {}),
            attempts: [job?.attemptsMade, job?.attemptsStarted, job?.stalledCounter],
            state: await job?.getState(),
            isLocked,
          });
        }),
      );
    },
  };
};

describe('a worker of BullMQ on the same queue', () => {
  it('both drain it → each signal is completed once, by one of them, and all jobs look alike', async () => {
    const subject = await setup({ answers: () => slow(5, delivered()) });
    const { queue, sendMany, startWorker, startBullWorker, sentTokens, readShapes } = subject;
    const ids = await sendMany(400);
    const byBullmq: string[] = [];
    const bullWorker = startBullWorker(async ({ id = '', data }) => {
      byBullmq.push(id);
      await new Promise(setImmediate);
      return { outcome: 'delivered', attempt: { token: data.signal.token } };
    });
    await bullWorker.waitUntilReady();

    await startWorker();
    await waitFor(async () => (await queue.getCompletedCount()) === ids.length);

    const tokens = sentTokens();
    const others = ids.filter((id) => !byBullmq.includes(id));
    expect([byBullmq.length > 0, others.length > 0]).toEqual([true, true]);
    expect(byBullmq.length + tokens.length).toBe(ids.length);
    expect(new Set(byBullmq).size).toBe(byBullmq.length);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(await queue.getJobCounts('waiting', 'active', 'delayed', 'failed')).toEqual({
      waiting: 0,
      active: 0,
      delayed: 0,
      failed: 0,
    });
    const [shape] = await readShapes(byBullmq.slice(0, 1));
    expect(new Set(await readShapes(ids))).toEqual(new Set([shape]));
    for (const id of others) expect((await subject.find(id))?.state).toBe('delivered');
  });

  it('it waits for jobs while ours does → signals that come one by one are each completed once', async () => {
    const { queue, send, startWorker, startBullWorker, sentTokens } = await setup();
    const byBullmq: string[] = [];
    const bullWorker = startBullWorker(async ({ id = '' }) => void byBullmq.push(id));
    await bullWorker.waitUntilReady();
    await startWorker();

    for (let sent = 1; sent <= 30; sent += 1) {
      const [signal = {}] = many(1);
      await send(signal);
      await waitFor(async () => (await queue.getCompletedCount()) === sent);
    }

    expect(byBullmq.length + sentTokens().length).toBe(30);
    expect(new Set([...byBullmq, ...sentTokens()]).size).toBe(30);
  });
});

describe('BullMQ’s queue, while ours drains it', () => {
  it('→ shows each signal by itself: its state, its data, and what became of it', async () => {
    const { open, opened } = gate();
    const { queue, sendMany, startWorker, sentTokens } = await setup({
      answers: (_, number) => (number <= 20 ? undefined : after(opened, delivered())),
    });
    const ids = await sendMany(60);
    const readAll = async () => {
      const jobs = await queue.getJobs(['active', 'completed', 'waiting']);
      return Promise.all(jobs.map(async (job) => ({ job, state: await job.getState() })));
    };

    await startWorker();
    await waitFor(async () => (await queue.getCompletedCount()) === 20);
    await waitFor(() => sentTokens().length === 20 + CONCURRENCY);
    const jobs = await readAll();

    expect(jobs.map(({ job }) => job.id).sort()).toEqual([...ids].sort());
    const inState = (state: string) => jobs.filter((each) => each.state === state);
    expect(['completed', 'active', 'waiting'].map((state) => inState(state).length)).toEqual([
      20,
      CONCURRENCY,
      60 - 20 - CONCURRENCY,
    ]);
    for (const { job } of jobs) expect(job.data.signal.typeCode).toBe('ApplicationComplete');
    for (const { job } of inState('completed')) {
      expect(job).toMatchObject({
        returnvalue: { outcome: 'delivered', attempt: { outcome: 'delivered' } },
        attemptsMade: 1,
        finishedOn: expect.any(Number),
      });
    }
    for (const { job } of inState('active')) {
      expect(job).toMatchObject({ processedOn: expect.any(Number), attemptsStarted: 1 });
      expect([job.returnvalue, job.finishedOn]).toEqual([null, undefined]);
    }
    open();
    await waitFor(async () => (await queue.getCompletedCount()) === 60);
  });

  it('pauses, and resumes → no signal is taken meanwhile, and none is lost', async () => {
    const { queue, sendMany, startWorker, sentTokens } = await setup({
      answers: () => slow(5, delivered()),
    });
    await sendMany(200);
    await startWorker();
    await waitFor(() => sentTokens().length >= 30);

    await queue.pause();
    await waitFor(async () => (await queue.getActiveCount()) === 0);
    const sent = sentTokens().length;
    const { waiting = 0 } = await queue.getJobCounts('waiting');
    expect(sent + waiting).toBe(200);
    expect(sentTokens()).toHaveLength(sent);
    await queue.resume();
    await waitFor(async () => (await queue.getCompletedCount()) === 200);

    expect(new Set(sentTokens()).size).toBe(200);
    expect(sentTokens()).toHaveLength(200);
  });
});
