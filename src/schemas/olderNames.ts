import { isObject } from './json.ts';

// Fields that builds before version 4 of the job stored under other names. Readers accept both names;
// writers use only the new ones.
type Names = Readonly<Record<string, string>>;

const renameFields = (data: unknown, names: Names): unknown => {
  if (!isObject(data) || !Object.keys(names).some((old) => old in data)) return data;
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => [names[name] ?? name, value]),
  );
};

const upgrade =
  (names: Names) =>
  (data: unknown): unknown =>
    renameFields(data, names);

export const upgradeAttempt = upgrade({ bound: 'tokenUsed' });
export const upgradeStoredToken = upgrade({ sealed: 'ciphertext' });
export const upgradeDeadLetter = upgrade({ burial: 'failedJob' });

const upgradeJobFields = upgrade({
  sealedToken: 'encryptedToken',
  rememberMs: 'dedupeWindowMs',
  diedAlone: 'isolatedCrashes',
});

/** A job as this version names its fields. Data of the current version is returned as it is. */
export const upgradeSignalJob = (data: unknown, version: number): unknown => {
  if (!isObject(data) || !OLDER_VERSIONS.has(data.version)) return data;
  const job = upgradeJobFields(data);
  if (!isObject(job)) return job;
  const { encryptedToken } = job;
  return {
    ...job,
    ...(encryptedToken === undefined ? {} : { encryptedToken: upgradeStoredToken(encryptedToken) }),
    version,
  };
};

const OLDER_VERSIONS: ReadonlySet<unknown> = new Set([1, 2, 3]);
