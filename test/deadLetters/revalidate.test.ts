import fc from 'fast-check';

import { revalidate } from '../../src/deadLetters/redrive.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { accepted, NOW } from '../schemas/parse.ts';
import { signalInput } from '../support/arbitraries.ts';
import {
  buildApplicationComplete,
  buildLetter,
  buildSeekSample,
  buildSignal,
  buildSignalJob,
  buildState,
} from '../support/buildSignal.ts';

const recheck = (job: unknown) =>
  revalidate(DeadLetterSchema.parse(JSON.parse(JSON.stringify(buildLetter({ job })))), NOW);
const recheckSignal = (signal: object, change: object = {}) =>
  recheck(buildSignalJob({ signal, ...change }));

const SEALED = { encryptedToken: { sealed: 'v1.00000000.abc', fingerprint: '0'.repeat(32) } };

describe('recheckLetter', () => {
  it('has nothing against what was accepted', () => {
    fc.assert(
      fc.property(signalInput, (input) => {
        expect(recheckSignal(accepted(input))).toBeUndefined();
        const { token, ...rest } = accepted(input);
        if (token !== undefined) expect(recheckSignal(rest, SEALED)).toBeUndefined();
      }),
    );
  });

  it.each([
    ['that names an application', buildSignal({ token: undefined, applicationId: 'one' })],
    ['of a type that SEEK added since', { typeCode: 'InterviewBooked', token: 't' }],
    ['as SEEK shows it', accepted(buildSeekSample())],
  ])('has nothing against a signal %s', (_, signal) => {
    expect(recheckSignal(signal)).toBeUndefined();
  });

  it.each([
    {
      what: 'without a token',
      signal: buildApplicationComplete({ token: undefined }),
      pointers: ['/token'],
    },
    {
      what: 'with a sealed token beside a profile',
      signal: buildSignal({ token: undefined, candidateApplicationProfileId: 'profile' }),
      change: SEALED,
      pointers: ['/candidateApplicationProfileId'],
    },
    {
      what: 'with a state that its type does not have',
      signal: buildApplicationComplete({ current: buildState() }),
      pointers: ['/current'],
    },
    {
      what: 'of the day after tomorrow',
      signal: buildSignal({ current: buildState({ timestamp: '2026-03-05T00:00:00Z' }) }),
      pointers: ['/current/timestamp'],
    },
  ])('names what is wrong with a signal $what', ({ signal, change = {}, pointers }) => {
    expect(Object.keys(recheckSignal(signal, change) ?? {})).toEqual(pointers);
  });

  it('names what is wrong with what is no signal, and repeats none of it', () => {
    const problems = recheck({ version: 3, signal: { typeCode: 'A', token: ' secret ' } });

    expect(Object.keys(problems ?? {}).toSorted()).toEqual([
      ...['/acceptedAt', '/acceptedFrom', '/signal/token'],
    ]);
    expect(JSON.stringify(problems)).not.toContain('secret');
    expect(recheck('text')).toEqual({ '': expect.any(String) });
  });

  it('leaves what a newer version wrote to that', () => {
    expect(recheck({ version: 4, anything: 1 })).toBeUndefined();
  });
});
