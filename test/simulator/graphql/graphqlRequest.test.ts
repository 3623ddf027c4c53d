import { validate as isUuid } from 'uuid';

import { buildSignal, SEND_SIGNAL, setup } from '../setup.ts';

const CODE = ['body', 'errors', '0', 'extensions', 'code'];
const MESSAGE = ['body', 'errors', '0', 'message'];

const body = { query: SEND_SIGNAL, variables: { input: buildSignal() } };

describe('GraphQL request to the simulator', () => {
  it('valid → data is true', async () => {
    const { post } = await setup();

    expect(await post(body)).toMatchObject({ status: 200, body: { data: { sendSignal: true } } });
  });

  it.each([
    { authorization: '' },
    { authorization: 'Bearer' },
    { authorization: 'Bearer never-issued' },
    { authorization: 'Basic abc' },
  ])('authorization "$authorization" → UNAUTHENTICATED with status 200', async (headers) => {
    const { post } = await setup();

    const answer = await post(body, headers);

    expect(answer.status).toBe(200);
    expect(answer).toHaveProperty(CODE, 'UNAUTHENTICATED');
    expect(answer.body).not.toHaveProperty('data');
  });

  it.each([
    { headers: { 'x-request-id': '' }, message: 'X-Request-Id must be a UUID' },
    { headers: { 'x-request-id': '42' }, message: 'X-Request-Id must be a UUID' },
    { headers: { 'user-agent': '' }, message: 'User-Agent must look like name/1.2.3' },
    { headers: { 'user-agent': 'node' }, message: 'User-Agent must look like name/1.2.3' },
    { headers: { 'content-type': 'text/plain' }, message: 'Content-Type must be application/json' },
  ])('headers $headers → 400 BAD_USER_INPUT', async ({ headers, message }) => {
    const { post, simulator } = await setup();

    const answer = await post(body, headers);

    expect(answer.status).toBe(400);
    expect(answer).toHaveProperty(CODE, 'BAD_USER_INPUT');
    expect(answer).toHaveProperty(MESSAGE, message);
    expect(simulator.signals.list()).toEqual([]);
  });

  it('repeated X-Request-Id → rejected', async () => {
    const { post } = await setup();
    const headers = { 'x-request-id': '0b6f4ab0-8a6e-4d6e-9a44-0a4a2cf0a111' };

    expect((await post(body, headers)).body).toEqual({ data: { sendSignal: true } });
    expect(await post(body, headers)).toHaveProperty(
      MESSAGE,
      'X-Request-Id must be fresh for every request',
    );
  });

  it('strictHeaders is off → accepted without the headers', async () => {
    const { post } = await setup({ strictHeaders: false });

    const answer = await post(body, { 'x-request-id': '', 'user-agent': '' });

    expect(answer.body).toEqual({ data: { sendSignal: true } });
  });

  it.each([
    { name: 'body that is not JSON', request: undefined, code: 'BAD_USER_INPUT', says: 'object' },
    {
      name: 'without variables',
      request: { query: SEND_SIGNAL },
      code: 'BAD_USER_INPUT',
      says: 'variables must be an object',
    },
    {
      name: 'variables in a list',
      request: { query: SEND_SIGNAL, variables: [] },
      code: 'BAD_USER_INPUT',
      says: 'variables must be an object',
    },
    {
      name: 'inlined argument',
      request: {
        query: 'mutation { sendSignal(input: { typeCode: "ApplicationComplete" }) }',
        variables: {},
      },
      code: 'BAD_USER_INPUT',
      says: 'Argument "input" must be a variable',
    },
    {
      name: 'inlined default',
      request: {
        query:
          'mutation ($input: SendSignalInput = { typeCode: "X" }) { sendSignal(input: $input) }',
        variables: {},
      },
      code: 'BAD_USER_INPUT',
      says: 'must have no inlined default',
    },
    {
      name: 'unknown operation name',
      request: { ...body, operationName: 'Other' },
      code: 'BAD_USER_INPUT',
      says: 'operationName',
    },
    {
      name: 'syntax error',
      request: { query: 'mutation {', variables: {} },
      code: 'GRAPHQL_PARSE_FAILED',
      says: 'Syntax Error',
    },
    {
      name: 'unknown field',
      request: { query: '{ nothing }', variables: {} },
      code: 'GRAPHQL_VALIDATION_FAILED',
      says: 'nothing',
    },
    {
      name: 'variable of another type',
      request: { ...body, query: 'mutation ($input: String!) { sendSignal(input: $input) }' },
      code: 'GRAPHQL_VALIDATION_FAILED',
      says: 'String!',
    },
  ])('$name → 400 $code', async ({ request, code, says }) => {
    const { post } = await setup();

    const answer = await post(request);

    expect(answer.status).toBe(400);
    expect(answer).toHaveProperty(CODE, code);
    expect(answer).toHaveProperty(MESSAGE, expect.stringContaining(says));
  });

  it('accepted or not → recorded, and logged without any token', async () => {
    const { post, simulator, logged } = await setup();

    await post(body);
    await post(body, { authorization: 'Bearer guessed' });

    const [first, second] = simulator.requests.list();
    expect(first).toMatchObject({ outcome: 'OK', signalCount: 1, variables: body.variables });
    expect(isUuid(first?.requestId)).toBe(true);
    expect(second).toMatchObject({ outcome: 'UNAUTHENTICATED', signalCount: 1 });

    expect(logged).toHaveLength(3);
    expect(logged[2]).toEqual([
      expect.objectContaining({ outcome: 'UNAUTHENTICATED', requestId: second?.requestId }),
      'GraphQL request answered',
    ]);
    expect(JSON.stringify(logged)).not.toMatch(/seek-token-1|simulated-|guessed|secret/);
  });
});
