import { buildSignal, buildState, setup } from '../setup.ts';

const invalidFields = ['body', 'errors', '0', 'extensions', 'invalidFields'];

const position = {
  typeCode: 'PositionStatusUpdate',
  token: undefined,
  positionProfileIds: ['position-1'],
};
const status = (change: object) =>
  buildState({ status: { label: 'Interview', index: 2, total: 4, ...change } });

describe('signal sent to the simulator', () => {
  it.each([
    {
      what: 'with every optional field',
      change: { previous: buildState({ phase: buildState().status }) },
    },
    {
      what: 'with a single position profile instead of a list',
      change: { positionProfileIds: 'position-1' },
    },
    {
      what: 'with an application profile instead of a token',
      change: { token: undefined, candidateApplicationProfileId: 'c1' },
    },
    { what: 'about a position', change: position },
    {
      what: 'about a completed application',
      change: { typeCode: 'ApplicationComplete', current: undefined },
    },
    { what: 'with an expired seek token', change: { token: 'expired-1' } },
    { what: 'with a 0-based index', change: { current: status({ index: 0 }) } },
    { what: 'with an index above the total', change: { current: status({ index: 9 }) } },
    { what: '24 hours ahead', change: { timestamp: '2024-05-02T00:00:00Z' } },
    { what: 'with an offset', change: { timestamp: '2024-04-30T10:00:00.123+10:00' } },
  ])('$what → accepted', async ({ change }) => {
    const { send } = await setup();

    expect((await send(buildSignal(change))).body).toEqual({ data: { sendSignal: true } });
  });

  it.each([
    // Found by graphql-js when it coerces the variables.
    { change: { typeCode: undefined }, fields: { '/input/typeCode': /required/ } },
    { change: { surprise: 1 }, fields: { '/input/surprise': /not defined/ } },
    { change: { token: 7 }, fields: { '/input/token': /String/ } },
    {
      change: { current: buildState({ timestamp: undefined }) },
      fields: { '/input/current/timestamp': /required/ },
    },
    {
      change: { current: status({ index: '2' }) },
      fields: { '/input/current/status/index': /Int/ },
    },
    {
      change: { current: status({ index: 2 ** 31 }) },
      fields: { '/input/current/status/index': /32-bit/ },
    },
    {
      change: { positionProfileIds: ['a', 1] },
      fields: { '/input/positionProfileIds/1': /String/ },
    },
    { change: { timestamp: '2024-02-30T00:00:00Z' }, fields: { '/input/timestamp': /RFC 3339/ } },
    { change: { timestamp: '2024-02-28T00:00:00' }, fields: { '/input/timestamp': /RFC 3339/ } },
    { change: { timestamp: '2024-02-28' }, fields: { '/input/timestamp': /RFC 3339/ } },
    // Found by the rules for signals.
    { change: { typeCode: 'NewType' }, fields: { '/input/typeCode': /not a known/ } },
    { change: { token: 'invalid-1' }, fields: { '/input/token': /^Is not valid$/ } },
    {
      change: { token: 'globalPublicTest-invalid-1' },
      fields: { '/input/token': /^Is not valid$/ },
    },
    { change: { token: '' }, fields: { '/input/token': /^Is not valid$/ } },
    { change: { token: undefined }, fields: { '/input/token': /required/ } },
    { change: { current: undefined }, fields: { '/input/current': /required/ } },
    {
      change: { typeCode: 'ApplicationComplete', token: null },
      fields: { '/input/token': /required/ },
    },
    {
      change: { ...position, positionProfileIds: [] },
      fields: { '/input/positionProfileIds': /required/ },
    },
    {
      change: { ...position, positionProfileIds: ['a', 'é'.repeat(128)] },
      fields: { '/input/positionProfileIds/1': /not valid/ },
    },
    {
      change: { candidateApplicationProfileId: '' },
      fields: { '/input/candidateApplicationProfileId': /not valid/ },
    },
    { change: { timestamp: '2024-05-02T00:00:00.001Z' }, fields: { '/input/timestamp': /future/ } },
    {
      change: { previous: buildState({ timestamp: '2025-01-01T00:00:00Z' }) },
      fields: { '/input/previous/timestamp': /future/ },
    },
    {
      change: { token: 'invalid-1', current: status({ index: -1, total: -2 }) },
      fields: {
        '/input/token': /not valid/,
        '/input/current/status/index': /negative/,
        '/input/current/status/total': /negative/,
      },
    },
  ])('change $change → BAD_USER_INPUT that names the fields', async ({ change, fields }) => {
    const { send, simulator } = await setup();

    const answer = await send(buildSignal(change));

    expect(answer).toHaveProperty(['body', 'errors', '0', 'extensions', 'code'], 'BAD_USER_INPUT');
    expect(answer).toHaveProperty(
      invalidFields,
      Object.fromEntries(
        Object.entries(fields).map(([pointer, says]) => [pointer, expect.stringMatching(says)]),
      ),
    );
    expect(simulator.signals.list()).toEqual([]);
  });

  it('new type, added to the settings → accepted', async () => {
    const { send, simulator } = await setup();
    simulator.settings.change({ typeCodes: ['NewType'] });

    expect((await send({ typeCode: 'NewType' })).body).toEqual({ data: { sendSignal: true } });
  });

  it('accepted → recorded after coercion, with the variables of the request as sent', async () => {
    const { send, simulator } = await setup();
    const sent = buildSignal({ positionProfileIds: 'position-1' });

    await send(sent);

    const [signal] = simulator.signals.list();
    const [request] = simulator.requests.list();
    expect(signal?.input).toEqual({ ...sent, positionProfileIds: ['position-1'] });
    expect(signal?.input.current).toHaveProperty('success', null);
    expect(signal).toMatchObject({ audience: 'live', requestId: request?.requestId });
    expect(signal?.accessToken).toMatch(/^[0-9a-f]{8}$/);
    expect(request?.variables).toEqual({ input: sent });
  });
});

