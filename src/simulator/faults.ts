import {
  type Fault,
  type FaultInput,
  FaultSchema,
  type FaultStage,
  type FaultsByStage,
  STAGES,
} from './faultSchema.ts';
import { type Answer, graphqlAnswer } from './graphql/answer.ts';
import { refusal } from './graphql/graphqlErrors.ts';

/** As much of a signal as a fault looks at; before validation it may be anything. */
export type Matchable = {
  typeCode?: unknown;
  token?: unknown;
  candidateApplicationProfileId?: unknown;
  positionProfileIds?: unknown;
};

export type ArmedFault = { id: string; struck: number; fault: Fault };

export type Faults = {
  /** Throws a ZodError that names every problem. */
  arm: (fault: FaultInput) => ArmedFault;
  disarm: (id: string) => boolean;
  clear: () => void;
  list: () => ArmedFault[];
  /** The fault that strikes now, if any: the one armed first goes first. */
  take: <S extends FaultStage>(
    stage: S,
    signals?: readonly Matchable[],
  ) => FaultsByStage[S] | undefined;
};

/** Does this fault concern this signal? One without conditions concerns all. */
export const concerns = (fault: Fault, signal: Matchable): boolean => {
  const { typeCode, contains } = { typeCode: undefined, contains: undefined, ...fault };
  const names = [signal.token, signal.candidateApplicationProfileId, signal.positionProfileIds];

  return (
    (typeCode === undefined || signal.typeCode === typeCode) &&
    (contains === undefined ||
      names.flat().some((name) => typeof name === 'string' && name.includes(contains)))
  );
};

const isOfStage = <S extends FaultStage>(fault: Fault, stage: S): fault is FaultsByStage[S] =>
  STAGES[fault.kind] === stage;

// A request that carries no readable signal is still struck by a fault without conditions.
const couldStrike = (fault: Fault, signals: readonly Matchable[]) =>
  [...signals, ...(signals.length === 0 ? [{}] : [])].some((signal) => concerns(fault, signal));

export const createFaults = ({ random }: { random: () => number }): Faults => {
  const armed = new Map<string, ArmedFault>();
  let lastId = 0;

  const strikes = ({ id, struck, fault: { rate, next } }: ArmedFault): boolean => {
    if (rate !== undefined) {
      return random() < rate;
    }

    if (struck + 1 === next) {
      armed.delete(id);
    }

    return true;
  };

  return {
    arm: (input) => {
      lastId += 1;

      const entry = { id: String(lastId), struck: 0, fault: FaultSchema.parse(input) };
      armed.set(entry.id, entry);

      return entry;
    },

    disarm: (id) => armed.delete(id),
    clear: () => armed.clear(),
    list: () => [...armed.values()],

    take: (stage, signals = []) => {
      for (const entry of armed.values()) {
        const { fault } = entry;

        if (isOfStage(fault, stage) && couldStrike(fault, signals) && strikes(entry)) {
          entry.struck += 1;

          return fault;
        }
      }

      return undefined;
    },
  };
};

type Deps = { expireTokens: () => void; respond: () => Answer };

const failed = (code: string, message: string, status = 200): Answer =>
  graphqlAnswer({ errors: [refusal(code, message)] }, status);

/** What a fault makes of a request. `respond` is how it would be answered without one. */
export const strike = (
  fault: FaultsByStage['arrival'],
  { expireTokens, respond }: Deps,
): Answer => {
  switch (fault.kind) {
    case 'internalServerError':
      return failed('INTERNAL_SERVER_ERROR', 'Something went wrong');
    case 'unauthenticated':
      return failed('UNAUTHENTICATED', 'The access token is not valid');
    case 'unknownCode':
      return failed(fault.code, 'Something new went wrong');
    case 'rateLimited': {
      const limited = failed('RATE_LIMITED', 'Too many requests', fault.status);
      const seconds = fault.retryAfterSeconds;

      return seconds === undefined
        ? limited
        : { ...limited, headers: { ...limited.headers, 'retry-after': String(seconds) } };
    }
    case 'html502':
      return {
        outcome: 'html502',
        status: 502,
        headers: { 'content-type': 'text/html' },
        body: '<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>',
        arrives: 'whole',
      };
    case 'emptyBody':
      return { outcome: 'emptyBody', status: 200, headers: {}, body: '', arrives: 'whole' };
    case 'expireTokens':
      expireTokens();
      return respond();
    case 'cutOff':
      return { ...respond(), arrives: 'half' };
    case 'reset':
      return { outcome: 'reset', status: 0, headers: {}, body: '', arrives: 'nothing' };
  }
};
