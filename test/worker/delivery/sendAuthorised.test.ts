import { createSendAuthorised } from '../../../src/worker/delivery/sendAuthorised.ts';
import type { SendResult } from '../../../src/worker/seek/classify.ts';
import { NoAnswerError } from '../../../src/worker/seek/http.ts';
import { PartnerTokenError } from '../../../src/worker/seek/partnerToken.ts';
import type { SendRequest } from '../../../src/worker/seek/seekClient.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const refused = (code: string, message = 'As SEEK says'): SendResult => ({
  kind: 'refused',
  errors: [{ message, extensions: { code } }],
});
const UNAUTHENTICATED = refused('UNAUTHENTICATED');
const ACCEPTED: SendResult = { kind: 'accepted' };
const UNREACHABLE: SendResult = { kind: 'unreachable', reason: 'request failed', unsent: false };

type Doubles = {
  results?: (SendResult | Error)[];
  get?: () => Promise<string>;
  renew?: (stale: string) => Promise<string>;
  /** The partner token was renewed earlier in the same batch. */
  renewedBefore?: boolean;
  /** Whether the circuit breaker is open after the report. */
  breakerOpen?: boolean;
  /** Whether each request gets a slot; `true` after the last of them. */
  slots?: (boolean | (() => Promise<boolean>))[];
  signalIds?: string[];
};

const setup = ({
  results = [],
  get,
  renew,
  slots = [],
  signalIds = ['one'],
  renewedBefore = false,
  breakerOpen = false,
}: Doubles = {}) => {
  const sent: SendRequest[] = [];
  const renewed: string[] = [];
  const suspected: string[] = [];
  const awaited: unknown[] = [];
  const reported: unknown[] = [];
  const sendAuthorised = createSendAuthorised({
    partnerToken: {
      peek: () => undefined,
      get: get ?? (async () => 'cached'),
      renew: async (stale) => {
        renewed.push(stale);
        return renew?.(stale) ?? 'fresh';
      },
      suspect: (value) => suspected.push(value),
    },
    send: async (request) => {
      sent.push(request);
      const result = results[sent.length - 1] ?? ACCEPTED;
      if (result instanceof Error) throw result;
      return result;
    },
    breaker: {
      awaitSlot: async (permit, abort) => {
        const granted = slots[awaited.length] ?? true;
        awaited.push([permit, abort]);
        return typeof granted === 'function' ? granted() : granted;
      },
      report: async (...given) => {
        reported.push(given);
        return breakerOpen;
      },
    },
    newRequestId: () => `request-${sent.length + 1}`,
  });
  const signals = signalIds.map((token) => acceptedBySeek(buildSignal({ token })));
  const entries = signals.map((signal, n) => ({
    signalId: signalIds[n] ?? '',
    signal,
    bytes: 100,
  }));

  const context = { permit: 'normal' as const, renewed: renewedBefore };
  return {
    /** Sends with the context of the whole batch, as for each of its parts. */
    sendPart: () => sendAuthorised(entries, context),
    sendAuthorised: (abort?: AbortSignal, permit: 'normal' | 'probe' = 'normal') =>
      sendAuthorised(entries, { permit, renewed: renewedBefore }, abort),
    signals,
    sent,
    renewed,
    suspected,
    awaited,
    reported,
  };
};

