import { createSendAuthorised } from '../../../src/worker/delivery/sendAuthorised.ts';
import type { SendResult } from '../../../src/worker/seek/classify.ts';
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
  /** Of the errand: a partner token was renewed on it before. */
  renewedBefore?: boolean;
  /** Whether the lane is closed once it has heard of the answer. */
  closes?: boolean;
  /** Whether the lane lets each request in; `true` once they are used up. */
  enters?: (boolean | (() => Promise<boolean>))[];
  signalIds?: string[];
};

const setup = ({
  results = [],
  get,
  renew,
  enters = [],
  signalIds = ['one'],
  renewedBefore = false,
  closes = false,
}: Doubles = {}) => {
  const sent: SendRequest[] = [];
  const renewed: string[] = [];
  const entered: unknown[] = [];
  const reported: unknown[] = [];
  const sendAuthorised = createSendAuthorised({
    partnerToken: {
      peek: () => undefined,
      get: get ?? (async () => 'held'),
      renew: async (stale) => {
        renewed.push(stale);
        return renew?.(stale) ?? 'fresh';
      },
    },
    send: async (request) => {
      sent.push(request);
      const result = results[sent.length - 1] ?? ACCEPTED;
      if (result instanceof Error) throw result;
      return result;
    },
    breaker: {
      awaitSlot: async (permit, abort) => {
        const may = enters[entered.length] ?? true;
        entered.push([permit, abort]);
        return typeof may === 'function' ? may() : may;
      },
      report: async (...given) => {
        reported.push(given);
        return closes;
      },
    },
    newRequestId: () => `request-${sent.length + 1}`,
  });
  const signals = signalIds.map((token) => acceptedBySeek(buildSignal({ token })));
  const entries = signals.map((signal, n) => ({ signalId: signalIds[n] ?? '', signal }));

  return {
    sendAuthorised: (abort?: AbortSignal, permit: 'normal' | 'probe' = 'normal') =>
      sendAuthorised(entries, { permit, renewed: renewedBefore }, abort),
    ...{ signals, sent, renewed, entered, reported },
  };
};

describe('an exchange', () => {
  it('sends the signals once, together, under the partner token and a request id of its own', async () => {
    const { sendAuthorised, signals, sent, renewed } = setup({ signalIds: ['one', 'two'] });
    const abort = new AbortController().signal;

    await expect(sendAuthorised(abort)).resolves.toEqual({
      ...{ kind: 'answered', requestId: 'request-1', result: ACCEPTED, breakerOpen: false },
    });

    expect(sent).toEqual([{ signals, partnerToken: 'held', requestId: 'request-1', abort }]);
    expect(renewed).toEqual([]);
  });

  it.each<{ what: string; result: SendResult }>([
    { what: 'a refusal', result: refused('FORBIDDEN', 'No') },
    { what: 'SEEK in trouble', result: refused('INTERNAL_SERVER_ERROR') },
    { what: 'HTML', result: { kind: 'unreadable', status: 502, retryAfterMs: 7_000 } },
    { what: 'silence', result: UNREACHABLE },
  ])('hands on what SEEK said, and sends nothing again: $what', async ({ result }) => {
    const { sendAuthorised, sent } = setup({ results: [result] });

    await expect(sendAuthorised()).resolves.toEqual({
      ...{ kind: 'answered', requestId: 'request-1', result, breakerOpen: false },
    });
    expect(sent).toHaveLength(1);
  });

  it('rejects with a fault of ours, for the processor to judge', async () => {
    const { sendAuthorised, reported } = setup({ results: [new TypeError('bug')] });

    await expect(sendAuthorised()).rejects.toThrow('bug');
    expect(reported).toEqual([]);
  });
});

