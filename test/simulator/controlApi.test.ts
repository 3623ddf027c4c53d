import { buildSignal, NOW, setup } from './setup.ts';

describe('control API of the simulator', () => {
  it('GET signals → accepted signals, newest first, without their seek tokens', async () => {
    const { call, send } = await setup();
    await send(buildSignal({ token: 'first-secret' }));
    await send(buildSignal({ token: 'second-secret' }));

    const { body, text } = await call('GET', '/simulator/signals?limit=1');

    expect(body).toEqual({
      total: 2,
      signals: [
        {
          input: {
            ...buildSignal(),
            token: expect.stringMatching(/^13 chars, sha256 [0-9a-f]{8}$/),
          },
          requestId: expect.any(String),
          receivedAt: new Date(NOW).toISOString(),
          audience: 'live',
          accessToken: expect.stringMatching(/^[0-9a-f]{8}$/),
        },
      ],
    });
    expect(text).not.toContain('secret');
  });

  it('GET requests → every request with its outcome', async () => {
    const { call, send } = await setup();
    await send(buildSignal());
    await send(buildSignal({ token: 'invalid-secret' }));

    const { body, text } = await call('GET', '/simulator/requests');

    expect(body).toMatchObject({
      total: 2,
      requests: [{ outcome: 'BAD_USER_INPUT', signalCount: 1 }, { outcome: 'OK' }],
    });
    expect(text).not.toContain('invalid-secret');
  });

  it('more signals than maxRecords → drops the oldest; DELETE signals → drops all', async () => {
    const { call, send, simulator } = await setup({ maxRecords: 2 });

    for (const token of ['a', 'b', 'c']) {
      await send(buildSignal({ token }));
    }

    expect(simulator.signals.list().map(({ input }) => input.token)).toEqual(['b', 'c']);
    expect(simulator.signals.total()).toBe(3);
    expect((await call('DELETE', '/simulator/signals')).status).toBe(204);
    expect(simulator.signals.list()).toEqual([]);
    expect(simulator.signals.total()).toBe(0);
  });

  it('POST, GET and DELETE faults → activates, lists and removes them', async () => {
    const { call } = await setup();
    const fault = { kind: 'slow', delayMs: 10, next: 3 };

    const armed = await call('POST', '/simulator/faults', fault);
    expect(armed).toMatchObject({ status: 201, body: { id: '1', struck: 0, ...fault } });
    await call('POST', '/simulator/faults', { kind: 'reset', rate: 0.5 });

    expect((await call('DELETE', '/simulator/faults/1')).status).toBe(204);
    expect((await call('DELETE', '/simulator/faults/1')).status).toBe(404);
    expect((await call('GET', '/simulator/faults')).body).toEqual({
      faults: [{ id: '2', struck: 0, kind: 'reset', rate: 0.5 }],
    });
    expect((await call('DELETE', '/simulator/faults')).status).toBe(204);
    expect((await call('GET', '/simulator/faults')).body).toEqual({ faults: [] });
  });

  it('fault that matches a token → the token is masked in every response', async () => {
    const { call } = await setup();
    const fault = { kind: 'forbidden', rate: 1, contains: 'whole-seek-token' };

    const answers = [
      await call('POST', '/simulator/faults', fault),
      await call('GET', '/simulator/faults'),
      await call('GET', '/'),
    ];

    for (const { text } of answers) {
      expect(text).toContain('16 chars, sha256');
      expect(text).not.toContain('whole-seek-token');
    }
  });

  it.each([
    { fault: undefined, pointers: [''] },
    { fault: { kind: 'meteor', next: 1 }, pointers: ['/kind'] },
    { fault: { kind: 'reset' }, pointers: [''] },
    { fault: { kind: 'reset', rate: 1, next: 1 }, pointers: [''] },
    { fault: { kind: 'reset', rate: 2 }, pointers: ['/rate'] },
    { fault: { kind: 'slow', delayMs: -1, next: 0 }, pointers: ['/delayMs', '/next'] },
    { fault: { kind: 'tokenEndpointDown', next: 1, contains: 'x' }, pointers: ['/contains'] },
  ])('POST of the fault $fault → 422, names every problem', async ({ fault, pointers }) => {
    const { call, simulator } = await setup();

    const { status, body } = await call('POST', '/simulator/faults', fault);

    expect(status).toBe(422);
    expect(Object.keys(body.invalidFields)).toEqual(pointers);
    expect(simulator.faults.list()).toEqual([]);
  });

  it('PATCH settings → effective at once', async () => {
    const { authorise, call } = await setup();

    const changed = await call('PATCH', '/simulator/settings', { expiresIn: [90, 30] });

    expect(changed).toMatchObject({ status: 200, body: { expiresIn: [90, 30] } });
    expect((await authorise()).body.expires_in).toBe(90);
    expect((await call('GET', '/simulator/settings')).body).toMatchObject({
      expiresIn: [30],
      strictHeaders: true,
    });
  });

  it('PATCH of invalid settings → 422, keeps the present ones', async () => {
    const { call, simulator } = await setup();
    const before = simulator.settings.get();

    const patch = { expiresIn: [], strictHeaders: 'no', other: 1 };
    const { status, body } = await call('PATCH', '/simulator/settings', patch);

    expect(status).toBe(422);
    expect(Object.keys(body.invalidFields)).toEqual(['/expiresIn', '/strictHeaders', '/other']);
    expect(simulator.settings.get()).toEqual(before);
  });

  it('DELETE tokens → expires all access tokens', async () => {
    const { call, send, simulator } = await setup();

    expect((await call('DELETE', '/simulator/tokens')).status).toBe(204);
    await send(buildSignal());

    expect(simulator.requests.list()).toMatchObject([{ outcome: 'UNAUTHENTICATED' }]);
  });

  it.each(['0', 'many', '-1'])('limit=%s → 422', async (limit) => {
    const { call } = await setup();

    expect(await call('GET', `/simulator/signals?limit=${limit}`)).toMatchObject({
      status: 422,
      body: { invalidFields: { '/limit': expect.any(String) } },
    });
  });
});

describe('page of the simulator', () => {
  it('records with HTML and tokens → escaped and masked; the page loads nothing from another host', async () => {
    const { arm, call, send } = await setup();
    arm({ kind: 'slow', delayMs: 1, rate: 0 });
    await send(
      buildSignal({
        token: 'page-secret',
        positionProfileIds: ['<script>'],
        current: {
          ...buildSignal().current,
          status: { label: '"Offer" & co', index: 1, total: 1 },
        },
      }),
    );

    const { text, headers } = await call('GET', '/');

    expect(headers.get('content-type')).toContain('text/html');
    expect(text).toContain('1 signals accepted, 1 requests, 1 access tokens issued');
    expect(text).toContain('&lt;script&gt;');
    expect(text).toContain('&quot;Offer&quot; &amp; co');
    expect(text).toContain('delayMs');
    expect(text).not.toMatch(/page-secret|<script>|https?:\/\//);
  });
});
