import { randomBytes } from 'node:crypto';

import type { Scenario } from '../scenario.ts';
import { nameApplication } from '../signals.ts';
import { takeSlowly } from './takeSlowly.ts';

const WORKERS = 2;
const AT_ONCE = 20;
const OLDER = '2026-03-01T10:00:00Z';
const NEWER = '2026-03-02T10:00:00Z';

/**
 * Redis dies between the tokens and the signals that are to go with them, and again while those are on
 * their way. Each application has two tokens, of which one is never to be seen at SEEK; every fifth has none.
 */
export const tokensKept: Scenario = {
  ...{ name: 'tokens-kept', load: 1, inShort: true },
  env: { TOKEN_ENCRYPTION_KEYS: randomBytes(32).toString('base64') },
  play: async (stage) => {
    const { ats, crew, client, redis, scale, startApi, concurrency, history, secrets } = stage;
    const [secret] = secrets;
    takeSlowly(stage, 20, 200);
    await client.config('SET', 'appendfsync', 'always');
    await startApi();
    const restart = async () => {
      await redis.kill();
      await redis.restart();
      await client.config('SET', 'appendfsync', 'always');
    };

    const applications = Array.from({ length: scale(400, 100) }, (_, number) => ({
      applicationId: `application ${number}`,
      ...{ older: `${secret}-older-${number}`, newer: `${secret}-newer+${number}` },
      hasTokens: number % 5 !== 0,
    }));
    const recording = stage.meanwhile(
      (async () => {
        const left = applications.filter(({ hasTokens }) => hasTokens);
        const record = async () => {
          for (let one = left.pop(); one !== undefined; one = left.pop()) {
            const { applicationId, older, newer } = one;
            const source = 'linkOut';
            await ats.record(applicationId, { token: newer, source, receivedAt: NEWER });
            await ats.record(applicationId, { token: older, source, receivedAt: OLDER });
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, record));
      })(),
    );
    await restart();
    await recording;
    await restart();
    await ats.insist(applications.map((one) => nameApplication(one.applicationId, one.newer)));
    await crew.hire(WORKERS);
    await stage.until(() => history.arrivals.length > applications.length / 4, 60_000);
    await restart();

    const without = new Set(applications.filter((one) => !one.hasTokens).map((one) => one.newer));
    return () => ({
      ...{ duplicates: WORKERS * concurrency, attempts: 1 },
      maySkip: (mark, reason) => without.has(mark) && reason === 'no-token',
    });
  },
};
