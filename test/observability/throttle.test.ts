import { createThrottle } from '../../src/observability/logger.ts';

it('tells at once, and then once in so long', () => {
  let now = 0;
  const isDue = createThrottle(10, () => now);
  const told = [0, 0, 9, 10, 11, 19, 20].map((at) => {
    now = at;
    return isDue();
  });

  expect(told).toEqual([true, false, false, true, false, false, true]);
});
