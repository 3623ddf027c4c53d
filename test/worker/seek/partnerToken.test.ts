import { type HttpAnswer, NoAnswerError } from '../../../src/worker/seek/http.ts';
import { createPartnerToken, PartnerTokenError } from '../../../src/worker/seek/partnerToken.ts';

const SECRET = 'client-s3cret';

const answer = (access_token: unknown, expires_in: unknown = 1_800): HttpAnswer => ({
  status: 200,
  body: JSON.stringify({ access_token, expires_in, token_type: 'Bearer' }),
});

type Reply = HttpAnswer | Error | Promise<HttpAnswer>;

/** A token endpoint that answers `token-1`, `token-2` and so on after the given replies. */
const setup = (...replies: Reply[]) => {
  const clock = { now: 1_000 };
  const posts: { url: string; headers: Record<string, string>; body: string }[] = [];
  const failures: unknown[] = [];
  const partnerToken = createPartnerToken({
    http: {
      post: async ({ url, headers, body }) => {
        posts.push({ url, headers, body });
        const reply = replies[posts.length - 1] ?? answer(`token-${posts.length}`);
        if (reply instanceof Error) throw reply;
        return reply;
      },
    },
    authUrl: 'https://auth.example/oauth/token',
    audience: 'https://graphql.example',
    credentials: () => ({ clientId: 'client-1', clientSecret: SECRET }),
    userAgent: 'test/1.2.3',
    onFailure: (err) => failures.push(err),
    now: () => clock.now,
  });

  return { ...partnerToken, posts, failures, clock };
};

const createPendingAnswer = () => {
  let release: (answer: HttpAnswer) => void = () => {};
  const promise = new Promise<HttpAnswer>((resolve) => {
    release = resolve;
  });
  return { promise, release };
};

const times = <T>(count: number, make: () => Promise<T>) =>
  Promise.all(Array.from({ length: count }, make));

