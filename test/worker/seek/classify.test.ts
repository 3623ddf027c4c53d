import type { SeekError } from '../../../src/schemas/seekApi.ts';
import {
  applyRetryLimits,
  classify,
  expired,
  isGatewayCode,
  isPublicTestData,
  isUnauthenticated,
  isUnknownMutation,
  mayRefuseToken,
  type Outcome,
  type SendResult,
} from '../../../src/worker/seek/classify.ts';

const LIVE_ONLY = 'Live tokens are not accepted when accessing public test data';

const error = (code?: string, message = 'As SEEK says', extensions: object = {}): SeekError => ({
  message,
  extensions: { ...(code === undefined ? {} : { code }), ...extensions },
});

const refused = (...errors: SeekError[]) => ({ kind: 'refused' as const, errors });

describe('classify: SEEK’s error codes', () => {
  it.each([
    { code: 'UNAUTHENTICATED', kind: 'retry' },
    { code: 'FORBIDDEN', kind: 'dead' },
    { code: 'BAD_USER_INPUT', kind: 'dead' },
    { code: 'INTERNAL_SERVER_ERROR', kind: 'retry' },
    { code: 'RATE_LIMITED', kind: 'retry' },
    { code: 'ADDED_BY_SEEK_LAST_NIGHT', kind: 'retry' },
    { code: 'bad_user_input', kind: 'retry' },
    { code: '', kind: 'retry' },
    { code: '__proto__', kind: 'retry' },
  ])('code "$code" → $kind', ({ code, kind }) => {
    expect(classify(refused(error(code)))).toEqual({ kind, code, reason: 'As SEEK says' });
  });

  it('line breaks in code and message → one line', () => {
    const answered = error('FORBIDDEN\nDEAD', 'No.\r\n2  2026-11-27  delivered\u2028Yes');

    expect(classify(refused(answered))).toMatchObject({
      code: 'FORBIDDEN DEAD',
      reason: 'No. 2  2026-11-27  delivered Yes',
    });
  });

  it.each([
    { what: 'an error without a code', errors: [error()] },
    { what: 'an error without extensions', errors: [{ message: 'As SEEK says' }] },
  ])('$what → retry as UNKNOWN', ({ errors }) => {
    expect(classify(refused(...errors))).toEqual({
      kind: 'retry',
      code: 'UNKNOWN',
      reason: 'As SEEK says',
    });
  });

  it.each([
    { code: 'UNAUTHENTICATED', message: LIVE_ONLY },
    { code: 'FORBIDDEN', message: LIVE_ONLY },
    { code: 'ANYTHING', message: `Error: ${LIVE_ONLY.toUpperCase()}.` },
    { code: undefined, message: LIVE_ONLY },
  ])('message about public test data, code $code → dead', (row) => {
    expect(classify(refused(error(row.code, row.message)))).toMatchObject({
      kind: 'dead',
      reason: row.message,
    });
  });

  it.each([
    { codes: ['BAD_USER_INPUT', 'FORBIDDEN'], kind: 'dead', code: 'BAD_USER_INPUT' },
    {
      codes: ['BAD_USER_INPUT', 'INTERNAL_SERVER_ERROR'],
      kind: 'retry',
      code: 'INTERNAL_SERVER_ERROR',
    },
    { codes: ['RATE_LIMITED', 'FORBIDDEN'], kind: 'retry', code: 'RATE_LIMITED' },
    { codes: ['FORBIDDEN', 'NEW_ONE'], kind: 'retry', code: 'NEW_ONE' },
  ])('$codes together → $kind as $code', ({ codes, kind, code }) => {
    expect(classify(refused(...codes.map((each) => error(each))))).toMatchObject({ kind, code });
  });

  it('invalidFields → are part of the reason', () => {
    const invalidFields = { '/input/token': 'Is not valid', '/input/current': 'Is required' };

    expect(classify(refused(error('BAD_USER_INPUT', 'Invalid', { invalidFields })))).toMatchObject({
      reason: 'Invalid; /input/token: Is not valid; /input/current: Is required',
    });
  });

  it.each([{ invalidFields: null }, { invalidFields: 'everything' }, { invalidFields: 7 }])(
    'invalidFields $invalidFields of another type → dead, with the message as the reason',
    (extensions) => {
      expect(classify(refused(error('BAD_USER_INPUT', 'Invalid', extensions)))).toMatchObject({
        kind: 'dead',
        reason: 'Invalid',
      });
    },
  );

  it('RATE_LIMITED with Retry-After → retry with that wait', () => {
    const result = { ...refused(error('RATE_LIMITED')), retryAfterMs: 9_000 };

    expect(classify(result)).toMatchObject({ kind: 'retry', retryAfterMs: 9_000 });
  });

  it('FORBIDDEN with Retry-After → dead without a wait', () => {
    const result = { ...refused(error('FORBIDDEN')), retryAfterMs: 9_000 };

    expect(classify(result)).not.toHaveProperty('retryAfterMs');
  });
});

