import type { SendResult } from '../../src/worker/classify.ts';
import { createDispatchSignal } from '../../src/worker/dispatchSignal.ts';
import { PartnerTokenError } from '../../src/worker/partnerToken.ts';
import type { SendRequest } from '../../src/worker/seekClient.ts';
import { accepted } from '../schemas/parse.ts';
import { buildSignal } from '../support/buildSignal.ts';

const UNAUTHENTICATED: SendResult = {
  kind: 'refused',
  errors: [{ message: 'Expired', extensions: { code: 'UNAUTHENTICATED' } }],
};
const ACCEPTED: SendResult = { kind: 'accepted' };

type Doubles = {
  results?: (SendResult | Error)[];
  get?: () => Promise<string>;
  renew?: (stale: string) => Promise<string>;
};

const setup = ({ results = [], get, renew }: Doubles = {}) => {
  const sent: SendRequest[] = [];
  const renewed: string[] = [];
  const dispatch = createDispatchSignal({
    partnerToken: {
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
    newRequestId: () => `request-${sent.length + 1}`,
  });
  const signal = accepted(buildSignal());

  return { dispatch: (abort?: AbortSignal) => dispatch(signal, abort), signal, sent, renewed };
};

describe('one attempt', () => {
  it('sends the signal once, under the partner token and a request id of its own', async () => {
    const { dispatch, signal, sent, renewed } = setup();
    const abort = new AbortController().signal;

    await expect(dispatch(abort)).resolves.toEqual({
      kind: 'attempted',
      outcome: { kind: 'delivered' },
      requestId: 'request-1',
    });

    expect(sent).toEqual([{ signal, partnerToken: 'held', requestId: 'request-1', abort }]);
    expect(renewed).toEqual([]);
  });

  it.each<{ what: string; result: SendResult; outcome: object; errors?: unknown }>([
    {
      what: 'a refusal',
      result: { kind: 'refused', errors: [{ message: 'No', extensions: { code: 'FORBIDDEN' } }] },
      outcome: { kind: 'dead', code: 'FORBIDDEN', reason: 'No' },
      errors: [{ message: 'No', extensions: { code: 'FORBIDDEN' } }],
    },
    {
      what: 'HTML',
      result: { kind: 'unreadable', status: 502, retryAfterMs: 7_000 },
      outcome: {
        kind: 'retry',
        code: 'HTTP_502',
        reason: 'HTTP 502 without a GraphQL answer',
        retryAfterMs: 7_000,
      },
    },
    {
      what: 'silence',
      result: { kind: 'unreachable', reason: 'no answer within 10 ms' },
      outcome: { kind: 'retry', code: 'UNREACHABLE', reason: 'no answer within 10 ms' },
    },
  ])('classifies $what, and hands on what SEEK said', async ({ result, outcome, errors }) => {
    const { dispatch, sent } = setup({ results: [result] });

    await expect(dispatch()).resolves.toEqual({
      kind: 'attempted',
      outcome,
      requestId: 'request-1',
      ...(errors === undefined ? {} : { errors }),
    });
    expect(sent).toHaveLength(1);
  });

  it('rejects with a fault of ours, for the processor to judge', async () => {
    const { dispatch } = setup({ results: [new TypeError('bug')] });

    await expect(dispatch()).rejects.toThrow('bug');
  });
});

describe('a rejected partner token', () => {
  it.each<{ what: string; result: SendResult }>([
    { what: 'UNAUTHENTICATED', result: UNAUTHENTICATED },
    { what: 'a bare HTTP 401', result: { kind: 'unreadable', status: 401 } },
  ])(
    'is renewed once, and the request repeated once under another id: $what',
    async ({ result }) => {
      const { dispatch, sent, renewed } = setup({ results: [result, ACCEPTED] });

      await expect(dispatch()).resolves.toMatchObject({
        outcome: { kind: 'delivered' },
        requestId: 'request-2',
      });

      expect(renewed).toEqual(['held']);
      expect(sent.map(({ partnerToken, requestId }) => [partnerToken, requestId])).toEqual([
        ['held', 'request-1'],
        ['fresh', 'request-2'],
      ]);
    },
  );

  it('is never renewed twice: then it is a retry', async () => {
    const { dispatch, sent, renewed } = setup({ results: [UNAUTHENTICATED, UNAUTHENTICATED] });

    await expect(dispatch()).resolves.toMatchObject({
      outcome: { kind: 'retry', code: 'UNAUTHENTICATED' },
      requestId: 'request-2',
    });
    expect([sent.length, renewed.length]).toEqual([2, 1]);
  });

  it('that is rejected for the signal’s sake is a death after the one renewal', async () => {
    const message = 'Live tokens are not accepted when accessing public test data';
    const result: SendResult = {
      kind: 'refused',
      errors: [{ message, extensions: { code: 'UNAUTHENTICATED' } }],
    };
    const { dispatch, sent } = setup({ results: [result, result] });

    await expect(dispatch()).resolves.toMatchObject({ outcome: { kind: 'dead', reason: message } });
    expect(sent).toHaveLength(2);
  });

  it('takes whatever the repetition comes to', async () => {
    const { dispatch } = setup({
      results: [UNAUTHENTICATED, { kind: 'unreachable', reason: 'request failed' }],
    });

    await expect(dispatch()).resolves.toMatchObject({
      outcome: { kind: 'retry', code: 'UNREACHABLE' },
    });
  });

  it('whose renewal fails is a retry, and nothing is repeated', async () => {
    const { dispatch, sent } = setup({
      results: [UNAUTHENTICATED],
      renew: () =>
        Promise.reject(new PartnerTokenError('token endpoint: HTTP 503', { retryAfterMs: 5_000 })),
    });

    await expect(dispatch()).resolves.toMatchObject({
      kind: 'attempted',
      outcome: {
        kind: 'retry',
        code: 'PARTNER_TOKEN',
        reason: 'token endpoint: HTTP 503',
        retryAfterMs: 5_000,
      },
    });
    expect(sent).toHaveLength(1);
  });
});

describe('no partner token', () => {
  it('is a retry in which nothing was sent', async () => {
    const { dispatch, sent } = setup({
      get: () => Promise.reject(new PartnerTokenError('token endpoint: HTTP 500', {})),
    });

    await expect(dispatch()).resolves.toEqual({
      kind: 'attempted',
      outcome: { kind: 'retry', code: 'PARTNER_TOKEN', reason: 'token endpoint: HTTP 500' },
    });
    expect(sent).toEqual([]);
  });

  it('for a reason that nobody foresaw is a fault', async () => {
    const { dispatch } = setup({ get: () => Promise.reject(new TypeError('bug')) });

    await expect(dispatch()).rejects.toThrow(TypeError);
  });
});

describe('letting go', () => {
  it('in the middle of the request hands the signal back', async () => {
    const { dispatch } = setup({ results: [{ kind: 'aborted' }] });

    await expect(dispatch()).resolves.toEqual({ kind: 'handedBack' });
  });

  it('in the middle of the repetition hands the signal back', async () => {
    const { dispatch } = setup({ results: [UNAUTHENTICATED, { kind: 'aborted' }] });

    await expect(dispatch()).resolves.toEqual({ kind: 'handedBack' });
  });

  it('before the request hands the signal back unsent', async () => {
    const { dispatch, sent } = setup();

    await expect(dispatch(AbortSignal.abort())).resolves.toEqual({ kind: 'handedBack' });
    expect(sent).toEqual([]);
  });
});
