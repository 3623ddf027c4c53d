import { buildSignal, setup } from './setup.ts';

const code = ['body', 'errors', '0', 'extensions', 'code'];
const accepted = { data: { sendSignal: true } };

describe('simulated fault', () => {
  it.each([
    {
      fault: { kind: 'internalServerError', next: 1 },
      status: 200,
      answers: 'INTERNAL_SERVER_ERROR',
    },
    { fault: { kind: 'unauthenticated', next: 1 }, status: 200, answers: 'UNAUTHENTICATED' },
    { fault: { kind: 'expireTokens', next: 1 }, status: 200, answers: 'UNAUTHENTICATED' },
    { fault: { kind: 'rateLimited', next: 1 }, status: 200, answers: 'RATE_LIMITED' },
    { fault: { kind: 'rateLimited', status: 429, next: 1 }, status: 429, answers: 'RATE_LIMITED' },
    { fault: { kind: 'unknownCode', next: 1 }, status: 200, answers: 'NEVER_SEEN_BEFORE' },
    { fault: { kind: 'unknownCode', code: 'TEAPOT', next: 1 }, status: 200, answers: 'TEAPOT' },
    { fault: { kind: 'forbidden', next: 1 }, status: 200, answers: 'FORBIDDEN' },
    { fault: { kind: 'badUserInput', next: 1 }, status: 200, answers: 'BAD_USER_INPUT' },
  ] as const)('$fault → error $answers with status $status', async ({ fault, status, answers }) => {
    const { arm, send, simulator } = await setup();
    arm(fault);

    const answer = await send(buildSignal());

    expect(answer.status).toBe(status);
    expect(answer).toHaveProperty(code, answers);
    expect(simulator.requests.list()).toMatchObject([{ outcome: answers }]);
    expect(simulator.signals.total()).toBe(0);
    expect(simulator.faults.list()).toEqual([]);
  });

  it.each([
    { fault: { kind: 'html502', next: 1 }, status: 502, text: /^<html>.*502 Bad Gateway/ },
    { fault: { kind: 'emptyBody', next: 1 }, status: 200, text: /^$/ },
  ] as const)(
    '$fault → a response with status $status and without GraphQL',
    async ({ fault, status, text }) => {
      const { arm, send, simulator } = await setup();
      arm(fault);

      expect(await send(buildSignal())).toMatchObject({
        status,
        text: expect.stringMatching(text),
      });
      expect(simulator.requests.list()).toMatchObject([{ outcome: fault.kind, fault: fault.kind }]);
      expect(simulator.signals.total()).toBe(0);
    },
  );

  it('rateLimited with retryAfterSeconds → the response has a Retry-After header', async () => {
    const { arm, send } = await setup();
    arm({ kind: 'rateLimited', status: 429, retryAfterSeconds: 7, next: 1 });

    expect((await send(buildSignal())).headers.get('retry-after')).toBe('7');
  });

  it('slow → delays the request, and does not replace another fault', async () => {
    const waits: number[] = [];
    const { arm, send } = await setup({ sleep: async (ms) => waits.push(ms) });
    arm({ kind: 'slow', delayMs: 250, next: 2 });
    arm({ kind: 'internalServerError', next: 1 });

    expect(await send(buildSignal())).toHaveProperty(code, 'INTERNAL_SERVER_ERROR');
    expect((await send(buildSignal())).body).toEqual(accepted);
    expect(waits).toEqual([250, 250]);
  });

  it('expireTokens → later requests with the same access token also fail', async () => {
    const { arm, send } = await setup();
    arm({ kind: 'expireTokens', next: 1 });

    await send(buildSignal());

    expect(await send(buildSignal())).toHaveProperty(code, 'UNAUTHENTICATED');
  });

  it('next → applied to that many requests, in the order of activation', async () => {
    const { arm, send, simulator } = await setup();
    arm({ kind: 'forbidden', next: 2 });
    arm({ kind: 'badUserInput', next: 1 });

    for (let n = 0; n < 4; n += 1) {
      await send(buildSignal());
    }

    expect(simulator.requests.list().map(({ outcome }) => outcome)).toEqual([
      'FORBIDDEN',
      'FORBIDDEN',
      'BAD_USER_INPUT',
      'OK',
    ]);
  });

  it('rate → applied to that share of requests, until it is removed', async () => {
    const chances = [0.1, 0.29, 0.3, 0.9];
    const { arm, send, simulator } = await setup({ random: () => chances.shift() ?? 0 });
    const { id } = arm({ kind: 'internalServerError', rate: 0.3 });

    for (let n = 0; n < 4; n += 1) {
      await send(buildSignal());
    }

    expect(simulator.faults.list()).toMatchObject([{ id, timesApplied: 2 }]);
    expect(simulator.faults.disarm(id)).toBe(true);
    expect((await send(buildSignal())).body).toEqual(accepted);
  });

  it.each([
    { filter: { typeCode: 'ApplicationStatusUpdate' }, isApplied: true },
    { filter: { typeCode: 'ApplicationComplete' }, isApplied: false },
    { filter: { contains: 'token-1' }, isApplied: true },
    { filter: { contains: 'candidate-1' }, isApplied: true },
    { filter: { contains: 'position-2' }, isApplied: true },
    { filter: { contains: 'elsewhere' }, isApplied: false },
    { filter: { typeCode: 'ApplicationComplete', contains: 'token-1' }, isApplied: false },
  ])('signal filter $filter → applied: $isApplied', async ({ filter, isApplied }) => {
    const { arm, send } = await setup();
    arm({ kind: 'internalServerError', rate: 1, ...filter });

    const { body } = await send(
      buildSignal({
        candidateApplicationProfileId: 'candidate-1',
        positionProfileIds: ['position-1', 'position-2'],
      }),
    );

    expect('errors' in body).toBe(isApplied);
  });

  it('badUserInput for one batch → reports only the signals that match its filter', async () => {
    const { arm, sendAll } = await setup();
    arm({ kind: 'badUserInput', rate: 1, contains: 'blame' });

    const { body } = await sendAll([
      buildSignal(),
      buildSignal({ token: 'blame-1' }),
      buildSignal({ token: undefined, candidateApplicationProfileId: 'blame-2' }),
      {
        typeCode: 'PositionStatusUpdate',
        positionProfileIds: 'blame-3',
        current: buildSignal().current,
      },
    ]);

    expect(body.errors[0].extensions.invalidFields).toEqual({
      '/input/signals/1/token': 'Is not valid',
      '/input/signals/2/candidateApplicationProfileId': 'Is not valid',
      '/input/signals/3/positionProfileIds': 'Is not valid',
    });
  });

  it.each([
    { fault: { kind: 'unconfirmed', next: 1 }, value: false },
    { fault: { kind: 'unconfirmed', value: null, next: 1 }, value: null },
  ] as const)('$fault → accepts the signals and answers $value', async ({ fault, value }) => {
    const { arm, send, sendAll, simulator } = await setup();

    arm(fault);
    expect((await send(buildSignal())).body).toEqual({ data: { sendSignal: value } });
    arm(fault);
    const batch = await sendAll([buildSignal(), buildSignal()]);

    expect(batch.body).toEqual({ data: { sendSignals: value } });
    expect(simulator.signals.total()).toBe(3);
    expect(simulator.requests.list()).toMatchObject([{ outcome: 'OK' }, { outcome: 'OK' }]);
  });

  it('forbidden → not applied to an invalid request, but to the next valid one', async () => {
    const { arm, send, simulator } = await setup();
    arm({ kind: 'forbidden', next: 1 });

    expect(await send(buildSignal({ token: 'invalid-1' }))).toHaveProperty(code, 'BAD_USER_INPUT');
    expect(simulator.faults.list()).toHaveLength(1);
    expect(await send(buildSignal())).toHaveProperty(code, 'FORBIDDEN');
  });
});
