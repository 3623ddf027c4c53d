import { randomBytes } from 'node:crypto';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import { createSeekTokens } from '../../src/seekTokens/registry.ts';
import { buildSignal } from '../support/buildSignal.ts';
import type { Platform } from '../support/platforms.ts';
import { usePlatform } from '../support/usePlatform.ts';

export const DAY_MS = 86_400_000;
export const ago = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();
export const newKey = (): string => randomBytes(32).toString('base64');

let created = 0;
/** Returns a new id each time. Every id has characters that a path must encode. */
export const newApplication = (): string => {
  created += 1;
  return `application ${created}/ü`;
};

export const tokenPath = (applicationId: string): string =>
  `/applications/${encodeURIComponent(applicationId)}/seek-token`;

/** A signal that names an application and holds no token. */
export const named = (applicationId: string) =>
  buildSignal({ token: undefined, applicationId, current: { ...buildSignal().current } });

/** The registry on a queue, and the cipher that it encrypts with. Without a key, tokens stay unencrypted. */
export const registryWithKeys = (backend: Backend, ...keys: string[]) => {
  const cipher = createTokenCipher(keys.map((key) => Buffer.from(key, 'base64')));
  return { cipher, tokens: createSeekTokens({ store: backend.tokens, cipher, ttlDays: 180 }) };
};

/** Within a `describe`: dispatchers on one platform, with calls for seek tokens. */
export const useSeekTokens = (start: () => Promise<Platform>) => {
  const { setup: setupDispatcher } = usePlatform(start);

  const setup = async (options: Parameters<typeof setupDispatcher>[0] = {}) => {
    const dispatcher = await setupDispatcher(options);
    const { call, backend, seek } = dispatcher;
    return {
      ...dispatcher,
      put: async (applicationId: string, body: object) => {
        const answer = await call('PUT', tokenPath(applicationId), body);
        return {
          status: answer.status,
          warning: answer.headers.get('warning'),
          text: await answer.text(),
        };
      },
      erase: async (applicationId: string) =>
        (await call('DELETE', tokenPath(applicationId))).status,
      /** Everything that both queues hold of a signal. */
      stored: async (signalId: string): Promise<string> => {
        const jobs = await Promise.all(
          ([SIGNALS, DEAD_LETTERS] as const).map(async (name) =>
            (await backend.queue(name)).getJob(signalId),
          ),
        );
        return JSON.stringify(jobs.map((job) => [job?.data, job?.returnvalue, job?.failedReason]));
      },
      sentTokens: () => seek.inputs().map((input) => Reflect.get(Object(input), 'token')),
    };
  };

  return { setup };
};
