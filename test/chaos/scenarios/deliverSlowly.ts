import type { Environment } from '../environment.ts';
import { deliver } from '../replies.ts';

/** SEEK processes everything, with delays, so that some requests are always in flight. */
export const deliverSlowly = (
  { seek, random }: Environment,
  minDelayMs: number,
  maxDelayMs: number,
): void =>
  seek.replyWith((request) => {
    const [first = ''] = request.marks;
    return deliver(request, random.of(first, request.nth).between(minDelayMs, maxDelayMs));
  });
