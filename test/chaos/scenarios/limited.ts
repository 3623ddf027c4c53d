import { refused } from '../../support/scriptedSeek.ts';

import type { Scenario } from '../scenario.ts';
import { refuse, take } from '../verdicts.ts';

const WORKERS = 2;
const PER_SECOND = 20;

/** SEEK takes so many requests a second and for a while none: nobody may die of that. */
export const rateLimited: Scenario = {
  ...{ name: 'rate-limited', load: 1, inShort: true, env: { RETRY_MAX_ATTEMPTS: '3' } },
  play: async (stage) => {
    const { ats, crew, makeSignals, seek, history, scale, last, startApi, concurrency } = stage;
    const none = {
      ...{ name: 'RATE_LIMITED', took: false },
      answer: refused('RATE_LIMITED', { status: 429, headers: { 'retry-after': '1' } }),
    };
    seek.behave((request) => {
      const lately = history.since(Date.now() - 1_000).filter(({ took }) => took).length;
      return lately < PER_SECOND ? take(request, 20) : refuse('RATE_LIMITED');
    });
    await startApi();
    await crew.hire(WORKERS);
    await ats.insist(makeSignals(scale(200, 50)));
    await last(scale(10_000, 3_000));
    seek.behave(() => none);
    await ats.insist(makeSignals(20));
    await last(scale(10_000, 4_000));
    seek.behave((request) => take(request, 20));

    const few = 5 * WORKERS * concurrency;
    return () => {
      const limited = history.arrivals.filter(({ verdict }) => verdict === 'RATE_LIMITED').length;
      stage.demand(limited <= few, `${limited} requests too many; few are ${few}`);
      return { maxAttempts: 3 };
    };
  },
};