describe('classify: answers without GraphQL', () => {
  it.each([
    { status: 200, kind: 'retry' },
    { status: 204, kind: 'retry' },
    { status: 302, kind: 'retry' },
    { status: 400, kind: 'retry', maxInARow: 8 },
    { status: 401, kind: 'retry' },
    { status: 403, kind: 'retry', maxInARow: 8 },
    { status: 404, kind: 'retry', maxInARow: 8 },
    { status: 402, kind: 'retry', maxInARow: 8 },
    { status: 407, kind: 'retry', maxInARow: 8 },
    { status: 408, kind: 'retry' },
    { status: 413, kind: 'retry', maxInARow: 8 },
    { status: 422, kind: 'retry', maxInARow: 8 },
    { status: 421, kind: 'retry', maxInARow: 8 },
    { status: 425, kind: 'retry' },
    { status: 429, kind: 'retry' },
    { status: 431, kind: 'retry', maxInARow: 8 },
    { status: 451, kind: 'retry', maxInARow: 8 },
    { status: 499, kind: 'retry', maxInARow: 8 },
    { status: 500, kind: 'retry' },
    { status: 502, kind: 'retry' },
    { status: 503, kind: 'retry' },
    { status: 504, kind: 'retry' },
  ])('HTTP $status → $kind, in a row at most $maxInARow', ({ status, kind, maxInARow }) => {
    const isOfGateway = maxInARow !== undefined;

    expect(classify({ kind: 'unreadable', status })).toEqual({
      kind,
      code: `HTTP_${status}`,
      reason: `HTTP ${status} without a GraphQL answer`,
      ...(isOfGateway ? { maxInARow } : {}),
    });
    expect(isGatewayCode(`HTTP_${status}`)).toBe(isOfGateway);
    // 413 is about the size of the request.
    expect(mayRefuseToken({ kind: 'unreadable', status })).toBe(isOfGateway && status !== 413);
  });

  it.each([undefined, '', 'FORBIDDEN', 'HTTP_4xx', 'HTTP_403 ', 'XHTTP_403'])(
    'code %p → not that of a gateway',
    (code) => {
      expect(isGatewayCode(code)).toBe(false);
    },
  );

  it.each<SendResult>([
    { kind: 'accepted' },
    { kind: 'aborted' },
    { kind: 'unreachable', reason: 'no answer within 10 ms', unsent: false },
    { kind: 'refused', errors: [error('FORBIDDEN')] },
  ])('$kind → the partner token is not at fault', (result) => {
    expect(mayRefuseToken(result)).toBe(false);
  });

  it('detail → is part of the reason', () => {
    const result = { kind: 'unreadable', status: 200, detail: 'no data.sendSignal' } as const;

    expect(classify(result)).toMatchObject({
      kind: 'retry',
      reason: 'HTTP 200 without a GraphQL answer: no data.sendSignal',
    });
  });

  it('HTTP 503 with Retry-After → retry with that wait', () => {
    expect(classify({ kind: 'unreadable', status: 503, retryAfterMs: 1_500 })).toMatchObject({
      retryAfterMs: 1_500,
    });
  });

  it.each([true, false])('no answer, unsent: %s → retry as UNREACHABLE', (unsent) => {
    const reason = 'no answer within 10000 ms';

    expect(classify({ kind: 'unreachable', reason, unsent })).toEqual({
      kind: 'retry',
      code: 'UNREACHABLE',
      reason,
    });
  });

  it('accepted → delivered', () => {
    expect(classify({ kind: 'accepted' })).toEqual({ kind: 'delivered' });
  });
});

describe('isUnauthenticated', () => {
  it.each([
    { what: 'UNAUTHENTICATED', result: refused(error('UNAUTHENTICATED')), expected: true },
    {
      what: 'UNAUTHENTICATED among others',
      result: refused(error('INTERNAL_SERVER_ERROR'), error('UNAUTHENTICATED')),
      expected: true,
    },
    {
      what: 'HTTP 401 without GraphQL',
      result: { kind: 'unreadable' as const, status: 401 },
      expected: true,
    },
    { what: 'FORBIDDEN', result: refused(error('FORBIDDEN')), expected: false },
    { what: 'HTTP 403', result: { kind: 'unreadable' as const, status: 403 }, expected: false },
    { what: 'accepted', result: { kind: 'accepted' as const }, expected: false },
    { what: 'aborted', result: { kind: 'aborted' as const }, expected: false },
  ])('$what → $expected', ({ result, expected }) => {
    expect(isUnauthenticated(result)).toBe(expected);
  });
});

describe('isPublicTestData', () => {
  it.each([
    { message: LIVE_ONLY, expected: true },
    { message: LIVE_ONLY.toUpperCase(), expected: true },
    { message: 'Live tokens are not accepted', expected: false },
    { message: '', expected: false },
  ])('message "$message" → $expected', ({ message, expected }) => {
    expect(isPublicTestData(message)).toBe(expected);
  });
});