describe('sendAuthorised', () => {
  it('two signals → one request with the partner token and a new request id', async () => {
    const { sendAuthorised, signals, sent, renewed } = setup({ signalIds: ['one', 'two'] });
    const abort = new AbortController().signal;

    await expect(sendAuthorised(abort)).resolves.toEqual({
      kind: 'answered',
      requestId: 'request-1',
      result: ACCEPTED,
      breakerOpen: false,
    });

    expect(sent).toEqual([{ signals, partnerToken: 'cached', requestId: 'request-1', abort }]);
    expect(renewed).toEqual([]);
  });

  it('no answer, and the worker was frozen → deferred, and the breaker gets no report', async () => {
    const { sendAuthorised, reported } = setup({ results: [{ ...UNREACHABLE, frozen: true }] });

    await expect(sendAuthorised()).resolves.toEqual({
      kind: 'deferred',
      code: 'FROZEN',
      reason: 'The worker was frozen during the request: request failed',
      requestId: 'request-1',
    });
    expect(reported).toEqual([]);
  });

  it('no partner token, and the worker was frozen → deferred, and the breaker gets no report', async () => {
    const cause = new NoAnswerError('no answer', { frozen: true });
    const { sendAuthorised, sent, reported } = setup({
      get: () => Promise.reject(new PartnerTokenError('token endpoint: no answer', { cause })),
    });

    await expect(sendAuthorised()).resolves.toMatchObject({ kind: 'deferred', code: 'FROZEN' });
    expect([sent, reported]).toEqual([[], []]);
  });

  it.each<{ what: string; result: SendResult }>([
    { what: 'FORBIDDEN', result: refused('FORBIDDEN', 'No') },
    { what: 'INTERNAL_SERVER_ERROR', result: refused('INTERNAL_SERVER_ERROR') },
    { what: 'HTML', result: { kind: 'unreadable', status: 502, retryAfterMs: 7_000 } },
    { what: 'no answer', result: UNREACHABLE },
  ])('$what → passes the result on, and sends nothing again', async ({ result }) => {
    const { sendAuthorised, sent } = setup({ results: [result] });

    await expect(sendAuthorised()).resolves.toEqual({
      kind: 'answered',
      requestId: 'request-1',
      result,
      breakerOpen: false,
    });
    expect(sent).toHaveLength(1);
  });

  it('internal error → rejects, and nothing is reported', async () => {
    const { sendAuthorised, reported } = setup({ results: [new TypeError('bug')] });

    await expect(sendAuthorised()).rejects.toThrow('bug');
    expect(reported).toEqual([]);
  });
});

describe('circuit breaker', () => {
  it('request and repetition → each awaits a slot with the given permit', async () => {
    const { sendAuthorised, awaited } = setup({ results: [UNAUTHENTICATED, ACCEPTED] });
    const abort = new AbortController().signal;

    await sendAuthorised(abort, 'probe');

    expect(awaited).toEqual([
      ['probe', abort],
      ['probe', abort],
    ]);
  });

  it('no slot → signals are released unsent, and nothing is reported', async () => {
    const { sendAuthorised, sent, reported } = setup({ slots: [false] });

    await expect(sendAuthorised()).resolves.toEqual({ kind: 'released' });
    expect([sent, reported]).toEqual([[], []]);
  });

  it('no slot for the repetition → signals are released', async () => {
    const { sendAuthorised, sent, reported } = setup({
      results: [UNAUTHENTICATED],
      slots: [true, false],
    });

    await expect(sendAuthorised()).resolves.toEqual({ kind: 'released' });
    expect(sent).toHaveLength(1);
    expect(reported).toEqual([]);
  });

  it.each<{ what: string; result: SendResult; report: object }>([
    { what: 'accepted', result: ACCEPTED, report: { kind: 'healthy' } },
    { what: 'FORBIDDEN', result: refused('FORBIDDEN'), report: { kind: 'healthy' } },
    {
      what: 'INTERNAL_SERVER_ERROR',
      result: refused('INTERNAL_SERVER_ERROR'),
      report: { kind: 'failing', certain: false },
    },
    { what: 'no connection', result: { ...UNREACHABLE, unsent: true }, report: { certain: true } },
    { what: 'RATE_LIMITED', result: refused('RATE_LIMITED'), report: { kind: 'rateLimited' } },
  ])('answer: $what → is reported once, with the signals and the permit', async (row) => {
    const { sendAuthorised, reported } = setup({
      results: [row.result],
      signalIds: ['one', 'two'],
    });

    await sendAuthorised(undefined, 'probe');

    expect(reported).toEqual([[expect.objectContaining(row.report), ['one', 'two'], 'probe']]);
  });

  it('rejected partner token, then accepted → only the second answer is reported', async () => {
    const { sendAuthorised, reported } = setup({ results: [UNAUTHENTICATED, ACCEPTED] });

    await sendAuthorised();

    expect(reported).toEqual([[{ kind: 'healthy' }, ['one'], 'normal']]);
  });

  it.each<{ what: string; result: SendResult; code: string; reason: string }>([
    {
      what: 'RATE_LIMITED',
      result: refused('RATE_LIMITED', 'Too many'),
      code: 'RATE_LIMITED',
      reason: 'Too many',
    },
    {
      what: 'HTTP 429',
      result: { kind: 'unreadable', status: 429 },
      code: 'HTTP_429',
      reason: 'HTTP 429 without a GraphQL answer',
    },
  ])('$what → all signals of the request are deferred', async (row) => {
    const { sendAuthorised } = setup({ results: [row.result], signalIds: ['one', 'two'] });

    await expect(sendAuthorised()).resolves.toEqual({
      kind: 'deferred',
      code: row.code,
      reason: row.reason,
      requestId: 'request-1',
    });
  });
});

