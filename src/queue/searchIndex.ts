import { createHash } from 'node:crypto';
import { isObject } from '../schemas/json.ts';
import type { SignalReferences } from '../schemas/signalRecord.ts';
import { skipRecordTtl } from './dedupeWindow.ts';

/** An identifier in a signal that the signal can be found by. */
export type SearchKey = { kind: 'application' | 'position'; value: string };

export type IndexEntry = SearchKey & { signalId: string };

/** The signals of one request to SEEK, by its X-Request-Id. */
export type IndexedRequest = { requestId: string; signalIds: readonly string[] };

/** Finds signal ids. Best effort: an entry may be missing, and its signal may no longer be stored. */
export type SearchIndex = {
  /** Keeps the newest `MAX_PER_SEARCH_KEY` signals of each search key. Times: see `indexRetention`. */
  indexSignals: (entries: readonly IndexEntry[]) => Promise<void>;
  /** Newest first. */
  find: (searchKey: SearchKey) => Promise<string[]>;
  /** Removes all entries of a search key. */
  removeKey: (searchKey: SearchKey) => Promise<void>;
  /** In Redis, keeps the requests of at least the last `minKept` signals. */
  indexRequests: (requests: readonly IndexedRequest[], minKept: number) => Promise<void>;
  findByRequest: (requestId: string) => Promise<string[]>;
};

export const MAX_PER_SEARCH_KEY = 1_000;
// A signal may name any number of positions. Indexing more than these would cost more than it helps.
const MAX_POSITIONS = 20;
// The default RETRY_MAX_AGE_MS and one day more. Later, `FindSignals` finds dead letters without the index.
const MAX_IN_FLIGHT_MS = 4 * 24 * 3_600_000;

/**
 * How long the index keeps entries: requests as long as a finished signal can be looked up, search keys
 * also while a signal is delivered.
 */
export const indexRetention = (options: { dedupeWindowMs: number; keepDeliveredMs: number }) => {
  const keepRequestsMs = skipRecordTtl(options);
  return { keepRequestsMs, keepKeysMs: MAX_IN_FLIGHT_MS + keepRequestsMs };
};

/** The search keys of a signal that any version wrote. */
export const searchKeysOf = (signal: unknown): SearchKey[] => {
  if (!isObject(signal)) return [];
  const { applicationId, positionId, positionProfileIds } = signal;
  const profiles = Array.isArray(positionProfileIds) ? positionProfileIds : [];
  const positions = positionId === undefined ? profiles : [positionId];
  return [
    ...(typeof applicationId === 'string'
      ? [{ kind: 'application' as const, value: applicationId }]
      : []),
    ...positions
      .slice(0, MAX_POSITIONS)
      .filter((value) => typeof value === 'string')
      .map((value) => ({ kind: 'position' as const, value })),
  ];
};

/** The stored name of a search key. A hash, so that its length does not depend on the value. */
export const keyNameOf = ({ kind, value }: SearchKey): string =>
  `${kind}:${createHash('sha256').update(value).digest('base64url').slice(0, 22)}`;

/** The signal ids by the stored name of their search key, in order. */
export const groupByKey = (entries: readonly IndexEntry[]): Map<string, string[]> => {
  const groups = new Map<string, string[]>();
  for (const { signalId, ...searchKey } of entries) {
    const name = keyNameOf(searchKey);
    const ids = groups.get(name);
    if (ids === undefined) groups.set(name, [signalId]);
    else ids.push(signalId);
  }
  return groups;
};

/**
 * The identifiers that a signal holds, to spread into its record. `data` is that of its job, of any
 * version. Holds no token.
 */
export const referencesOf = (data: unknown): SignalReferences => {
  const signal = isObject(data) ? data.signal : undefined;
  const searchKeys = searchKeysOf(signal);
  const of = (kind: 'application' | 'position') =>
    searchKeys.filter((searchKey) => searchKey.kind === kind).map(({ value }) => value);
  const [applicationId] = of('application');
  // Shown in the record, but not a search key.
  const profile = isObject(signal) ? signal.candidateApplicationProfileId : undefined;
  const positionId = isObject(signal) ? signal.positionId : undefined;
  const positionProfileIds = positionId === undefined ? of('position') : [];
  return {
    ...(applicationId === undefined ? {} : { applicationId }),
    ...(typeof profile === 'string' ? { candidateApplicationProfileId: profile } : {}),
    ...(typeof positionId === 'string' ? { positionId } : {}),
    ...(positionProfileIds.length === 0 ? {} : { positionProfileIds }),
  };
};