describe('the lane', () => {
  it('is asked before each request, with the pass that was given', async () => {
    const { sendAuthorised, entered } = setup({ results: [UNAUTHENTICATED, ACCEPTED] });
    const abort = new AbortController().signal;

    await sendAuthorised(abort, 'probe');

    expect(entered).toEqual([
      ['probe', abort],
      ['probe', abort],
    ]);
  });

  it('that lets nothing in hands the signals back unsent, and hears nothing', async () => {
    const { sendAuthorised, sent, reported } = setup({ enters: [false] });

    await expect(sendAuthorised()).resolves.toEqual({ kind: 'released' });
    expect([sent, reported]).toEqual([[], []]);
  });

  it('that closed before the repetition hands the signals back', async () => {
    const { sendAuthorised, sent, reported } = setup({
      results: [UNAUTHENTICATED],
      enters: [true, false],
    });

    await expect(sendAuthorised()).resolves.toEqual({ kind: 'released' });
    expect(sent).toHaveLength(1);
    expect(reported).toEqual([]);
  });

  it.each<{ what: string; result: SendResult; report: object }>([
    { what: 'yes', result: ACCEPTED, report: { kind: 'healthy' } },
    { what: 'a refusal', result: refused('FORBIDDEN'), report: { kind: 'healthy' } },
    {
      what: 'failing',
      result: refused('INTERNAL_SERVER_ERROR'),
      report: { kind: 'failing', certain: false },
    },
    { what: 'no connection', result: { ...UNREACHABLE, unsent: true }, report: { certain: true } },
    { what: 'a limit', result: refused('RATE_LIMITED'), report: { kind: 'rateLimited' } },
  ])('is told of the last answer, once, and for which signals: $what', async (row) => {
    const { sendAuthorised, reported } = setup({
      results: [row.result],
      signalIds: ['one', 'two'],
    });

    await sendAuthorised(undefined, 'probe');

    expect(reported).toEqual([[expect.objectContaining(row.report), ['one', 'two'], 'probe']]);
  });

  it('is not told of an answer that a new partner token made good', async () => {
    const { sendAuthorised, reported } = setup({ results: [UNAUTHENTICATED, ACCEPTED] });

    await sendAuthorised();

    expect(reported).toEqual([[{ kind: 'healthy' }, ['one'], 'normal']]);
  });

  it.each<{ what: string; result: SendResult; code: string; reason: string }>([
    {
      what: 'RATE_LIMITED',
      result: refused('RATE_LIMITED', 'Too many'),
      ...{ code: 'RATE_LIMITED', reason: 'Too many' },
    },
    {
      what: 'HTTP 429',
      result: { kind: 'unreadable', status: 429 },
      ...{ code: 'HTTP_429', reason: 'HTTP 429 without a GraphQL answer' },
    },
  ])('that is limited defers all signals of the request: $what', async (row) => {
    const { sendAuthorised } = setup({ results: [row.result], signalIds: ['one', 'two'] });

    await expect(sendAuthorised()).resolves.toEqual({
      ...{ kind: 'deferred', code: row.code, reason: row.reason, requestId: 'request-1' },
    });
  });
});

describe('a lane that closed upon the answer', () => {
  it('is told of with it', async () => {
    const { sendAuthorised } = setup({
      results: [{ kind: 'unreadable', status: 404 }],
      closes: true,
    });

    await expect(sendAuthorised()).resolves.toMatchObject({ kind: 'answered', breakerOpen: true });
  });
});

describe('a lane that cannot be asked', () => {
  const fails = () => Promise.reject(new Error('ECONNRESET'));

  it.each<{ when: string; enters: Doubles['enters']; requests: number }>([
    { when: 'before the request', enters: [fails], requests: 0 },
    { when: 'before the repetition', enters: [true, fails], requests: 1 },
  ])('defers the signals, and is told nothing: $when', async ({ enters = [], requests }) => {
    const { sendAuthorised, sent, reported } = setup({ results: [UNAUTHENTICATED], enters });

    await expect(sendAuthorised()).resolves.toEqual({
      ...{ kind: 'deferred', code: 'QUEUE', reason: 'The lane cannot be asked' },
    });
    expect([sent.length, reported]).toEqual([requests, []]);
  });
});

