import { createJobPool } from '../../src/queue/jobPool.ts';
import type { TakenJob, Wanted } from '../../src/queue/jobSource.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { buildTakenJob, createMemoryJobSource } from '../support/memoryJobSource.ts';
import { settle, useTime } from './setupJobPool.ts';

const MIB = 1024 * 1024;

const { closing } = closeAfterEach();
useTime();

/** The pool holds every job until the test completes it. */
const setup = (jobs: TakenJob[], capacity = 50) => {
  const { source, add, countWaiting } = createMemoryJobSource();
  const wants: Wanted[] = [];
  const { exchange } = source;
  source.exchange = (completions, wanted) => {
    wants.push(wanted);
    return exchange(completions, wanted);
  };
  const { logger } = captureLogs();
  const pool = createJobPool<undefined>({ source, capacity, logger });
  const held: TakenJob[] = [];
  closing.push(() => {
    for (const job of held) pool.release(job);
    return pool.close();
  });
  add(...jobs);
  return {
    pool,
    wants,
    add,
    countWaiting,
    start: async () => {
      pool.start(async (taken) => void held.push(...taken));
      await settle();
    },
    held: () => held.filter(pool.holds).map(({ id }) => id),
    complete: async (count: number) => {
      for (const job of held.filter(pool.holds).slice(0, count)) pool.complete(job, {}, undefined);
      await settle();
    },
  };
};

const jobsOf = (count: number, bytes = 100): TakenJob[] =>
  Array.from({ length: count }, (_, n) => buildTakenJob({ id: `${n}`, lock: `lock ${n}`, bytes }));

describe('capacity', () => {
  it.each([
    { allowed: 0, takes: 0 },
    { allowed: 1, takes: 1 },
    { allowed: 50, takes: 50 },
    // The breaker never allows more than the worker was configured with.
    { allowed: 80, takes: 50 },
  ])('$allowed of 50 → $takes jobs of 120 are held', async ({ allowed, takes }) => {
    const { pool, start, held, countWaiting } = setup(jobsOf(120));
    pool.setCapacity(allowed);

    await start();

    expect([held().length, countWaiting()]).toEqual([takes, 120 - takes]);
  });

  it('lowered while jobs are held → none is taken until fewer are held than it allows', async () => {
    const { pool, start, held, complete } = setup(jobsOf(60), 10);
    await start();

    pool.setCapacity(1);
    await complete(9);
    expect(held()).toEqual(['9']);
    await complete(1);

    expect(held()).toEqual(['10']);
  });

  it('raised from 0 → jobs are taken at once', async () => {
    const { pool, start, held } = setup(jobsOf(3));
    pool.setCapacity(0);
    await start();
    expect(held()).toEqual([]);

    pool.setCapacity(50);
    await settle();

    expect(held()).toEqual(['0', '1', '2']);
  });

  it('jobs complete → as many are taken in the same exchange', async () => {
    const { start, wants, complete, held } = setup(jobsOf(60), 10);
    await start();

    await complete(4);

    expect(wants.map(({ jobs }) => jobs)).toEqual([10, 4]);
    expect(held()).toHaveLength(10);
  });

  it('capacity of 250 → at most 100 jobs are taken at a time', async () => {
    const { start, wants, held } = setup(jobsOf(240), 250);

    await start();

    expect(Math.max(...wants.map(({ jobs }) => jobs))).toBe(100);
    expect(held()).toHaveLength(240);
  });
});

describe('bytes held', () => {
  it('jobs of 3 MiB → a fourth is not taken, because three are over the bound of 8 MiB', async () => {
    const { start, held } = setup(jobsOf(6, 3 * MIB));

    await start();

    expect(held()).toEqual(['0', '1', '2']);
  });

  it('a large job has ended → another is taken', async () => {
    const { start, held, complete } = setup(jobsOf(6, 3 * MIB));
    await start();

    await complete(1);

    expect(held()).toEqual(['1', '2', '3']);
  });

  it('a large job was lost → another is taken', async () => {
    const lost = buildTakenJob({ id: 'lost', bytes: 9 * MIB });
    const { start, held, pool } = setup([lost, ...jobsOf(1)]);
    await start();
    expect(held()).toEqual(['lost']);

    pool.release(lost);
    await settle();

    expect(held()).toEqual(['0']);
  });

  it('a job over the bound by itself → is taken, alone', async () => {
    const { start, held } = setup(jobsOf(3, 9 * MIB));

    await start();

    expect(held()).toEqual(['0']);
  });

  it('small jobs of 400 KiB → at most 1 MiB is taken at a time, 8 MiB altogether', async () => {
    const { start, wants, held } = setup(jobsOf(40, 400 * 1024));

    await start();

    expect(Math.max(...wants.map(({ bytes }) => bytes))).toBe(MIB);
    expect(held().length * 400 * 1024).toBeLessThanOrEqual(8 * MIB + 400 * 1024);
    expect(held().length * 400 * 1024).toBeGreaterThan(7 * MIB);
  });

  it('jobs that fill the bound exactly → the queue is not asked for more', async () => {
    const { start, wants, held } = setup(jobsOf(20, MIB));
    await start();
    const asked = wants.length;

    await settle();

    expect(held()).toHaveLength(8);
    expect(wants).toHaveLength(asked);
    expect(wants.every(({ bytes }) => bytes > 0)).toBe(true);
  });
});
