import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { upgradeSignalJob } from '../../src/schemas/olderNames.ts';
import { ApplicationTokensSchema } from '../../src/schemas/seekToken.ts';
import { SignalJobSchema } from '../../src/schemas/signalJob.ts';
import { buildDeadLetter, buildSignalJob } from '../support/buildSignal.ts';

const AT = '2026-03-01T12:00:00.000Z';
const USED = { source: 'linkOut', receivedAt: AT, expired: false };
const ATTEMPT = { at: AT, outcome: 'retry', durationMs: 1 };

describe('data of an older version', () => {
  it.each([1, 2, 3])('job of version %i → read under the names of this version', (version) => {
    const older = buildSignalJob({
      version,
      sealedToken: { sealed: 'v1.0.a', fingerprint: 'f' },
      rememberMs: 5,
      diedAlone: 1,
      attempts: [{ ...ATTEMPT, bound: USED }],
    });

    expect(SignalJobSchema.parse(older)).toEqual(
      buildSignalJob({
        encryptedToken: { ciphertext: 'v1.0.a', fingerprint: 'f' },
        dedupeWindowMs: 5,
        isolatedCrashes: 1,
        attempts: [{ ...ATTEMPT, tokenUsed: USED }],
      }),
    );
  });

  it('job of an older version with a field named like a property of Object → field unchanged', () => {
    const older = { version: 1, constructor: 1, rememberMs: 5 };

    expect(upgradeSignalJob(older, 4)).toEqual({ version: 4, constructor: 1, dedupeWindowMs: 5 });
  });

  it('job of a newer version → rejected at /version', () => {
    expect(SignalJobSchema.safeParse(buildSignalJob({ version: 5 })).error?.issues).toEqual([
      expect.objectContaining({ path: ['version'] }),
    ]);
  });

  it('dead letter of version 1 → read, with its job unchanged', () => {
    const { failedJob, ...rest } = buildDeadLetter({
      version: 1,
      job: { version: 2, rememberMs: 5 },
    });

    expect(DeadLetterSchema.parse({ ...rest, burial: failedJob })).toEqual({
      ...rest,
      version: 2,
      failedJob,
    });
  });

  it('attempt of a dead letter of version 1 → read under the names of this version', () => {
    const older = buildDeadLetter({ version: 1, attempts: [{ ...ATTEMPT, bound: USED }] });

    expect(DeadLetterSchema.parse(older).attempts).toEqual([{ ...ATTEMPT, tokenUsed: USED }]);
  });

  it('encrypted token of an application of version 1 → read as version 2', () => {
    const stored = { fingerprint: 'f', masked: 'm', source: 'linkOut', receivedAt: AT };

    expect(
      ApplicationTokensSchema.parse({ version: 1, tokens: [{ ...stored, sealed: 'v1.0.a' }] }),
    ).toEqual({ version: 2, tokens: [{ ...stored, ciphertext: 'v1.0.a' }] });
  });
});