describe('a rejected partner token', () => {
  it.each<{ what: string; result: SendResult }>([
    { what: 'UNAUTHENTICATED', result: UNAUTHENTICATED },
    { what: 'a bare HTTP 401', result: { kind: 'unreadable', status: 401 } },
  ])(
    'is renewed once, and the request repeated once under another id: $what',
    async ({ result }) => {
      const { sendAuthorised, sent, renewed } = setup({ results: [result, ACCEPTED] });

      await expect(sendAuthorised()).resolves.toEqual({
        ...{ kind: 'answered', requestId: 'request-2', result: ACCEPTED, breakerOpen: false },
      });

      expect(renewed).toEqual(['held']);
      expect(sent.map(({ partnerToken, requestId }) => [partnerToken, requestId])).toEqual([
        ['held', 'request-1'],
        ['fresh', 'request-2'],
      ]);
    },
  );

  it.each<{ what: string; second: SendResult }>([
    { what: 'it is rejected again', second: UNAUTHENTICATED },
    {
      what: 'it is rejected for the signal’s sake',
      second: refused(
        'UNAUTHENTICATED',
        'Live tokens are not accepted when accessing public test data',
      ),
    },
    { what: 'nothing comes back', second: UNREACHABLE },
  ])('is never renewed twice: the repetition decides, when $what', async ({ second }) => {
    const { sendAuthorised, sent, renewed } = setup({ results: [UNAUTHENTICATED, second] });

    await expect(sendAuthorised()).resolves.toEqual({
      ...{ kind: 'answered', requestId: 'request-2', result: second, breakerOpen: false },
    });
    expect([sent.length, renewed.length]).toEqual([2, 1]);
  });

  it('is not renewed for each part of a batch: once on the way is enough', async () => {
    const { sendAuthorised, sent, renewed } = setup({
      results: [UNAUTHENTICATED],
      renewedBefore: true,
    });

    await expect(sendAuthorised()).resolves.toMatchObject({ result: UNAUTHENTICATED });
    expect([sent.length, renewed]).toEqual([1, []]);
  });

  it('whose renewal fails defers the signal, and nothing is repeated', async () => {
    const { sendAuthorised, sent } = setup({
      results: [UNAUTHENTICATED],
      renew: () => Promise.reject(new PartnerTokenError('token endpoint: HTTP 503')),
    });

    await expect(sendAuthorised()).resolves.toEqual({
      ...{ kind: 'deferred', code: 'PARTNER_TOKEN', reason: 'token endpoint: HTTP 503' },
    });
    expect(sent).toHaveLength(1);
  });
});

describe('no partner token', () => {
  it.each([
    { code: 'PARTNER_TOKEN', refused: false, retryAfterMs: 5_000 },
    { code: 'CREDENTIALS_REFUSED', refused: true, retryAfterMs: undefined },
  ])('sends nothing, defers the signals and is certain trouble: $code', async (row) => {
    const { code, ...options } = row;
    const { sendAuthorised, sent, entered, reported } = setup({
      get: () => Promise.reject(new PartnerTokenError('token endpoint: HTTP nnn', options)),
    });

    const reason = 'token endpoint: HTTP nnn';
    await expect(sendAuthorised()).resolves.toEqual({ kind: 'deferred', code, reason });

    expect([sent, entered]).toEqual([[], []]);
    const failure = { code, reason, retryAfterMs: row.retryAfterMs };
    expect(reported).toEqual([[{ kind: 'failing', certain: true, failure }, ['one'], 'normal']]);
  });

  it('for a reason that nobody foresaw is a fault', async () => {
    const { sendAuthorised } = setup({ get: () => Promise.reject(new TypeError('bug')) });

    await expect(sendAuthorised()).rejects.toThrow(TypeError);
  });
});

describe('letting go', () => {
  const HANDED_BACK = { kind: 'released' };

  it.each<{ when: string; results: SendResult[] }>([
    { when: 'the request', results: [{ kind: 'aborted' }] },
    { when: 'the repetition', results: [UNAUTHENTICATED, { kind: 'aborted' }] },
  ])('in the middle of $when hands the signals back, and tells the lane nothing', async (row) => {
    const { sendAuthorised, reported } = setup({ results: row.results });

    await expect(sendAuthorised()).resolves.toEqual(HANDED_BACK);
    expect(reported).toEqual([]);
  });

  it('before the request hands the signals back unsent', async () => {
    const { sendAuthorised, sent } = setup();

    await expect(sendAuthorised(AbortSignal.abort())).resolves.toEqual(HANDED_BACK);
    expect(sent).toEqual([]);
  });

  it.each<{ when: string; doubles: (releaseJob: () => void) => Doubles }>([
    {
      when: 'a partner token is waited for',
      doubles: (releaseJob) => ({
        get: () => {
          releaseJob();
          return new Promise(() => {});
        },
      }),
    },
    {
      when: 'a partner token is renewed',
      doubles: (releaseJob) => ({
        results: [UNAUTHENTICATED],
        renew: () => {
          releaseJob();
          return new Promise(() => {});
        },
      }),
    },
    {
      when: 'the lane is waited for',
      doubles: (releaseJob) => ({
        enters: [
          () => {
            releaseJob();
            return Promise.reject(new Error('aborted'));
          },
        ],
      }),
    },
  ])('while $when hands the signals back', async ({ doubles }) => {
    const abort = new AbortController();
    const { sendAuthorised, reported } = setup(doubles(() => abort.abort()));

    await expect(sendAuthorised(abort.signal)).resolves.toEqual(HANDED_BACK);
    expect(reported).toEqual([]);
  });
});
