import { healthReportOf } from '../../../src/worker/circuitBreaker/healthReport.ts';
import type { SendResult } from '../../../src/worker/seek/classify.ts';

type CompletedSend = Exclude<SendResult, { kind: 'aborted' }>;

const LIVE_ONLY = 'Live tokens are not accepted when accessing public test data';

const refused = (...errors: [code: string | undefined, message?: string][]) => ({
  kind: 'refused' as const,
  errors: errors.map(([code, message = 'As SEEK says']) =>
    code === undefined ? { message } : { message, extensions: { code } },
  ),
});
const unreadable = (status: number): CompletedSend => ({ kind: 'unreadable', status });

describe('the health report', () => {
  it.each<{ what: string; result: CompletedSend }>([
    { what: 'success', result: { kind: 'accepted' } },
    { what: 'BAD_USER_INPUT', result: refused(['BAD_USER_INPUT']) },
    { what: 'FORBIDDEN', result: refused(['FORBIDDEN']) },
    { what: 'an unknown code', result: refused(['ADDED_LAST_NIGHT']) },
    { what: 'no code', result: refused([undefined]) },
    { what: 'FORBIDDEN under HTTP 500', result: { ...refused(['FORBIDDEN']), status: 500 } },
    { what: 'public test data', result: refused(['UNAUTHENTICATED', LIVE_ONLY]) },
    {
      what: 'public test data beside a refusal',
      result: refused(['UNAUTHENTICATED', LIVE_ONLY], ['FORBIDDEN']),
    },
    {
      what: 'public test data under another code',
      result: refused(['INTERNAL_SERVER_ERROR', LIVE_ONLY]),
    },
  ])('for an answer about the signals themselves → healthy: $what', ({ result }) => {
    expect(healthReportOf(result)).toEqual({ kind: 'healthy' });
  });

  it.each<{ what: string; result: CompletedSend; code: string }>([
    {
      what: 'INTERNAL_SERVER_ERROR',
      result: refused(['INTERNAL_SERVER_ERROR']),
      code: 'INTERNAL_SERVER_ERROR',
    },
    { what: 'UNAUTHENTICATED', result: refused(['UNAUTHENTICATED']), code: 'UNAUTHENTICATED' },
    {
      what: 'INTERNAL_SERVER_ERROR beside a refusal',
      result: refused(['FORBIDDEN'], ['INTERNAL_SERVER_ERROR']),
      code: 'INTERNAL_SERVER_ERROR',
    },
    {
      what: 'UNAUTHENTICATED beside public test data',
      result: refused(['UNAUTHENTICATED', LIVE_ONLY], ['UNAUTHENTICATED']),
      code: 'UNAUTHENTICATED',
    },
    ...[200, 204, 302, 400, 401, 403, 404, 408, 422, 425, 500, 502, 503, 504].map((status) => ({
      what: `HTTP ${status} without GraphQL`,
      result: unreadable(status),
      code: `HTTP_${status}`,
    })),
    {
      what: 'a gateway’s own code under HTTP 503',
      result: { ...refused(['SERVICE_UNAVAILABLE']), status: 503 },
      code: 'SERVICE_UNAVAILABLE',
    },
    {
      what: 'no code under HTTP 502',
      result: { ...refused([undefined]), status: 502 },
      code: 'UNKNOWN',
    },
    {
      what: 'a request without an answer',
      result: { kind: 'unreachable', reason: 'no answer within 10 ms', unsent: false },
      code: 'UNREACHABLE',
    },
  ])('for a failure that may be SEEK’s → failing: $what is $code', ({ result, code }) => {
    expect(healthReportOf(result)).toEqual({
      kind: 'failing',
      certain: false,
      failure: { code, reason: expect.stringMatching(/./), retryAfterMs: undefined },
    });
  });

  it('for a request that was not sent → failing, certain', () => {
    const reason = 'request failed: ECONNREFUSED';

    expect(healthReportOf({ kind: 'unreachable', reason, unsent: true })).toEqual({
      kind: 'failing',
      certain: true,
      failure: { code: 'UNREACHABLE', reason, retryAfterMs: undefined },
    });
  });

  it.each<{ what: string; result: CompletedSend; code: string }>([
    { what: 'RATE_LIMITED', result: refused(['RATE_LIMITED']), code: 'RATE_LIMITED' },
    {
      what: 'RATE_LIMITED among others',
      result: refused(['FORBIDDEN'], ['INTERNAL_SERVER_ERROR'], ['RATE_LIMITED']),
      code: 'RATE_LIMITED',
    },
    { what: 'HTTP 429', result: unreadable(429), code: 'HTTP_429' },
  ])('for a rate limit → rateLimited: $what is $code', ({ result, code }) => {
    expect(healthReportOf(result)).toEqual({
      kind: 'rateLimited',
      failure: { code, reason: expect.stringMatching(/./), retryAfterMs: undefined },
    });
  });

  it.each<{ what: string; result: CompletedSend }>([
    { what: 'HTTP 429', result: { kind: 'unreadable', status: 429, retryAfterMs: 7_000 } },
    { what: 'HTTP 503', result: { kind: 'unreadable', status: 503, retryAfterMs: 7_000 } },
    ...['RATE_LIMITED', 'INTERNAL_SERVER_ERROR'].map((code) => ({
      what: code,
      result: {
        kind: 'refused' as const,
        retryAfterMs: 7_000,
        errors: [{ message: 'As SEEK says', extensions: { code } }],
      },
    })),
  ])('contains SEEK’s Retry-After: $what', ({ result }) => {
    expect(healthReportOf(result)).toHaveProperty('failure.retryAfterMs', 7_000);
  });
});