describe('isUnknownMutation', () => {
  it.each([
    { code: 'GRAPHQL_VALIDATION_FAILED', message: 'Anything', expected: true },
    { code: 'GRAPHQL_PARSE_FAILED', message: 'Anything', expected: true },
    {
      code: undefined,
      message: 'Cannot query field "sendSignals" on type "Mutation".',
      expected: true,
    },
    {
      code: 'BAD_USER_INPUT',
      message: "Undefined field 'sendSignals' on 'Mutation'",
      expected: true,
    },
    {
      code: undefined,
      message: 'Cannot query field "sendMail" on type "Mutation".',
      expected: false,
    },
    { code: undefined, message: 'sendSignals is having a bad day', expected: false },
    {
      code: 'BAD_USER_INPUT',
      message: 'Variable "$input" got invalid value "x" at "input.signals[1].timestamp"',
      expected: false,
    },
    { code: 'INTERNAL_SERVER_ERROR', message: 'Unknown error', expected: false },
  ])('code $code, message "$message" → $expected', ({ code, message, expected }) => {
    expect(isUnknownMutation(refused(error('FORBIDDEN'), error(code, message)))).toBe(expected);
  });

  it.each([
    { kind: 'accepted' as const },
    { kind: 'unreadable' as const, status: 400 },
    { kind: 'aborted' as const },
  ])('$kind → false', (result) => {
    expect(isUnknownMutation(result)).toBe(false);
  });
});

describe('expired', () => {
  it.each([
    { hours: 72, text: '72 hours' },
    { hours: 1.26, text: '1.3 hours' },
    { hours: 0.004, text: '14 seconds' },
  ])(
    '$hours hours old → dead with the last reason and "given up after $text"',
    ({ hours, text }) => {
      expect(expired({ code: 'HTTP_429', reason: 'Slow' }, hours * 3_600_000)).toEqual({
        kind: 'dead',
        code: 'HTTP_429',
        reason: `Slow (given up after ${text})`,
      });
    },
  );
});

describe('applyRetryLimits', () => {
  const HOUR_MS = 3_600_000;
  const limits = { maxAttempts: 25, maxAgeMs: 72 * HOUR_MS };
  const retry: Outcome = { kind: 'retry', code: 'RATE_LIMITED', reason: 'Too many' };

  it.each([
    { attempt: 1, hours: 0, kind: 'retry' },
    { attempt: 24, hours: 71.9, kind: 'retry' },
    { attempt: 25, hours: 1, kind: 'dead' },
    { attempt: 26, hours: 1, kind: 'dead' },
    { attempt: 2, hours: 72, kind: 'dead' },
    { attempt: 1, hours: 1_000, kind: 'dead' },
  ])('attempt $attempt, $hours hours old → $kind', ({ attempt, hours, kind }) => {
    const use = { attempt, ageMs: hours * HOUR_MS, inARow: 1 };
    const outcome = applyRetryLimits(retry, use, limits);

    expect(outcome).toMatchObject({ kind, code: 'RATE_LIMITED' });
  });

  it.each([
    { use: { attempt: 25, ageMs: 0, inARow: 25 }, reason: 'Too many (given up after attempt 25)' },
    {
      use: { attempt: 3, ageMs: 72.5 * HOUR_MS, inARow: 1 },
      reason: 'Too many (given up after 72.5 hours)',
    },
  ])('retry at a limit → dead with reason "$reason"', ({ use, reason }) => {
    expect(applyRetryLimits(retry, use, limits)).toEqual({
      kind: 'dead',
      code: 'RATE_LIMITED',
      reason,
    });
  });

  it.each<Outcome>([
    { kind: 'delivered' },
    { kind: 'skipped', reason: 'no token' },
    { kind: 'dead', code: 'FORBIDDEN', reason: 'No' },
  ])('$kind past all limits → stays $kind', (outcome) => {
    const use = { attempt: 99, ageMs: 999 * HOUR_MS, inARow: 99 };

    expect(applyRetryLimits(outcome, use, limits)).toBe(outcome);
  });

  it.each([
    { inARow: 1, kind: 'retry', reason: 'HTTP 403' },
    { inARow: 7, kind: 'retry', reason: 'HTTP 403' },
    { inARow: 8, kind: 'dead', reason: 'HTTP 403 (given up after 8 in a row)' },
  ])('$inARow of at most 8 in a row → $kind', ({ inARow, kind, reason }) => {
    const gateway: Outcome = { kind: 'retry', code: 'HTTP_403', reason: 'HTTP 403', maxInARow: 8 };

    expect(applyRetryLimits(gateway, { attempt: 9, ageMs: 0, inARow }, limits)).toMatchObject({
      kind,
      code: 'HTTP_403',
      reason,
    });
  });
});
