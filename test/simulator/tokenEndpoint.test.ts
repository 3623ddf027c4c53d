import { buildSignal, NOW, setup } from './setup.ts';

describe('token endpoint of the simulator', () => {
  it('valid credentials → an access token that the GraphQL endpoint accepts', async () => {
    const { authorise, post, simulator } = await setup({ expiresIn: 1200 });

    const { status, body } = await authorise();

    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.stringMatching(/^simulated-[0-9a-f-]{36}$/),
      expires_in: 1200,
      token_type: 'Bearer',
    });
    expect(simulator.tokens.issued()).toBe(2);

    const answer = await post(
      { query: '{ ping }', variables: {} },
      { authorization: `Bearer ${body.access_token}` },
    );
    expect(answer.body).toEqual({ data: { ping: null } });
  });

  it.each([
    { change: { client_secret: 'wrong' }, status: 401, error: 'access_denied' },
    { change: { client_id: 'wrong' }, status: 401, error: 'access_denied' },
    { change: { audience: 'https://elsewhere' }, status: 403, error: 'access_denied' },
    { change: { grant_type: 'password' }, status: 400, error: 'invalid_request' },
    { change: { audience: undefined }, status: 400, error: 'invalid_request' },
  ])('request with $change → $status', async ({ change, status, error }) => {
    const { authorise } = await setup();

    expect(await authorise(change)).toMatchObject({ status, body: { error } });
  });

  it('empty request → names every missing field', async () => {
    const { call } = await setup();

    const { body } = await call('POST', '/oauth/token', {});

    for (const field of ['audience', 'client_id', 'client_secret', 'grant_type']) {
      expect(body.error_description).toContain(`/${field}: `);
    }
  });

  it('list of lifetimes → one per token, the last one from then on', async () => {
    const { authorise } = await setup({ expiresIn: [1800, 60, 5] });

    const lifetimes = [];
    for (let n = 0; n < 3; n += 1) {
      lifetimes.push((await authorise()).body.expires_in);
    }

    // setup() used the first.
    expect(lifetimes).toEqual([60, 5, 5]);
  });

  it('fault tokenEndpointDown with next: 1 → 503 once', async () => {
    const { arm, authorise } = await setup();
    arm({ kind: 'tokenEndpointDown', next: 1 });

    expect((await authorise()).status).toBe(503);
    expect((await authorise()).status).toBe(200);
  });

  it.each([
    { after: 59_999, outcome: 'OK' },
    { after: 60_000, outcome: 'UNAUTHENTICATED' },
  ])('access token of 60 s, used after $after ms → $outcome', async ({ after, outcome }) => {
    const { clock, send, simulator } = await setup({ expiresIn: 60 });

    clock.now = NOW + after;
    await send(buildSignal());

    expect(simulator.requests.list()).toMatchObject([{ outcome }]);
  });
});
