import type { InvalidFields } from '../../schemas/invalidFields.ts';
import type { Audience } from '../accessTokens.ts';
import { concerns, type Faults } from '../faults.ts';
import type { Settings } from '../settings.ts';
import { badUserInput, nest, refusal } from './graphqlErrors.ts';
import type { SignalInput } from './schema.ts';
import { isPublicTestData, problemsOf } from './signalRules.ts';

const BATCH_MAX = 100;

/** Who asks: established by the endpoint before anything is executed. */
export type Caller = { audience: Audience; accept: (signals: SignalInput[]) => void };

type Located = { signal: SignalInput; pointer: string };

type Deps = { faults: Faults; settings: Settings; now: () => number };

const refuseIfAny = (fields: InvalidFields): void => {
  if (Object.keys(fields).length > 0) {
    throw badUserInput('The input is not valid', fields);
  }
};

const collect = (located: Located[], find: (signal: SignalInput) => InvalidFields): InvalidFields =>
  Object.fromEntries(
    located.flatMap(({ signal, pointer }) => Object.entries(nest(pointer, find(signal)))),
  );

/** Where `badUserInput` puts the blame: on whatever names the application or the position. */
const blamed = (signal: SignalInput): InvalidFields => {
  if (signal.token != null) {
    return { '/token': 'Is not valid' };
  }

  return signal.candidateApplicationProfileId != null
    ? { '/candidateApplicationProfileId': 'Is not valid' }
    : { '/positionProfileIds': 'Is not valid' };
};

/** The mutations. A batch is accepted whole or not at all. */
export const createResolvers = ({ faults, settings, now }: Deps) => {
  const strikeVerdict = (located: Located[]): void => {
    const fault = faults.take(
      'verdict',
      located.map(({ signal }) => signal),
    );

    switch (fault?.kind) {
      case undefined:
        return;
      case 'forbidden':
        throw refusal('FORBIDDEN', 'You are not authorized to act for this hirer');
      case 'badUserInput':
        refuseIfAny(collect(located, (signal) => (concerns(fault, signal) ? blamed(signal) : {})));
    }
  };

  const receive = (located: Located[], { audience, accept }: Caller): true => {
    const rules = { typeCodes: settings.get().typeCodes, now: now() };
    refuseIfAny(collect(located, (signal) => problemsOf(signal, rules)));

    const signals = located.map(({ signal }) => signal);

    // The Playground validates, then allows nothing.
    if (audience === 'playground') {
      throw refusal('FORBIDDEN', 'The Playground does not carry out mutations');
    }

    if (signals.some(isPublicTestData)) {
      throw refusal(
        'UNAUTHENTICATED',
        'Live tokens are not accepted when accessing public test data',
      );
    }

    strikeVerdict(located);
    accept(signals);

    return true;
  };

  return {
    sendSignal: ({ input }: { input: SignalInput }, caller: Caller) =>
      receive([{ signal: input, pointer: '/input' }], caller),

    sendSignals: ({ input }: { input: { signals: SignalInput[] } }, caller: Caller) => {
      if (input.signals.length > BATCH_MAX) {
        refuseIfAny({ '/input/signals': `Must hold at most ${BATCH_MAX} signals` });
      }

      return receive(
        input.signals.map((signal, n) => ({ signal, pointer: `/input/signals/${n}` })),
        caller,
      );
    },
  };
};
