import { digestOf } from '../../src/config/apiKey.ts';
import { API_KEY, newToken } from '../support/startDispatcher.ts';
import { complete, useApi } from './apiUnderTest.ts';

const { setup } = useApi();

describe('API keys', () => {
  it.each([
    ['no key', undefined],
    ['a wrong key', 'Bearer wrong'],
    ['a key with an additional character', `Bearer ${API_KEY}x`],
    ['an empty key', 'Bearer '],
    ['another scheme', `Basic ${API_KEY}`],
  ])('%s → 401, and nothing is queued', async (_, authorization) => {
    const { url, status } = await setup();

    const answer = await fetch(`${url}/signals`, {
      method: 'POST',
      headers: authorization === undefined ? {} : { authorization },
      body: JSON.stringify(complete()),
    });

    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect((await status()).counts.waiting).toBe(0);
  });

  it('many wrong keys of one address → 429 with Retry-After, and a valid key still passes', async () => {
    const { url, logs } = await setup();
    const ask = (key?: string) =>
      fetch(`${url}/status`, {
        headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      });

    const wrong: Response[] = [];
    for (let guess = 0; guess < 21; guess += 1) wrong.push(await ask(`guess-${guess}`));

    expect(wrong.map(({ status }) => status)).toEqual([...Array(20).fill(401), 429]);
    expect(Number(wrong.at(-1)?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask(API_KEY)).status).toBe(200);
    expect((await ask()).status).toBe(401);
    expect(logs.text()).not.toContain('guess-');
  });

  it('key with scopes → only the requests of these scopes are allowed', async () => {
    const hash = digestOf('looks').toString('hex');
    const API_KEYS = `ats:${API_KEY},a+enqueue:sends,b+read:sha256=${hash},c+operate:works`;
    const { url, send } = await setup({ env: { API_KEYS }, workers: 0 });
    const { signalId } = await send(complete());
    const token = JSON.stringify({ token: newToken(), source: 'linkOut' });
    const calls: [string, string, string?][] = [
      ['POST', '/signals', JSON.stringify(complete())],
      ['POST', '/signals/batch', '{"signals":[]}'],
      ['PUT', '/applications/a/seek-token', token],
      ['PUT', '/applications/a/candidate-application-profile', '{}'],
      ['PUT', '/positions/p', '{}'],
      ['POST', '/identifiers/batch', '{"identifiers":[]}'],
      ['GET', `/signals/${signalId}`],
      ['GET', '/status'],
      ['GET', '/dead-letters'],
      ['GET', '/applications/a/seek-token'],
      ['GET', '/applications/a/candidate-application-profile'],
      ['GET', '/positions/p'],
      ['POST', '/dead-letters/redrive'],
      ['POST', `/dead-letters/${signalId}/redrive`],
      ['DELETE', `/dead-letters/${signalId}`],
      ['GET', '/dead-letters/export'],
      ['POST', '/dead-letters/import'],
      ['DELETE', '/applications/a/seek-token'],
      ['DELETE', '/applications/a/candidate-application-profile'],
      ['DELETE', '/positions/p'],
    ];
    const mayCall = async (key: string): Promise<boolean[]> => {
      const may: boolean[] = [];
      for (const [method, path, body = null] of calls) {
        const headers = { authorization: `Bearer ${key}` };
        const answer = await fetch(url + path, { method, headers, body });
        await answer.text();
        may.push(answer.status !== 403 && answer.status !== 401);
      }
      return may;
    };
    const allowed = (first: number, last: number) =>
      calls.map((_, at) => at >= first && at <= last);

    expect(await mayCall('sends')).toEqual(allowed(0, 5));
    expect(await mayCall('looks')).toEqual(allowed(6, 11));
    expect(await mayCall('works')).toEqual(allowed(12, 19));
    expect(await mayCall(`sha256=${hash}`)).toEqual(calls.map(() => false));
    expect(await mayCall(API_KEY)).toEqual(calls.map(() => true));
  });

  it('no key → 401 except for health, metrics and the OpenAPI document', async () => {
    const { url } = await setup();
    const publicPaths = ['/health/live', '/health/ready', '/metrics', '/openapi.json'];
    const protectedPaths = [
      '/status',
      '/dead-letters',
      '/signals/x',
      '/dead-letters/x',
      '/nothing',
    ];

    const statuses = (paths: string[]) =>
      Promise.all(paths.map(async (path) => (await fetch(`${url}${path}`)).status));

    expect(await statuses(publicPaths)).toEqual([200, 200, 200, 200]);
    expect(await statuses(protectedPaths)).toEqual([401, 401, 401, 401, 401]);
  });
});
