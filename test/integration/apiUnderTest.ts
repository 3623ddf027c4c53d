import { buildApplicationComplete } from '../support/buildSignal.ts';
import { onRedis } from '../support/platforms.ts';
import { API_KEY, newToken, type startDispatcher } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';

export const OTHER_KEY = 'key-of-the-careers-site';

export const complete = () => buildApplicationComplete({ token: newToken() });

/** Starts Redis for the tests of a file. `setup` starts an API with two keys, which is stopped after each test. */
export const useApi = () => {
  const { setup: startApi, stop } = usePlatform(onRedis);

  const setup = async ({ env = {}, ...options }: Parameters<typeof startDispatcher>[1] = {}) => {
    const API_KEYS = `ats:${API_KEY},careers:${OTHER_KEY}`;
    const dispatcher = await startApi({ workers: 0, env: { API_KEYS, ...env }, ...options });

    return {
      ...dispatcher,
      post: (path: string, body: string | Uint8Array<ArrayBuffer>, headers: object = {}) =>
        fetch(`${dispatcher.url}${path}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${API_KEY}`, ...headers },
          body,
        }),
    };
  };

  return { setup, stop };
};
