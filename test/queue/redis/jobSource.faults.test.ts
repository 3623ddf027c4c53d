import { idsOf, MANY, RESULT, useJobSource } from './setupJobSource.ts';

const { setup, client } = useJobSource();

describe('an exchange that is repeated because its answer was lost', () => {
  it('→ its jobs complete once, it reports that they have, and takes the next ones', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c', 'd']);
    const jobs = await at.take(2);
    await at.complete(jobs, RESULT, { ...MANY, jobs: 1 });
    const before = await client().hgetall(at.keyOf('a'));

    const repeated = await at.complete(jobs, RESULT, { ...MANY, jobs: 1 });

    expect([repeated.completed, idsOf(repeated.taken)]).toEqual([[true, true], ['d']]);
    expect(await client().hgetall(at.keyOf('a'))).toEqual(before);
    expect(await client().zcard(at.keyOf('completed'))).toBe(2);
    // No process holds it. It comes back when its lock expires.
    expect((await at.ids('active')).sort()).toEqual(['c', 'd']);
    expect(await client().pttl(at.keyOf('c:lock'))).toBeGreaterThan(0);
  });

  it('another worker has completed the job with another result → reports that it has not', async () => {
    const at = await setup();
    await at.add(['a']);
    const jobs = await at.take();
    await at.complete(jobs, { outcome: 'skipped' });

    expect((await at.complete(jobs)).completed).toEqual([false]);
  });
});

describe('Redis refuses', () => {
  it('it is full → jobs complete, and others are taken', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    const jobs = await at.take(2);
    await client().config('SET', 'maxmemory', '1kb');

    const { completed, taken } = await at.complete(jobs, RESULT, MANY);
    const last = await at.complete(taken, RESULT, MANY);

    expect([completed, idsOf(taken)]).toEqual([[true, true], ['c']]);
    expect(last.completed).toEqual([true]);
    expect((await at.ids('completed')).sort()).toEqual(['a', 'b', 'c']);
  });

  it('it is full, and no job was completed → the first jobs are taken', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    await client().config('SET', 'maxmemory', '1kb');

    expect(idsOf(await at.take())).toEqual(['a', 'b']);
  });

  it('a command of the script → the exchange rejects', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    const jobs = await at.take();
    await client().set(at.keyOf('completed'), 'no sorted set');

    await expect(at.complete(jobs, RESULT, MANY)).rejects.toThrow('WRONGTYPE');
  });

  it('a command of the script, while it takes → jobs that completed have, and every job is in a list', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    const jobs = await at.take(1);
    await client().del(at.keyOf('marker'));
    await client().set(at.keyOf('marker'), 'no sorted set');

    await expect(at.complete(jobs, RESULT, MANY)).rejects.toThrow('WRONGTYPE');

    expect(await at.ids('completed')).toEqual(['a']);
    expect([...(await at.ids('active')), ...(await at.ids('wait'))].sort()).toEqual(['b', 'c']);
    await client().del(at.keyOf('marker'));
    expect((await at.complete(jobs)).completed).toEqual([true]);
  });

  it('a key in the waiting list is no job → it is left to its lock, and the others are taken', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    await client().set(at.keyOf('b'), 'no hash');

    const jobs = await at.take();

    expect(idsOf(jobs)).toEqual(['a', 'c']);
    expect((await at.complete(jobs)).completed).toEqual([true, true]);
    expect(await at.ids('active')).toEqual(['b']);
  });

  it('the hash of a waiting job is gone, or its data is no JSON → taken, without data', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    await client().del(at.keyOf('a'));
    await client().hset(at.keyOf('b'), 'data', '{"half');

    const jobs = await at.take();

    expect(jobs.map(({ id, data }) => [id, data])).toEqual([
      ['a', undefined],
      ['b', undefined],
      ['c', { jobId: 'c' }],
    ]);
  });
});