describe('circuit breaker that opens on the answer', () => {
  it('→ the result says so', async () => {
    const { sendAuthorised } = setup({
      results: [{ kind: 'unreadable', status: 404 }],
      breakerOpen: true,
    });

    await expect(sendAuthorised()).resolves.toMatchObject({ kind: 'answered', breakerOpen: true });
  });
});

describe('circuit breaker that cannot be read', () => {
  const fails = () => Promise.reject(new Error('ECONNRESET'));

  it.each<{ when: string; slots: Doubles['slots']; requests: number }>([
    { when: 'before the request', slots: [fails], requests: 0 },
    { when: 'before the repetition', slots: [true, fails], requests: 1 },
  ])('$when → signals are deferred, and nothing is reported', async ({ slots = [], requests }) => {
    const { sendAuthorised, sent, reported } = setup({ results: [UNAUTHENTICATED], slots });

    await expect(sendAuthorised()).resolves.toEqual({
      kind: 'deferred',
      code: 'QUEUE',
      reason: 'Failed to read the circuit breaker',
    });
    expect([sent.length, reported]).toEqual([requests, []]);
  });
});

describe('answer of a gateway', () => {
  it.each([
    { status: 403, suspected: ['cached'] },
    { status: 404, suspected: ['cached'] },
    { status: 431, suspected: ['cached'] },
    { status: 200, suspected: [] },
    { status: 413, suspected: [] },
    { status: 429, suspected: [] },
    { status: 503, suspected: [] },
  ])('HTTP $status without GraphQL → the suspected tokens are $suspected', async (row) => {
    const subject = setup({ results: [{ kind: 'unreadable', status: row.status }] });

    await subject.sendAuthorised();

    expect(subject.suspected).toEqual(row.suspected);
    expect(subject.renewed).toEqual([]);
    expect(subject.sent).toHaveLength(1);
  });

  it('403 to a renewed token → that one is suspected', async () => {
    const results: SendResult[] = [UNAUTHENTICATED, { kind: 'unreadable', status: 403 }];
    const { sendAuthorised, suspected } = setup({ results });

    await sendAuthorised();

    expect(suspected).toEqual(['fresh']);
  });
});

describe('rejected partner token', () => {
  it.each<{ what: string; result: SendResult }>([
    { what: 'UNAUTHENTICATED', result: UNAUTHENTICATED },
    { what: 'a bare HTTP 401', result: { kind: 'unreadable', status: 401 } },
  ])('$what → token renewed once, request repeated once with another id', async ({ result }) => {
    const { sendAuthorised, sent, renewed } = setup({ results: [result, ACCEPTED] });

    await expect(sendAuthorised()).resolves.toEqual({
      kind: 'answered',
      requestId: 'request-2',
      result: ACCEPTED,
      breakerOpen: false,
    });

    expect(renewed).toEqual(['cached']);
    expect(sent.map(({ partnerToken, requestId }) => [partnerToken, requestId])).toEqual([
      ['cached', 'request-1'],
      ['fresh', 'request-2'],
    ]);
  });

  it.each<{ what: string; second: SendResult }>([
    { what: 'rejected again', second: UNAUTHENTICATED },
    {
      what: 'rejected because of the signal’s token',
      second: refused(
        'UNAUTHENTICATED',
        'Live tokens are not accepted when accessing public test data',
      ),
    },
    { what: 'no answer', second: UNREACHABLE },
  ])('repetition: $what → its result counts, without a second renewal', async ({ second }) => {
    const { sendAuthorised, sent, renewed } = setup({ results: [UNAUTHENTICATED, second] });

    await expect(sendAuthorised()).resolves.toEqual({
      kind: 'answered',
      requestId: 'request-2',
      result: second,
      breakerOpen: false,
    });
    expect([sent.length, renewed.length]).toEqual([2, 1]);
  });

  it('token renewed earlier in the batch → is not renewed again', async () => {
    const { sendAuthorised, sent, renewed } = setup({
      results: [UNAUTHENTICATED],
      renewedBefore: true,
    });

    await expect(sendAuthorised()).resolves.toMatchObject({ result: UNAUTHENTICATED });
    expect([sent.length, renewed]).toEqual([1, []]);
  });

  it('several parts of one batch → the token is renewed once', async () => {
    const results = [UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED];
    const { sendPart, sent, renewed } = setup({ results });

    await sendPart();
    await sendPart();

    expect([sent.length, renewed]).toEqual([3, ['cached']]);
  });

  it('renewal fails → signal is deferred, and nothing is repeated', async () => {
    const { sendAuthorised, sent } = setup({
      results: [UNAUTHENTICATED],
      renew: () => Promise.reject(new PartnerTokenError('token endpoint: HTTP 503')),
    });

    await expect(sendAuthorised()).resolves.toEqual({
      kind: 'deferred',
      code: 'PARTNER_TOKEN',
      reason: 'token endpoint: HTTP 503',
    });
    expect(sent).toHaveLength(1);
  });
});

