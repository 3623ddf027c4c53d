import { isObject } from './json.ts';

// Earlier versions stored some fields under other names. Readers accept both names; writers use only the
// new ones.

/** Returns a function that renames fields; `names` maps each old name to the new one. */
const renameFields = (names: Readonly<Record<string, string>>) => {
  const newNames = new Map(Object.entries(names));
  return (data: unknown): unknown => {
    if (!isObject(data) || !Object.keys(data).some((name) => newNames.has(name))) return data;
    return Object.fromEntries(
      Object.entries(data).map(([name, value]) => [newNames.get(name) ?? name, value]),
    );
  };
};

/** Reads an attempt of a job before version 4, or of a dead letter before version 2. */
export const upgradeAttempt = renameFields({ bound: 'tokenUsed' });

/** Reads an encrypted token of a job before version 4, or of an application before version 2. */
export const upgradeStoredToken = renameFields({ sealed: 'ciphertext' });

/** Reads a dead letter of version 1. Its `job` stays unchanged: a redrive upgrades it when it reads it. */
export const upgradeDeadLetter = renameFields({ burial: 'failedJob' });

const upgradeJobFields = renameFields({
  sealedToken: 'encryptedToken',
  rememberMs: 'dedupeWindowMs',
  diedAlone: 'isolatedCrashes',
});

const OLDER_JOB_VERSIONS: ReadonlySet<unknown> = new Set([1, 2, 3]);

/**
 * Reads a job of versions 1 to 3 as one of `version`. Returns other data unchanged: a newer version must
 * stay recognisable as such.
 */
export const upgradeSignalJob = (data: unknown, version: number): unknown => {
  if (!isObject(data) || !OLDER_JOB_VERSIONS.has(data.version)) return data;
  const job = upgradeJobFields(data);
  if (!isObject(job)) return job;
  const { encryptedToken } = job;
  return {
    ...job,
    ...(encryptedToken === undefined ? {} : { encryptedToken: upgradeStoredToken(encryptedToken) }),
    version,
  };
};
