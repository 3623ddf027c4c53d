import type { CircuitBreaker, Permit } from '../circuitBreaker/circuitBreaker.ts';
import type { InFlight, ResolvedEntry } from '../inFlight.ts';
import type { Batcher } from './batcher.ts';
import type { BisectBatch, DeliveryResult } from './bisectBatch.ts';
import type { IdentifierResolution, ResolveIdentifiers } from './resolveIdentifiers.ts';
import { type Deferred, QUEUE } from './sendAuthorised.ts';

/** Our code for a signal whose seek token no configured key decrypts. */
export const TOKEN_KEY = 'TOKEN_KEY';

type Deps = {
  breaker: Pick<CircuitBreaker, 'acquire' | 'release'>;
  resolveIdentifiers: ResolveIdentifiers;
  batcher: Pick<Batcher<ResolvedEntry>, 'send'>;
  bisectBatch: BisectBatch<ResolvedEntry>;
  /** Called once for each signal of a set, except for those that the batcher sends. */
  onResult: (inFlight: InFlight, delivery: DeliveryResult) => void;
  abort: AbortSignal;
};

/**
 * Tries to deliver signals: resolves their identifiers as of now, and sends them. A set goes through the
 * batcher, unless the circuit breaker allows only a probe: then its first signal is the probe.
 */
export const createDeliverSet = ({
  breaker,
  resolveIdentifiers,
  batcher,
  abort,
  ...deps
}: Deps) => {
  const { bisectBatch, onResult } = deps;

  const acquire = (): Promise<Permit | undefined> => breaker.acquire(abort).catch(() => undefined);

  const resolve = ({ job, signalJob }: InFlight): Resolution | Promise<Resolution> => {
    const { signal, encryptedToken, acceptedAt } = signalJob;
    try {
      const resolving = resolveIdentifiers({
        signalId: job.id,
        signal,
        encryptedToken,
        acceptedAt,
      });
      return resolving instanceof Promise ? resolving.catch(() => LOOKUP_FAILED) : resolving;
    } catch {
      return LOOKUP_FAILED;
    }
  };

  const sendAlone = async (inFlight: InFlight, permit: Permit): Promise<DeliveryResult> => {
    const resolved = toEntry(inFlight, await resolve(inFlight));
    if ('kind' in resolved) return resolved;
    let result: DeliveryResult = { kind: 'released' };
    await bisectBatch([resolved], permit, (_, delivery) => {
      result = withTokenUsed(resolved, delivery);
    });
    return result;
  };

  const deliverAlone = async (
    inFlight: InFlight,
    acquired: Permit | undefined,
  ): Promise<DeliveryResult> => {
    if (acquired === undefined) return { kind: 'released' };
    try {
      return await sendAlone(inFlight, acquired);
    } finally {
      breaker.release(acquired);
    }
  };

  return {
    deliverSet: async (set: readonly InFlight[]): Promise<void> => {
      const permit = await acquire();
      if (permit !== 'normal') {
        const [first, ...others] = set;
        for (const inFlight of others) onResult(inFlight, { kind: 'released' });
        if (first !== undefined) onResult(first, await deliverAlone(first, permit));
        return;
      }
      const resolutions = await Promise.all(set.map(resolve));
      const entries: ResolvedEntry[] = [];
      for (const [n, inFlight] of set.entries()) {
        const resolved = toEntry(inFlight, resolutions[n] ?? LOOKUP_FAILED);
        if ('kind' in resolved) onResult(inFlight, resolved);
        else entries.push(resolved);
      }
      batcher.send(entries);
    },

    /** Sends one signal without others. */
    deliverAlone: async (inFlight: InFlight): Promise<DeliveryResult> =>
      deliverAlone(inFlight, await acquire()),
  };
};

export type DeliverSet = ReturnType<typeof createDeliverSet>;

type Resolution = IdentifierResolution | Deferred;

const LOOKUP_FAILED: Deferred = {
  kind: 'deferred',
  code: QUEUE,
  reason: 'Failed to look up the identifiers of the signal',
};
const UNDECRYPTABLE: Deferred = {
  kind: 'deferred',
  code: TOKEN_KEY,
  reason: 'No key in TOKEN_ENCRYPTION_KEYS decrypts the seek token',
};

/** What to send, or the result of an attempt that sends nothing. */
const toEntry = (inFlight: InFlight, resolution: Resolution): ResolvedEntry | DeliveryResult => {
  switch (resolution.kind) {
    case 'deferred':
      return resolution;
    case 'undecryptable':
      return UNDECRYPTABLE;
    case 'skipped':
      return { kind: 'attempted', outcome: resolution };
    case 'resolved': {
      const { job, span } = inFlight;
      const { signal, tokenUsed } = resolution;
      return {
        signalId: job.id,
        signal,
        bytes: job.bytes,
        span: span?.span,
        inFlight,
        tokenUsed,
      };
    }
  }
};

/** The result of a sent signal, with the token that it was sent with. */
export const withTokenUsed = (
  { tokenUsed }: Pick<ResolvedEntry, 'tokenUsed'>,
  delivery: DeliveryResult,
): DeliveryResult =>
  delivery.kind === 'attempted' && tokenUsed !== undefined ? { ...delivery, tokenUsed } : delivery;
