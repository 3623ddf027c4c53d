import { randomBytes } from 'node:crypto';

import type { Scenario } from '../scenario.ts';
import { signalOfApplication } from '../signals.ts';
import { deliverSlowly } from './deliverSlowly.ts';
import { restartRedis, syncEveryWrite } from './redis.ts';

const WORKERS = 2;
const MAX_RECORDED_AT_ONCE = 20;
const OLDER = '2026-03-01T10:00:00Z';
const NEWER = '2026-03-02T10:00:00Z';

/**
 * Redis is killed while seek tokens are recorded, after that, and while signals are delivered. Each
 * application has two tokens, and the older one must never reach SEEK. Every fifth application has none.
 */
export const seekTokensKept: Scenario = {
  name: 'seek-tokens-kept',
  load: 1,
  inShortRun: true,
  env: { TOKEN_ENCRYPTION_KEYS: randomBytes(32).toString('base64') },
  run: async (environment) => {
    const { producer, workers, redis, concurrency, history, secrets } = environment;
    const { scale, startApi, waitUntil, inBackground } = environment;
    const [secret] = secrets;
    deliverSlowly(environment, 20, 200);
    await syncEveryWrite(environment);
    await startApi();
    const killAndRestartRedis = async () => {
      await redis.kill();
      await restartRedis(environment);
    };

    const applications = Array.from({ length: scale(400, 100) }, (_, number) => ({
      applicationId: `application ${number}`,
      older: `${secret}-older-${number}`,
      newer: `${secret}-newer+${number}`,
      hasTokens: number % 5 !== 0,
    }));
    const left = applications.filter(({ hasTokens }) => hasTokens);
    const recordTokens = async () => {
      for (let one = left.pop(); one !== undefined; one = left.pop()) {
        const { applicationId, older, newer } = one;
        const source = 'linkOut';
        await producer.recordSeekToken(applicationId, { token: newer, source, receivedAt: NEWER });
        await producer.recordSeekToken(applicationId, { token: older, source, receivedAt: OLDER });
      }
    };
    const recording = inBackground(
      Promise.all(Array.from({ length: MAX_RECORDED_AT_ONCE }, recordTokens)),
    );
    await killAndRestartRedis();
    await recording;
    await killAndRestartRedis();
    await producer.enqueueUntilAccepted(
      applications.map(({ applicationId, newer }) => signalOfApplication(applicationId, newer)),
    );
    await workers.start(WORKERS);
    await waitUntil(() => history.arrivals.length > applications.length / 4, 60_000);
    await killAndRestartRedis();

    const withoutToken = new Set(
      applications.filter(({ hasTokens }) => !hasTokens).map(({ newer }) => newer),
    );
    return () => ({
      duplicates: WORKERS * concurrency,
      attempts: 1,
      isSkipAllowed: (mark, reason) => withoutToken.has(mark) && reason === 'no-token',
    });
  },
};
