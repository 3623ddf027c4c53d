import type { Stage } from '../environment.ts';
import { take } from '../verdicts.ts';

/** SEEK takes everything, at its leisure, so that there is always something under way. */
export const takeSlowly = ({ seek, random }: Stage, leastMs: number, mostMs: number): void =>
  seek.behave((request) => {
    const [first = ''] = request.marks;
    return take(request, random.of(first, request.nth).between(leastMs, mostMs));
  });
