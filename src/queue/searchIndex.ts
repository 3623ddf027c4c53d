import { createHash } from 'node:crypto';
import { isObject } from '../schemas/json.ts';
import type { SignalReferences } from '../schemas/signalRecord.ts';
import { skipRecordTtl } from './dedupeWindow.ts';

/** What a signal has in it that it may be looked for by. */
export type SearchKey = { kind: 'application' | 'position'; value: string };

export type IndexEntry = SearchKey & { signalId: string };

/** What SEEK was asked about under one X-Request-Id. */
export type IndexedRequest = { requestId: string; signalIds: readonly string[] };

/** By what a signal is found whose id is not at hand. What is found may be kept no more. */
export type SearchIndex = {
  /** Kept as long as a signal can be on its way and shown after that, and of each trait the newest so many. */
  note: (entries: readonly IndexEntry[]) => Promise<void>;
  /** Newest first. */
  find: (searchKey: SearchKey) => Promise<string[]>;
  forget: (searchKey: SearchKey) => Promise<void>;
  /** Kept as long as a signal that was settled, and at least the last `most` of them. */
  indexRequests: (requests: readonly IndexedRequest[], most: number) => Promise<void>;
  findRequest: (requestId: string) => Promise<string[]>;
};

export const MAX_PER_SEARCH_KEY = 1_000;
// A signal may name any number of positions; by more than these nobody will look for it.
const MOST_POSITIONS = 20;
// As long as a signal is tried by default, and a day more; for those that are given up their dead letters tell.
const ON_ITS_WAY_MS = 4 * 24 * 3_600_000;

export const indexRetention = (kept: { dedupeWindowMs: number; keepDeliveredMs: number }) => {
  const keepRequestsMs = skipRecordTtl(kept);
  return { keepRequestsMs, keepKeysMs: ON_ITS_WAY_MS + keepRequestsMs };
};

/** What a signal is found by from its acceptance on. Whatever version wrote it. */
export const searchKeysOf = (signal: unknown): SearchKey[] => {
  if (!isObject(signal)) return [];
  const { applicationId, positionProfileIds } = signal;
  const positions = Array.isArray(positionProfileIds) ? positionProfileIds : [];
  return [
    ...(typeof applicationId === 'string'
      ? [{ kind: 'application' as const, value: applicationId }]
      : []),
    ...positions
      .slice(0, MOST_POSITIONS)
      .filter((value) => typeof value === 'string')
      .map((value) => ({ kind: 'position' as const, value })),
  ];
};

/** What a trait is called where it is kept: of one length, however long its value is. */
export const keyNameOf = ({ kind, value }: SearchKey): string =>
  `${kind}:${createHash('sha256').update(value).digest('base64url').slice(0, 22)}`;

/** The ids by what they are noted under, in order. */
export const groupByKey = (entries: readonly IndexEntry[]): Map<string, string[]> => {
  const found = new Map<string, string[]>();
  for (const { signalId, ...searchKey } of entries) {
    const name = keyNameOf(searchKey);
    const ids = found.get(name);
    if (ids === undefined) found.set(name, [signalId]);
    else ids.push(signalId);
  }
  return found;
};

/** What a signal is about, as far as it may be told: to be spread into what is told of it. Whatever version wrote it. */
export const referencesOf = (data: unknown): SignalReferences => {
  const signal = isObject(data) ? data.signal : undefined;
  const searchKeys = searchKeysOf(signal);
  const of = (kind: 'application' | 'position') =>
    searchKeys.filter((searchKey) => searchKey.kind === kind).map(({ value }) => value);
  const [applicationId] = of('application');
  // Told, and yet no trait: nothing is looked for by it.
  const profile = isObject(signal) ? signal.candidateApplicationProfileId : undefined;
  const positionProfileIds = of('position');
  return {
    ...(applicationId === undefined ? {} : { applicationId }),
    ...(typeof profile === 'string' ? { candidateApplicationProfileId: profile } : {}),
    ...(positionProfileIds.length === 0 ? {} : { positionProfileIds }),
  };
};
