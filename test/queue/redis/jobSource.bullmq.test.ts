import { FlowProducer } from 'bullmq';
import type { TakenJob } from '../../../src/queue/jobSource.ts';
import { idsOf, type JobSourceSetup, MANY, RESULT, useJobSource } from './setupJobSource.ts';

const { setup, client } = useJobSource();

const makeDue = ({ keyOf }: JobSourceSetup, id: string) => client().zadd(keyOf('delayed'), 0, id);

/** Takes and completes until nothing more comes. Resolves with the ids in the order of the takes. */
const drain = async (at: JobSourceSetup): Promise<string[]> => {
  const ids: string[] = [];
  for (let jobs: TakenJob[] = [], hasMore = true; hasMore || jobs.length > 0; ) {
    const exchange = await at.complete(jobs, RESULT, MANY);
    expect(exchange.completed).toEqual(jobs.map(() => true));
    jobs = exchange.taken;
    ids.push(...idsOf(jobs));
    hasMore = exchange.hasMore;
  }
  return ids;
};

describe('BullMQ’s own scripts take jobs', () => {
  it('the queue is paused → no job, until it is resumed', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    const jobs = await at.take(1);
    await at.queue.pause();

    const paused = await at.complete(jobs, RESULT, MANY);

    expect(paused).toEqual({ completed: [true], taken: [], hasMore: false });
    await at.queue.resume();
    expect(await drain(at)).toEqual(['b']);
  });

  it('the global concurrency is reached → no job, until one has ended', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    await at.queue.setGlobalConcurrency(1);

    const first = await at.source.exchange([], MANY);
    const second = await at.source.exchange([], MANY);
    const third = await at.complete(first.taken, RESULT, MANY);

    expect([first, second, third].map(({ taken }) => idsOf(taken))).toEqual([['a'], [], ['b']]);
  });

  it('the rate of the queue is limited → no more jobs than the limit', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    await at.queue.setGlobalRateLimit(2, 60_000);

    const takes = [await at.take(), await at.take(), await at.take()];

    expect(takes.map(idsOf)).toEqual([['a'], ['b'], []]);
  });

  it('a delayed job is due → it waits with the others, and all come', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    await at.add(['late', 'later'], { delay: 60_000 });
    await makeDue(at, 'late');

    expect(await drain(at)).toEqual(['a', 'b', 'late']);
    expect(await at.ids('delayed')).toEqual(['later']);
  });

  it('prioritized jobs wait → they come after the others', async () => {
    const at = await setup();
    await at.add(['low'], { priority: 9 });
    await at.add(['high'], { priority: 1 });
    await at.add(['a', 'b']);

    expect(await drain(at)).toEqual(['a', 'b', 'high', 'low']);
  });

  it('a signal that was retried, or waited for → its dedupe record is written, and its skip record deleted', async () => {
    const at = await setup();
    const ids = ['retried', 'waited-for'];
    for (const id of ids) await client().set(`${at.prefix}:skipped:${id}`, '{}');
    await at.add(['retried']);
    for (const job of await at.take()) await at.source.retry(job, 'TIMEOUT', 60_000);
    await makeDue(at, 'retried');
    await drain(at);
    await at.add(['waited-for']);
    let job: TakenJob | undefined;
    while (job === undefined) job = await at.source.waitForJob();

    await at.complete([job]);

    for (const id of ids) {
      expect([id, (await at.readDedupe(id)).text]).toEqual([id, 'accepted']);
      expect([id, await client().exists(`${at.prefix}:skipped:${id}`)]).toEqual([id, 0]);
    }
  });
});

describe('a job of another program uses a feature of BullMQ → BullMQ completes it', () => {
  it('its own removeOnComplete → it is removed', async () => {
    const at = await setup();
    await at.add(['a'], { removeOnComplete: true });
    await at.add(['b']);

    expect(await drain(at)).toEqual(['a', 'b']);
    expect(await at.ids('completed')).toEqual(['b']);
    await expect(at.queue.getJob('a')).resolves.toBeUndefined();
  });

  it('deduplication → the next job with the same id is accepted', async () => {
    const at = await setup();
    const add = async (jobId: string) =>
      (await at.queue.add('signal', {}, { jobId, deduplication: { id: 'same' } })).id;

    expect([await add('a'), await add('b')]).toEqual(['a', 'a']);
    expect(await drain(at)).toEqual(['a']);
    expect(await add('c')).toBe('c');
  });

  it('a parent → the parent waits for it no more', async () => {
    const at = await setup();
    const flow = new FlowProducer({ connection: client(), prefix: at.prefix });
    const queueName = at.queue.name;
    await flow.add({
      name: 'parent',
      queueName,
      opts: { jobId: 'parent' },
      children: [{ name: 'child', queueName, opts: { jobId: 'child' } }],
    });

    expect(await drain(at)).toEqual(['child', 'parent']);
    await flow.close();
  });

  it('a repetition → BullMQ takes it too, and the next one is scheduled', async () => {
    const at = await setup();
    await at.add(['a']);
    await at.queue.upsertJobScheduler('hourly', { every: 3_600_000 }, { name: 'signal' });
    await at.add(['b', 'c']);
    for (const id of await at.ids('delayed')) await makeDue(at, id);

    const ids = await drain(at);

    expect(ids.filter((id) => !id.startsWith('repeat:'))).toEqual(['a', 'b', 'c']);
    expect(ids).toHaveLength(4);
    expect(await at.ids('delayed')).toEqual([expect.stringMatching(/^repeat:hourly:/)]);
  });

  it('among plain jobs → each of the set completes', async () => {
    const at = await setup();
    await at.add(['a', 'c']);
    await at.add(['b'], { removeOnComplete: true });
    const jobs = await at.take();
    const [a, c, b] = jobs;
    await client().set(at.keyOf('c:lock'), 'another’s');

    const { completed } = await at.complete([a, b, c].flatMap((job) => job ?? []));

    expect(completed).toEqual([true, true, false]);
    expect([await at.ids('completed'), await at.ids('active')]).toEqual([['a'], ['c']]);
  });
});
