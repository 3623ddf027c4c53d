import { singleFlight } from '../../src/runtime/async.ts';

it('runs once for all who ask meanwhile, and anew for who asks later, whatever became of it', async () => {
  let runs = 0;
  const ask = singleFlight(async () => {
    runs += 1;
    if (runs === 1) throw new Error('refused');
    return runs;
  });

  const first = await Promise.allSettled([ask(), ask()]);
  const second = await Promise.all([ask(), ask()]);

  expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(second).toEqual([2, 2]);
});