describe('no partner token', () => {
  it.each([
    { code: 'PARTNER_TOKEN', refused: false, retryAfterMs: 5_000 },
    { code: 'CREDENTIALS_REFUSED', refused: true, retryAfterMs: undefined },
  ])(
    '$code → nothing is sent, signals are deferred, a certain failure is reported',
    async (row) => {
      const { code, ...options } = row;
      const { sendAuthorised, sent, awaited, reported } = setup({
        get: () => Promise.reject(new PartnerTokenError('token endpoint: HTTP nnn', options)),
      });

      const reason = 'token endpoint: HTTP nnn';
      await expect(sendAuthorised()).resolves.toEqual({ kind: 'deferred', code, reason });

      expect([sent, awaited]).toEqual([[], []]);
      const failure = { code, reason, retryAfterMs: row.retryAfterMs };
      expect(reported).toEqual([[{ kind: 'failing', certain: true, failure }, ['one'], 'normal']]);
    },
  );

  it('unexpected error → rejects', async () => {
    const { sendAuthorised } = setup({ get: () => Promise.reject(new TypeError('bug')) });

    await expect(sendAuthorised()).rejects.toThrow(TypeError);
  });
});

describe('abort', () => {
  const RELEASED = { kind: 'released' };

  it.each<{ when: string; results: SendResult[] }>([
    { when: 'the request', results: [{ kind: 'aborted' }] },
    { when: 'the repetition', results: [UNAUTHENTICATED, { kind: 'aborted' }] },
  ])('during $when → signals are released, and nothing is reported', async (row) => {
    const { sendAuthorised, reported } = setup({ results: row.results });

    await expect(sendAuthorised()).resolves.toEqual(RELEASED);
    expect(reported).toEqual([]);
  });

  it('before the request → signals are released unsent', async () => {
    const { sendAuthorised, sent } = setup();

    await expect(sendAuthorised(AbortSignal.abort())).resolves.toEqual(RELEASED);
    expect(sent).toEqual([]);
  });

  it.each<{ when: string; doubles: (abort: () => void) => Doubles }>([
    {
      when: 'waiting for a partner token',
      doubles: (abort) => ({
        get: () => {
          abort();
          return new Promise(() => {});
        },
      }),
    },
    {
      when: 'renewing the partner token',
      doubles: (abort) => ({
        results: [UNAUTHENTICATED],
        renew: () => {
          abort();
          return new Promise(() => {});
        },
      }),
    },
    {
      when: 'waiting for a slot',
      doubles: (abort) => ({
        slots: [
          () => {
            abort();
            return Promise.reject(new Error('aborted'));
          },
        ],
      }),
    },
  ])('while $when → signals are released', async ({ doubles }) => {
    const abort = new AbortController();
    const { sendAuthorised, reported } = setup(doubles(() => abort.abort()));

    await expect(sendAuthorised(abort.signal)).resolves.toEqual(RELEASED);
    expect(reported).toEqual([]);
  });
});
