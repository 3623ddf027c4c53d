import { deliver, refuse, tooManyRequests } from '../replies.ts';
import type { Scenario } from '../scenario.ts';

const WORKERS = 2;
const MAX_PER_SECOND = 20;
const MAX_ATTEMPTS = 3;

/** SEEK limits the rate, then rejects every request for a while. No signal dies of it. */
export const rateLimited: Scenario = {
  name: 'rate-limited',
  load: 1,
  inShortRun: true,
  env: { RETRY_MAX_ATTEMPTS: String(MAX_ATTEMPTS) },
  run: async (environment) => {
    const { producer, workers, buildSignals, seek, history, concurrency } = environment;
    const { scale, pause, startApi, verify } = environment;
    seek.replyWith((request) => {
      const recent = history.since(Date.now() - 1_000).filter(({ processed }) => processed).length;
      return recent < MAX_PER_SECOND ? deliver(request, 20) : refuse('RATE_LIMITED');
    });
    await startApi();
    await workers.start(WORKERS);
    await producer.enqueueUntilAccepted(buildSignals(scale(200, 50)));
    await pause(scale(10_000, 3_000));
    seek.replyWith(tooManyRequests);
    await producer.enqueueUntilAccepted(buildSignals(20));
    await pause(scale(10_000, 4_000));
    seek.replyWith((request) => deliver(request, 20));

    const maxRejected = 5 * WORKERS * concurrency;
    return () => {
      const rejected = history.arrivals.filter(({ reply }) => reply === 'RATE_LIMITED').length;
      verify(
        rejected <= maxRejected,
        `SEEK rejected ${rejected} requests as RATE_LIMITED; at most ${maxRejected} are expected`,
      );
      return { maxAttempts: MAX_ATTEMPTS };
    };
  },
};