describe('batch sent to the simulator', () => {
  const signals = (count: number) => Array.from({ length: count }, () => buildSignal());

  it('100 signals of mixed types → accepted', async () => {
    const { sendAll, simulator } = await setup();

    const answer = await sendAll([...signals(99), buildSignal(position)]);

    expect(answer.body).toEqual({ data: { sendSignals: true } });
    expect(simulator.signals.total()).toBe(100);
  });

  it('101 signals → rejected', async () => {
    const { sendAll } = await setup();

    expect(await sendAll(signals(101))).toHaveProperty(invalidFields, {
      '/input/signals': 'Must hold at most 100 signals',
    });
  });

  it('one invalid signal → whole batch rejected with a pointer to it', async () => {
    const { sendAll, simulator } = await setup();

    const answer = await sendAll([buildSignal(), buildSignal({ token: 'invalid-1' })]);

    expect(answer.body.data).toEqual({ sendSignals: null });
    expect(answer).toHaveProperty(invalidFields, { '/input/signals/1/token': 'Is not valid' });
    expect(simulator.signals.total()).toBe(0);
  });
});

describe('audience of the access token', () => {
  const code = ['body', 'errors', '0', 'extensions', 'code'];

  it('live, with a token from the documentation → UNAUTHENTICATED', async () => {
    const { send } = await setup();

    const answer = await send(buildSignal({ token: 'globalPublicTest-1' }));

    expect(answer).toHaveProperty(code, 'UNAUTHENTICATED');
    expect(answer.body.errors[0].message).toBe(
      'Live tokens are not accepted when accessing public test data',
    );
  });

  it.each([
    { token: 'globalPublicTest-1', answers: 'FORBIDDEN' },
    { token: 'seek-token-1', answers: 'FORBIDDEN' },
    { token: 'invalid-1', answers: 'BAD_USER_INPUT' },
  ])('Playground, with the token $token → $answers', async ({ token, answers }) => {
    const { send, enterPlayground, simulator } = await setup();
    await enterPlayground();

    expect(await send(buildSignal({ token }))).toHaveProperty(code, answers);
    expect(simulator.signals.total()).toBe(0);
  });
});
