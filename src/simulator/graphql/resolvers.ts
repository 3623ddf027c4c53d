import type { InvalidFields } from '../../schemas/invalidFields.ts';
import type { Audience } from '../accessTokens.ts';
import { type Faults, matches } from '../faults.ts';
import type { Settings } from '../settings.ts';
import { badUserInput, errorWithCode, prefixPointers } from './graphqlErrors.ts';
import type { SignalInput } from './schema.ts';
import { findProblems, isPublicTestData } from './signalRules.ts';

const MAX_BATCH_SIZE = 100;

/** What the endpoint determines before it executes a request. */
export type ResolverContext = { audience: Audience; accept: (signals: SignalInput[]) => void };

type LocatedSignal = { signal: SignalInput; pointer: string };

type Deps = { faults: Faults; settings: Settings; now: () => number };

const throwIfInvalid = (fields: InvalidFields): void => {
  if (Object.keys(fields).length > 0) {
    throw badUserInput('The input is not valid', fields);
  }
};

const collectFields = (
  located: LocatedSignal[],
  find: (signal: SignalInput) => InvalidFields,
): InvalidFields =>
  Object.fromEntries(
    located.flatMap(({ signal, pointer }) => Object.entries(prefixPointers(pointer, find(signal)))),
  );

/** The field that the fault `badUserInput` reports: the one that names the application or the position. */
const reportedField = (signal: SignalInput): InvalidFields => {
  if (signal.token != null) {
    return { '/token': 'Is not valid' };
  }

  return signal.candidateApplicationProfileId != null
    ? { '/candidateApplicationProfileId': 'Is not valid' }
    : { '/positionProfileIds': 'Is not valid' };
};

/** The mutations. Either all signals of a batch are accepted, or none. */
export const createResolvers = ({ faults, settings, now }: Deps) => {
  /** Returns the value of an accepted mutation. Throws where the fault refuses it. */
  const applyFault = (located: LocatedSignal[]): boolean | null => {
    const fault = faults.take(
      'acceptance',
      located.map(({ signal }) => signal),
    );

    switch (fault?.kind) {
      case undefined:
        return true;
      case 'unconfirmed':
        return fault.value;
      case 'forbidden':
        throw errorWithCode('FORBIDDEN', 'You are not authorized to act for this hirer');
      case 'badUserInput':
        throwIfInvalid(
          collectFields(located, (signal) => (matches(fault, signal) ? reportedField(signal) : {})),
        );
        return true;
    }
  };

  const acceptAll = (
    located: LocatedSignal[],
    { audience, accept }: ResolverContext,
  ): boolean | null => {
    const context = { typeCodes: settings.get().typeCodes, now: now() };
    throwIfInvalid(collectFields(located, (signal) => findProblems(signal, context)));

    const signals = located.map(({ signal }) => signal);

    // The Playground validates a request, then rejects every mutation.
    if (audience === 'playground') {
      throw errorWithCode('FORBIDDEN', 'The Playground does not carry out mutations');
    }

    if (signals.some(isPublicTestData)) {
      throw errorWithCode(
        'UNAUTHENTICATED',
        'Live tokens are not accepted when accessing public test data',
      );
    }

    const value = applyFault(located);
    accept(signals);

    return value;
  };

  return {
    sendSignal: ({ input }: { input: SignalInput }, context: ResolverContext) =>
      acceptAll([{ signal: input, pointer: '/input' }], context),

    sendSignals: ({ input }: { input: { signals: SignalInput[] } }, context: ResolverContext) => {
      if (input.signals.length > MAX_BATCH_SIZE) {
        throwIfInvalid({ '/input/signals': `Must hold at most ${MAX_BATCH_SIZE} signals` });
      }

      return acceptAll(
        input.signals.map((signal, n) => ({ signal, pointer: `/input/signals/${n}` })),
        context,
      );
    },
  };
};
