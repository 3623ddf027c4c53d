import type { TokenCipher } from '../../runtime/tokenCipher.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { Attempt, SignalJob, SkipReason } from '../../schemas/signalJob.ts';
import type { Positions } from '../../seekTokens/positions.ts';
import type { ApplicationIdentifiers, SeekTokens } from '../../seekTokens/registry.ts';

/** What a job holds of the signal to send. */
export type UnresolvedSignal = Pick<SignalJob, 'signal' | 'encryptedToken' | 'acceptedAt'> & {
  signalId: string;
};

export type IdentifierResolution =
  | { kind: 'resolved'; signal: SeekSignal; tokenUsed?: NonNullable<Attempt['tokenUsed']> }
  | { kind: 'skipped'; reason: SkipReason }
  /** The token is encrypted with a key that this worker does not have. */
  | { kind: 'undecryptable' };

type Deps = {
  seekTokens: Pick<SeekTokens, 'lookup'>;
  positions: Pick<Positions, 'find'>;
  cipher: Pick<TokenCipher, 'decrypt'>;
  /** `EXPIRED_TOKENS`: SEEK reports no error for an expired token, so sending one is a choice. */
  expired: 'send' | 'skip';
  now?: () => number;
};

/**
 * Turns the ATS's own ids into SEEK's identifiers, as recorded at this moment. Which identifier a signal
 * needs depends on where the application came from (developer.seek.com, "Sending signals"):
 *
 * - Seek token: the application came from a SEEK job ad or used Apply with SEEK. SEEK wants both signals.
 * - Only a candidate application profile: it came from SEEK's own form, which reports completion itself.
 *   SEEK wants status updates only.
 * - Neither: it came from elsewhere, and SEEK wants nothing.
 */
export const createResolveIdentifiers = ({
  seekTokens,
  positions,
  cipher,
  expired: expiredPolicy,
  now = Date.now,
}: Deps) => {
  const resolveApplication = (unresolved: UnresolvedSignal): Resolved | Promise<Resolved> => {
    const { signalId, signal, encryptedToken } = unresolved;
    if (encryptedToken !== undefined) {
      const token = cipher.decrypt(encryptedToken.ciphertext, signalId);
      return token === undefined
        ? { kind: 'undecryptable' }
        : { kind: 'resolved', fields: { token } };
    }
    if (signal.applicationId === undefined) return { kind: 'resolved', fields: {} };
    return seekTokens
      .lookup(signal.applicationId)
      .then((identifiers) =>
        chooseIdentifier(signal.typeCode, identifiers, { now: now(), expiredPolicy }),
      );
  };

  const resolvePosition = async (
    unresolved: UnresolvedSignal,
    resolving: Resolved | Promise<Resolved>,
  ): Promise<IdentifierResolution> => {
    const application = await resolving;
    const { positionId } = unresolved.signal;
    if (application.kind !== 'resolved' || positionId === undefined) {
      return toResolution(unresolved, application);
    }
    return toResolution(unresolved, application, await positions.find(positionId));
  };

  /** Resolves at once where nothing must be looked up, as for most signals. */
  return (unresolved: UnresolvedSignal): IdentifierResolution | Promise<IdentifierResolution> => {
    const application = resolveApplication(unresolved);
    return application instanceof Promise || unresolved.signal.positionId !== undefined
      ? resolvePosition(unresolved, application)
      : toResolution(unresolved, application);
  };
};

export type ResolveIdentifiers = ReturnType<typeof createResolveIdentifiers>;

type Resolved =
  | Exclude<IdentifierResolution, { kind: 'resolved' }>
  | {
      kind: 'resolved';
      fields: Pick<SeekSignal, 'token' | 'candidateApplicationProfileId'>;
      tokenUsed?: NonNullable<Attempt['tokenUsed']>;
    };

const toResolution = (
  unresolved: UnresolvedSignal,
  application: Resolved,
  position?: Awaited<ReturnType<Positions['find']>>,
): IdentifierResolution => {
  if (application.kind !== 'resolved') return application;
  const { applicationId, positionId, ...given } = unresolved.signal;
  const signal: SeekSignal = {
    ...given,
    ...application.fields,
    ...(position === undefined ? {} : { positionProfileIds: position.positionProfileIds }),
  };
  // A status update of an application still says whose it is, without the position.
  if (positionId !== undefined && position === undefined && !identifiesApplication(signal)) {
    return { kind: 'skipped', reason: 'not-advertised' };
  }
  const { tokenUsed } = application;
  return {
    kind: 'resolved',
    signal: withTimestamp(signal, unresolved.acceptedAt),
    ...(tokenUsed === undefined ? {} : { tokenUsed }),
  };
};

type Policy = { now: number; expiredPolicy: 'send' | 'skip' };

/** The newest living token, else the profile id where the type takes one, else an expired token by policy. */
const chooseIdentifier = (
  typeCode: string,
  { token: found, candidateApplicationProfileId, erased }: ApplicationIdentifiers,
  { now, expiredPolicy }: Policy,
): Resolved => {
  const expired = found !== undefined && Date.parse(found.expiresAt) <= now;
  const takesProfile = typeCode !== 'ApplicationComplete';

  if (candidateApplicationProfileId !== undefined && (found === undefined || expired)) {
    if (takesProfile) return { kind: 'resolved', fields: { candidateApplicationProfileId } };
    if (found === undefined) return { kind: 'skipped', reason: 'not-required' };
  }
  if (found === undefined) {
    return { kind: 'skipped', reason: erased ? 'application-erased' : 'no-token' };
  }
  if (found.kind === 'undecryptable') return { kind: 'undecryptable' };
  if (expired && expiredPolicy === 'skip') return { kind: 'skipped', reason: 'token-expired' };
  const { token, source, receivedAt } = found;
  return { kind: 'resolved', fields: { token }, tokenUsed: { source, receivedAt, expired } };
};

const identifiesApplication = ({ token, candidateApplicationProfileId }: SeekSignal): boolean =>
  token !== undefined || candidateApplicationProfileId !== undefined;

/**
 * "Each signal must include a timestamp" (developer.seek.com, "Sending signals"). An ApplicationComplete
 * has no other than its top-level one: without it, the time of acceptance is sent. That time is stored
 * with the job, so every attempt and redrive sends the same.
 */
const withTimestamp = (signal: SeekSignal, acceptedAt: string): SeekSignal =>
  signal.typeCode === 'ApplicationComplete' && signal.timestamp === undefined
    ? { ...signal, timestamp: acceptedAt }
    : signal;
