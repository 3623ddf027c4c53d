import type { Signal } from '../schemas/signal.ts';
import { classify, isUnauthenticated, type Outcome, type SendResult } from './classify.ts';
import { type PartnerToken, PartnerTokenError } from './partnerToken.ts';
import type { SeekClient } from './seekClient.ts';

type Deps = {
  partnerToken: Pick<PartnerToken, 'get' | 'renew'>;
  send: SeekClient;
  newRequestId: () => string;
};

export type Attempted = {
  kind: 'attempted';
  outcome: Outcome;
  /** Of the last request; absent where none was made. */
  requestId?: string;
  /** The whole of what SEEK said was wrong, for the log. */
  errors?: unknown;
};

/** `handedBack`: not tried to its end, so the signal goes back as it came and spends no attempt. */
export type Dispatched = Attempted | { kind: 'handedBack' };

/** One attempt: authorise → send → classify. */
export const createDispatchSignal =
  ({ partnerToken, send, newRequestId }: Deps) =>
  async (signal: Signal, abort?: AbortSignal): Promise<Dispatched> => {
    const sendWith = async (token: string) => {
      const requestId = newRequestId();
      return { requestId, result: await send({ signal, partnerToken: token, requestId, abort }) };
    };

    try {
      const token = await unlessAborted(partnerToken.get(), abort);
      const first = await sendWith(token);
      // One new token and one repetition, never two: a fresh token that is rejected as well means a
      // wrong configuration (developer.seek.com, "Error responses").
      return isUnauthenticated(first.result)
        ? settle(await sendWith(await unlessAborted(partnerToken.renew(token), abort)))
        : settle(first);
    } catch (err) {
      if (abort?.aborted) return { kind: 'handedBack' };
      if (err instanceof PartnerTokenError)
        return { kind: 'attempted', outcome: withoutToken(err) };
      throw err;
    }
  };

export type DispatchSignal = ReturnType<typeof createDispatchSignal>;

/** Rejects once aborted. The asking goes on: others may wait for the same token. */
const unlessAborted = <T>(work: Promise<T>, abort: AbortSignal | undefined): Promise<T> => {
  if (abort === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abort.reason);
    abort.addEventListener('abort', onAbort, { once: true });
    if (abort.aborted) onAbort();
    work.then(resolve, reject).finally(() => abort.removeEventListener('abort', onAbort));
  });
};

const settle = ({ requestId, result }: { requestId: string; result: SendResult }): Dispatched =>
  result.kind === 'aborted'
    ? { kind: 'handedBack' }
    : {
        kind: 'attempted',
        outcome: classify(result),
        requestId,
        ...(result.kind === 'refused' ? { errors: result.errors } : {}),
      };

const withoutToken = ({ message, retryAfterMs }: PartnerTokenError): Outcome => ({
  kind: 'retry',
  code: 'PARTNER_TOKEN',
  reason: message,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});
