import { validate as isUuid } from 'uuid';

import { buildSignal, SEND_SIGNAL, setup } from '../setup.ts';

const CODE = ['body', 'errors', '0', 'extensions', 'code'];
const MESSAGE = ['body', 'errors', '0', 'message'];

const body = { query: SEND_SIGNAL, variables: { input: buildSignal() } };

describe('a GraphQL request', () => {
  it('is accepted with a bare true', async () => {
    const { post } = await setup();

    expect(await post(body)).toMatchObject({ status: 200, body: { data: { sendSignal: true } } });
  });

  it.each([
    { authorization: '' },
    { authorization: 'Bearer' },
    { authorization: 'Bearer never-issued' },
    { authorization: 'Basic abc' },
  ])('is UNAUTHENTICATED with $authorization, under status 200', async (headers) => {
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
  ])('is refused with the headers $headers', async ({ headers, message }) => {
    const { post, simulator } = await setup();

    const answer = await post(body, headers);

    expect(answer.status).toBe(400);
    expect(answer).toHaveProperty(CODE, 'BAD_USER_INPUT');
    expect(answer).toHaveProperty(MESSAGE, message);
    expect(simulator.signals.list()).toEqual([]);
  });

  it('is refused when its X-Request-Id was used before', async () => {
    const { post } = await setup();
    const headers = { 'x-request-id': '0b6f4ab0-8a6e-4d6e-9a44-0a4a2cf0a111' };

    expect((await post(body, headers)).body).toEqual({ data: { sendSignal: true } });
    expect(await post(body, headers)).toHaveProperty(
      MESSAGE,
      'X-Request-Id must be fresh for every request',
    );
  });

  it('needs no headers when they are not asked for', async () => {
    const { post } = await setup({ strictHeaders: false });

    const answer = await post(body, { 'x-request-id': '', 'user-agent': '' });

    expect(answer.body).toEqual({ data: { sendSignal: true } });
  });

  it.each([
    { name: 'no JSON', request: undefined, code: 'BAD_USER_INPUT', says: 'object' },
    {
      name: 'no variables',
      request: { query: SEND_SIGNAL },
      code: 'BAD_USER_INPUT',
      says: 'variables must be an object',
    },
    {
      name: 'a list of variables',
      request: { query: SEND_SIGNAL, variables: [] },
      code: 'BAD_USER_INPUT',
      says: 'variables must be an object',
    },
    {
      name: 'an inlined argument',
      request: {
        query: 'mutation { sendSignal(input: { typeCode: "ApplicationComplete" }) }',
        variables: {},
      },
      code: 'BAD_USER_INPUT',
      says: 'Argument "input" must be a variable',
    },
    {
      name: 'an inlined default',
      request: {
        query:
          'mutation ($input: SendSignalInput = { typeCode: "X" }) { sendSignal(input: $input) }',
        variables: {},
      },
      code: 'BAD_USER_INPUT',
      says: 'must have no inlined default',
    },
    {
      name: 'an operation that is not there',
      request: { ...body, operationName: 'Other' },
      code: 'BAD_USER_INPUT',
      says: 'operationName',
    },
    {
      name: 'a syntax error',
      request: { query: 'mutation {', variables: {} },
      code: 'GRAPHQL_PARSE_FAILED',
      says: 'Syntax Error',
    },
    {
      name: 'an unknown field',
      request: { query: '{ nothing }', variables: {} },
      code: 'GRAPHQL_VALIDATION_FAILED',
      says: 'nothing',
    },
    {
      name: 'a variable of another type',
      request: { ...body, query: 'mutation ($input: String!) { sendSignal(input: $input) }' },
      code: 'GRAPHQL_VALIDATION_FAILED',
      says: 'String!',
    },
  ])('with $name is $code', async ({ request, code, says }) => {
    const { post } = await setup();

    const answer = await post(request);

    expect(answer.status).toBe(400);
    expect(answer).toHaveProperty(CODE, code);
    expect(answer).toHaveProperty(MESSAGE, expect.stringContaining(says));
  });

  it('leaves a record, and a log line that holds no token', async () => {
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
