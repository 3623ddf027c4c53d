import { singleFlight } from '../../src/runtime/async.ts';

it('singleFlight: concurrent calls share one run, also if it fails; a later call starts a new run', async () => {
  let runs = 0;
  const call = singleFlight(async () => {
    runs += 1;
    if (runs === 1) throw new Error('refused');
    return runs;
  });

  const first = await Promise.allSettled([call(), call()]);
  const second = await Promise.all([call(), call()]);

  expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(second).toEqual([2, 2]);
});