describe('request for a partner token', () => {
  it('→ is a JSON body with the client credentials, sent with our user agent', async () => {
    const { get, posts } = setup();

    await expect(get()).resolves.toBe('token-1');

    expect(posts).toEqual([
      {
        url: 'https://auth.example/oauth/token',
        headers: {
          'accept-encoding': 'identity',
          'content-type': 'application/json',
          'user-agent': 'test/1.2.3',
        },
        body: JSON.stringify({
          audience: 'https://graphql.example',
          client_id: 'client-1',
          client_secret: SECRET,
          grant_type: 'client_credentials',
        }),
      },
    ]);
  });

  it('answered → peek returns the token until it expires', async () => {
    const { peek, get, clock } = setup();

    expect(peek()).toBeUndefined();
    await get();
    expect(peek()).toBe('token-1');
    clock.now += 365 * 24 * 3_600_000;
    expect(peek()).toBeUndefined();
  });

  it('fifty callers at once → one request', async () => {
    const slow = createPendingAnswer();
    const { get, posts } = setup(slow.promise);

    const all = times(50, get);
    slow.release(answer('shared'));

    expect(new Set(await all)).toEqual(new Set(['shared']));
    expect(posts).toHaveLength(1);
  });

  it('fails → all fifty callers reject, and the next call sends a new request', async () => {
    const { get, posts } = setup(new NoAnswerError('request failed: ECONNREFUSED'));

    const all = await Promise.allSettled(Array.from({ length: 50 }, get));

    expect(new Set(all.map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(posts).toHaveLength(1);
    await expect(get()).resolves.toBe('token-2');
  });
});

describe('answer with a token', () => {
  const given = { access_token: 'given', expires_in: 1_800 };

  it.each<{ what: string; reply: Partial<HttpAnswer> }>([
    ...[201, 202, 203, 299].map((status) => ({ what: `HTTP ${status}`, reply: { status } })),
    { what: 'a byte order mark', reply: { body: `\ufeff${JSON.stringify(given)}` } },
    {
      what: 'an infinite lifetime',
      reply: { body: '{"access_token":"given","expires_in":1e999}' },
    },
    { what: 'no token type', reply: {} },
    { what: 'no lifetime', reply: { body: '{"access_token":"given"}' } },
    ...['bearer', 'BEARER', '', null].map((token_type) => ({
      what: `token type ${token_type}`,
      reply: { body: JSON.stringify({ ...given, token_type }) },
    })),
    {
      what: 'white space around the token',
      reply: { body: JSON.stringify({ ...given, access_token: ' given\n' }) },
    },
    {
      what: 'other members',
      reply: { body: JSON.stringify({ ...given, error: null, scope: 7, refresh_token: {} }) },
    },
  ])('$what → the token is used', async ({ reply }) => {
    const { get, peek } = setup({ status: 200, body: JSON.stringify(given), ...reply });

    await expect(get()).resolves.toBe('given');
    expect(peek()).toBe('given');
  });
});

describe('cached partner token', () => {
  it.each([
    { expiresIn: 1_800, cachedMs: 1_740_000 },
    { expiresIn: 86_400, cachedMs: 86_340_000 },
    { expiresIn: 121, cachedMs: 61_000 },
    // Two minutes or less: half the lifetime.
    { expiresIn: 120, cachedMs: 60_000 },
    { expiresIn: 60, cachedMs: 30_000 },
    { expiresIn: 1, cachedMs: 500 },
    { expiresIn: 0.01, cachedMs: 5 },
    { expiresIn: 1_799.5, cachedMs: 1_739_500 },
    { expiresIn: '1800', cachedMs: 1_740_000 },
    { expiresIn: ' 1800.0 ', cachedMs: 1_740_000 },
    // More than a day: a day.
    { expiresIn: 86_401, cachedMs: 86_340_000 },
    { expiresIn: 1e12, cachedMs: 86_340_000 },
    { expiresIn: '1e12', cachedMs: 86_340_000 },
    // No usable lifetime: five minutes.
    ...[null, 0, -5, '', '0', '-1', 'never', '30m', 'NaN', true, [], [1_800], {}].map(
      (expiresIn) => ({ expiresIn, cachedMs: 240_000 }),
    ),
  ])('expires_in $expiresIn → is cached for $cachedMs ms', async ({ expiresIn, cachedMs }) => {
    const { get, posts, clock } = setup(answer('first', expiresIn));
    await get();

    clock.now += cachedMs - 1;
    await expect(get()).resolves.toBe('first');
    clock.now += 1;
    await expect(get()).resolves.toBe('token-2');

    expect(posts).toHaveLength(2);
  });

  it('each answer → its own expires_in applies', async () => {
    const { get, clock } = setup(
      answer('long', 1_800),
      answer('short', 300),
      answer('last', 1_800),
    );

    await get();
    clock.now += 1_740_000;
    await expect(get()).resolves.toBe('short');
    clock.now += 240_000;
    await expect(get()).resolves.toBe('last');
  });

  it('slow answer → its lifetime counts from the request', async () => {
    const slow = createPendingAnswer();
    const { get, clock } = setup(slow.promise);

    const first = get();
    clock.now += 9_000;
    slow.release(answer('late', 1_800));
    await first;

    clock.now += 1_740_000 - 9_000;
    await expect(get()).resolves.toBe('token-2');
  });
});

describe('renew', () => {
  it('current token is stale → requests a new one', async () => {
    const { get, renew } = setup();

    const stale = await get();

    await expect(renew(stale)).resolves.toBe('token-2');
    await expect(get()).resolves.toBe('token-2');
  });

  it('token was renewed since → returns that one without a request', async () => {
    const { get, renew, posts } = setup();
    const stale = await get();
    await renew(stale);

    await expect(renew(stale)).resolves.toBe('token-2');
    expect(posts).toHaveLength(2);
  });

  it('fifty callers with the same stale token → one request', async () => {
    const { get, renew, posts } = setup();
    const stale = await get();

    const renewed = await times(50, () => renew(stale));

    expect(new Set(renewed)).toEqual(new Set(['token-2']));
    expect(posts).toHaveLength(2);
  });

  it('renewed token has expired as well → requests a new one', async () => {
    const { get, renew, clock } = setup();
    const stale = await get();
    await renew(stale);
    clock.now += 1_740_000;

    await expect(renew(stale)).resolves.toBe('token-3');
  });

  it('fails → get still returns the cached token', async () => {
    const { get, renew } = setup(answer('first'), new NoAnswerError('request failed'));
    await get();

    await expect(renew('first')).rejects.toThrow(PartnerTokenError);
    await expect(get()).resolves.toBe('first');
  });
});

describe('suspect', () => {
  it('token in use → is renewed before the next request', async () => {
    const { get, peek, suspect, posts } = setup();
    suspect(await get());

    expect(peek()).toBeUndefined();
    await expect(times(50, get)).resolves.toContain('token-2');

    expect(peek()).toBe('token-2');
    expect(posts).toHaveLength(2);
  });

  it('every token, for ten minutes → is renewed once a minute', async () => {
    const { get, suspect, posts, clock } = setup();

    for (let second = 0; second < 600; second += 1) {
      suspect(await get());
      clock.now += 1_000;
    }

    expect(posts).toHaveLength(1 + 10);
  });

  it('earlier token → the one in use stays', async () => {
    const { get, renew, peek, suspect } = setup();
    const stale = await get();
    await renew(stale);

    suspect(stale);

    expect(peek()).toBe('token-2');
  });

  it('no token yet → nothing happens', async () => {
    const { get, peek, suspect, posts } = setup();

    suspect('unknown');
    await get();

    expect(peek()).toBe('token-1');
    expect(posts).toHaveLength(1);
  });

  it('renewal fails → the suspected token is used, and its renewal not repeated', async () => {
    const down = new NoAnswerError('request failed');
    const { get, peek, suspect, posts, failures } = setup(answer('first'), down);
    suspect(await get());

    await expect(times(50, get)).resolves.toEqual(Array(50).fill('first'));
    suspect('first');

    expect(peek()).toBe('first');
    expect(posts).toHaveLength(2);
    expect(failures).toHaveLength(1);
  });

  it('renewal fails after the token has expired → rejects', async () => {
    const down = new NoAnswerError('request failed');
    const { get, suspect, clock } = setup(answer('first', 1_800), down);
    suspect(await get());
    clock.now += 1_740_000;

    await expect(get()).rejects.toThrow(PartnerTokenError);
  });
});

describe('answer without a usable token', () => {
  const LEAK = 'l3aked-value';
  const body = (text: string): HttpAnswer => ({ status: 200, body: text });

  it.each<{ what: string; reply: HttpAnswer; message: string }>([
    { what: 'HTTP 401', reply: { status: 401, body: LEAK }, message: 'token endpoint: HTTP 401' },
    { what: 'HTTP 500', reply: { status: 500, body: LEAK }, message: 'token endpoint: HTTP 500' },
    { what: 'a redirect', reply: { status: 302, body: LEAK }, message: 'token endpoint: HTTP 302' },
    { what: 'no body', reply: body(''), message: 'token endpoint: answer has no token' },
    { what: 'HTML', reply: body(`<p>${LEAK}</p>`), message: 'token endpoint: answer has no token' },
    { what: 'null', reply: body('null'), message: 'token endpoint: answer has no token' },
    { what: 'a list', reply: body(`["${LEAK}"]`), message: 'token endpoint: answer has no token' },
    {
      what: 'a token with a space',
      reply: answer(`Bearer ${LEAK}`),
      message: 'token endpoint: answer has no token',
    },
    {
      what: 'a token with a line break',
      reply: answer(`${LEAK}\r\nX-More: 1`),
      message: 'token endpoint: answer has no token',
    },
    {
      what: 'a token longer than a header',
      reply: answer(LEAK.repeat(2_000)),
      message: 'token endpoint: answer has no token',
    },
    {
      what: 'a body that cannot be decoded',
      reply: { ...body(''), undecoded: 'content encoding zstd is not supported' },
      message: 'token endpoint: answer has no token: content encoding zstd is not supported',
    },
    {
      what: 'an OAuth error under 200',
      reply: body(`{"error":"invalid_client","error_description":"${LEAK}"}`),
      message: 'token endpoint: answer has no token: invalid_client',
    },
    {
      what: 'another error under 400',
      reply: { status: 400, body: `{"error":"${LEAK}"}` },
      message: 'token endpoint: HTTP 400',
    },
    {
      what: 'an empty token',
      reply: answer('', 1_800),
      message: 'token endpoint: answer has no token',
    },
    {
      what: 'a token that is no text',
      reply: answer({ LEAK }),
      message: 'token endpoint: answer has no token',
    },
  ])('$what → PartnerTokenError that does not repeat the body', async ({ reply, message }) => {
    const { get } = setup(reply);

    const error = await get().catch((err: unknown) => err);

    expect(error).toBeInstanceOf(PartnerTokenError);
    expect(error).toHaveProperty('message', message);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(LEAK);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(SECRET);
  });

  it('→ is not cached', async () => {
    const { get } = setup({ status: 503, body: '' });

    await expect(get()).rejects.toThrow('HTTP 503');
    await expect(get()).resolves.toBe('token-2');
  });

  it('with Retry-After → the error carries the wait', async () => {
    const { get } = setup({ status: 429, body: '', retryAfterMs: 7_000 });

    await expect(get()).rejects.toMatchObject({ retryAfterMs: 7_000 });
  });

  it('no answer → the error names the reason', async () => {
    const { get } = setup(new NoAnswerError('no answer within 10000 ms'));

    await expect(get()).rejects.toThrow('token endpoint: no answer within 10000 ms');
  });

  it('unexpected error → its message is not repeated', async () => {
    const { get } = setup(new Error(`could not send ${SECRET}`));

    await expect(get()).rejects.toMatchObject({ message: 'token endpoint: request failed' });
  });
});

describe('failure', () => {
  const reply = (status: number): HttpAnswer => ({ status, body: '' });

  it.each<{ what: string; reply: Reply; code: string }>([
    { what: 'HTTP 400', reply: reply(400), code: 'CREDENTIALS_REFUSED' },
    { what: 'HTTP 401', reply: reply(401), code: 'CREDENTIALS_REFUSED' },
    { what: 'HTTP 403', reply: reply(403), code: 'CREDENTIALS_REFUSED' },
    { what: 'HTTP 302', reply: reply(302), code: 'PARTNER_TOKEN' },
    { what: 'HTTP 404', reply: reply(404), code: 'PARTNER_TOKEN' },
    { what: 'HTTP 429', reply: reply(429), code: 'PARTNER_TOKEN' },
    { what: 'HTTP 500', reply: reply(500), code: 'PARTNER_TOKEN' },
    { what: 'HTTP 503', reply: reply(503), code: 'PARTNER_TOKEN' },
    { what: 'no token under 200', reply: reply(200), code: 'PARTNER_TOKEN' },
    { what: 'no answer', reply: new NoAnswerError('request failed'), code: 'PARTNER_TOKEN' },
    ...['invalid_client', 'unauthorized_client', 'invalid_grant', 'access_denied'].flatMap(
      (error) =>
        [200, 201, 400, 401, 403, 404, 422, 500].map((status) => ({
          what: `${error} under ${status}`,
          reply: { status, body: JSON.stringify({ error }) },
          code: 'CREDENTIALS_REFUSED',
        })),
    ),
    ...['temporarily_unavailable', 'server_error', 'slow_down', 'too_many_requests'].flatMap(
      (error) =>
        [200, 400, 401, 403, 429, 503].map((status) => ({
          what: `${error} under ${status}`,
          reply: { status, body: JSON.stringify({ error }) },
          code: 'PARTNER_TOKEN',
        })),
    ),
    {
      what: 'an unknown error under 200',
      reply: { status: 200, body: '{"error":"new"}' },
      code: 'CREDENTIALS_REFUSED',
    },
    ...[400, 403].map((status) => ({
      what: `a page under ${status}`,
      reply: { status, body: '<html>Blocked' },
      code: 'PARTNER_TOKEN',
    })),
    {
      what: 'a page under 401',
      reply: { status: 401, body: '<html>Unauthorized' },
      code: 'CREDENTIALS_REFUSED',
    },
    {
      what: 'an unknown error under 400',
      reply: { status: 400, body: '{"error":"new"}' },
      code: 'CREDENTIALS_REFUSED',
    },
  ])('$what → $code', async ({ reply: given, code }) => {
    const { get, failures } = setup(given);

    await expect(get()).rejects.toMatchObject({ code });
    expect(failures).toMatchObject([{ code }]);
  });

  it('fifty callers per request → is reported once per request', async () => {
    const { get, renew, failures, posts } = setup(reply(503), reply(503));

    await Promise.allSettled(Array.from({ length: 50 }, get));
    expect(failures).toHaveLength(1);
    await Promise.allSettled(Array.from({ length: 50 }, () => renew('stale')));

    expect(posts).toHaveLength(2);
    expect(failures).toHaveLength(2);
  });

  it('followed by a token → nothing more is reported', async () => {
    const { get, failures } = setup(reply(503));

    await expect(get()).rejects.toThrow(PartnerTokenError);
    await get();

    expect(failures).toHaveLength(1);
  });
});
