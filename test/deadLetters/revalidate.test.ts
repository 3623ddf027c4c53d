import fc from 'fast-check';

import { revalidate } from '../../src/deadLetters/revalidate.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { accepted, NOW } from '../schemas/parse.ts';
import { signalInput } from '../support/arbitraries.ts';
import {
  buildApplicationComplete,
  buildDeadLetter,
  buildSeekSample,
  buildSignal,
  buildSignalJob,
  buildState,
} from '../support/buildSignal.ts';

const check = (job: unknown) =>
  revalidate(DeadLetterSchema.parse(JSON.parse(JSON.stringify(buildDeadLetter({ job })))), NOW);
const checkSignal = (signal: object, change: object = {}) =>
  check(buildSignalJob({ signal, ...change }));

const ENCRYPTED = {
  encryptedToken: { ciphertext: 'v1.00000000.abc', fingerprint: '0'.repeat(32) },
};

describe('revalidate', () => {
  it('a signal that was accepted → passes, with its token in the clear or encrypted', () => {
    fc.assert(
      fc.property(signalInput, (input) => {
        expect(checkSignal(accepted(input))).toBeUndefined();
        const { token, ...rest } = accepted(input);
        if (token !== undefined) expect(checkSignal(rest, ENCRYPTED)).toBeUndefined();
      }),
    );
  });

  it.each([
    ['that names an application', buildSignal({ token: undefined, applicationId: 'one' })],
    ['of a type that SEEK added since', { typeCode: 'InterviewBooked', token: 't' }],
    ["from SEEK's documentation", accepted(buildSeekSample())],
  ])('a signal %s → passes', (_, signal) => {
    expect(checkSignal(signal)).toBeUndefined();
  });

  it.each([
    {
      what: 'without a token',
      signal: buildApplicationComplete({ token: undefined }),
      pointers: ['/token'],
    },
    {
      what: 'with both an encrypted token and a profile',
      signal: buildSignal({ token: undefined, candidateApplicationProfileId: 'profile' }),
      change: ENCRYPTED,
      pointers: ['/candidateApplicationProfileId'],
    },
    {
      what: 'with a state that its type does not allow',
      signal: buildApplicationComplete({ current: buildState() }),
      pointers: ['/current'],
    },
    {
      what: 'dated two days in the future',
      signal: buildSignal({ current: buildState({ timestamp: '2026-03-05T00:00:00Z' }) }),
      pointers: ['/current/timestamp'],
    },
  ])('a signal $what → fails with $pointers', ({ signal, change = {}, pointers }) => {
    expect(Object.keys(checkSignal(signal, change) ?? {})).toEqual(pointers);
  });

  it('data that is no signal → fails, and the problems repeat no value', () => {
    const problems = check({ version: 3, signal: { typeCode: 'A', token: ' secret ' } });

    expect(Object.keys(problems ?? {}).toSorted()).toEqual([
      '/acceptedAt',
      '/acceptedFrom',
      '/signal/token',
    ]);
    expect(JSON.stringify(problems)).not.toContain('secret');
    expect(check('text')).toEqual({ '': expect.any(String) });
  });

  it('a job of a newer version → passes', () => {
    expect(check({ version: 5, anything: 1 })).toBeUndefined();
  });
});
