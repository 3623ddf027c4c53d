import fc from 'fast-check';
import { createJobPool } from '../../src/queue/jobPool.ts';
import type { JobSource, TakenJob } from '../../src/queue/jobSource.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { buildTakenJob, createMemoryJobSource } from '../support/memoryJobSource.ts';
import { settle, useTime } from './setupJobPool.ts';

const { closing } = closeAfterEach();
useTime();

/** Work lasts until `end` is called. Work on a job with a capital as its id runs alone. */
const setup = (doubles: Partial<JobSource> = {}) => {
  const queue = createMemoryJobSource(doubles);
  const { logger } = captureLogs();
  const pool = createJobPool<undefined>({ source: queue.source, capacity: 50, logger });
  const jobs = new Map<string, TakenJob>();
  const running: string[] = [];
  const endWork = new Map<string, (err?: Error) => void>();

  let isClosing = false;
  closing.push(() => {
    isClosing = true;
    for (const end of endWork.values()) end();
    return pool.close();
  });

  const work = ({ id }: TakenJob): Promise<boolean> => {
    if (isClosing) return Promise.resolve(true);
    running.push(id);
    return new Promise<boolean>((resolve, reject) => {
      endWork.set(id, (err) => {
        endWork.delete(id);
        running.splice(running.indexOf(id), 1);
        if (err === undefined) resolve(true);
        else reject(err);
      });
    });
  };
  const runOne = async (job: TakenJob): Promise<void> => {
    const isAlone = job.id === job.id.toUpperCase();
    const hasRun = isAlone ? await pool.runAlone(job, () => work(job)) : await work(job);
    if (hasRun) pool.complete(job, {}, undefined);
    else await pool.requeue(job);
  };
  const start = () => pool.start(async (taken) => void (await Promise.all(taken.map(runOne))));

  return {
    ...queue,
    pool,
    start,
    add: (ids: string) => {
      const added = [...ids].map((id) => buildTakenJob({ id, lock: `lock ${id}` }));
      for (const job of added) jobs.set(job.id, job);
      queue.add(...added);
    },
    jobOf: (id: string): TakenJob => jobs.get(id) ?? buildTakenJob({ id }),
    running: () => running.join(''),
    end: async (id: string, err?: Error) => {
      endWork.get(id)?.(err);
      await settle();
    },
    /** How each job ended, in the order of their ends. */
    endsOf: () => queue.ends.map(([how, id]) => `${id} ${how}`),
  };
};

describe('runAlone', () => {
  it('jobs of one set → work alone waits for the others', async () => {
    const { add, start, running, end, endsOf } = setup();
    add('abX');
    start();
    await settle();
    const seen = [running()];

    for (const id of ['a', 'b', 'X']) {
      await end(id);
      seen.push(running());
    }

    expect(seen).toEqual(['ab', 'b', 'X', '']);
    expect(endsOf()).toEqual(['a complete', 'b complete', 'X complete']);
  });

  it('while it waits and while it runs → no job is taken, and after it the next ones are', async () => {
    const { add, start, running, end, countWaiting } = setup();
    add('aX');
    start();
    await settle();

    add('bc');
    const waiting = [];
    for (const id of ['a', 'X']) {
      await settle();
      waiting.push(countWaiting());
      await end(id);
    }

    expect(waiting).toEqual([2, 2]);
    expect(running()).toBe('bc');
  });

  it('job that was taken just before → goes back to the queue and is not run beside it', async () => {
    let hand = (): void => {};
    const waitForJob = () =>
      new Promise<TakenJob | undefined>((resolve) => {
        hand = () => resolve(takeOne());
      });
    const { add, start, running, end, endsOf, takeOne, pool } = setup({
      waitForJob,
      stopWaiting: async () => hand(),
    });
    add('a');
    start();
    await settle();
    add('X');
    await end('a');
    expect(running()).toBe('X');

    add('b');
    hand();
    await settle();

    expect(running()).toBe('X');
    expect(endsOf()).toEqual(['a complete', 'b requeue']);
    await end('X');
    await pool.close();
    expect(endsOf()).toEqual(['a complete', 'b requeue', 'X complete']);
  });

  it('two jobs at once → the second is not run', async () => {
    const { add, start, running, end, endsOf } = setup();
    add('XY');
    start();
    await settle();

    expect(running()).toBe('X');
    expect(endsOf()).toEqual(['Y requeue']);
    await end('X');
    expect(endsOf()).toEqual(['Y requeue', 'X complete']);
  });

  it('work that rejects → other jobs are taken again', async () => {
    const { add, start, running, end, pool, jobOf } = setup();
    add('X');
    start();
    await settle();

    await end('X', new Error('bug'));
    add('a');
    await settle();

    expect([running(), pool.holds(jobOf('X'))]).toEqual(['a', false]);
    await end('a');
  });

  it('job lost while it waits → does not wait for the others', async () => {
    const { add, start, running, end, pool, jobOf } = setup();
    add('abX');
    start();
    await settle();

    pool.release(jobOf('X'));
    await settle();

    expect(running()).toBe('abX');
    await end('X');
    for (const id of 'ab') await end(id);
  });

  it('any order, in sets of any size → work alone never runs beside other work, and all jobs end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([...'abcdefXYZ'], { minLength: 9 }),
        fc.infiniteStream(fc.nat(8)),
        async (ids, choices) => {
          const { add, start, running, end, endsOf } = setup();
          const left = [...ids];
          const choose = (): number => choices.next().value ?? 0;
          start();
          while (left.length > 0 || running() !== '') {
            const present = [...running()];
            if (/[XYZ]/.test(running())) expect(present).toHaveLength(1);
            if (left.length > 0 && (present.length === 0 || choose() % 2 === 0)) {
              add(left.splice(0, 1 + (choose() % 4)).join(''));
              await settle();
            } else {
              await end(present[choose() % present.length] ?? '');
            }
          }
          expect(endsOf().map(([id]) => id)).toHaveLength(9);
        },
      ),
      { numRuns: 50 },
    );
  });
});
