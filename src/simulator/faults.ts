import {
  type Fault,
  type FaultInput,
  FaultSchema,
  type FaultStage,
  type FaultsByStage,
  STAGES,
} from './faultSchema.ts';
import { errorWithCode } from './graphql/graphqlErrors.ts';
import { type GraphqlResponse, toGraphqlResponse } from './graphql/graphqlResponse.ts';

/** The fields of a signal that a fault can match. Before validation they can hold anything. */
export type MatchableSignal = {
  typeCode?: unknown;
  token?: unknown;
  candidateApplicationProfileId?: unknown;
  positionProfileIds?: unknown;
};

/** An active fault. */
export type ArmedFault = { id: string; timesApplied: number; fault: Fault };

export type Faults = {
  /** Activates a fault. Throws a ZodError that names every problem. */
  arm: (fault: FaultInput) => ArmedFault;
  disarm: (id: string) => boolean;
  clear: () => void;
  list: () => ArmedFault[];
  /** The fault to apply to this request, if any, in the order of activation. Counts it as applied. */
  take: <S extends FaultStage>(
    stage: S,
    signals?: readonly MatchableSignal[],
  ) => FaultsByStage[S] | undefined;
};

/** Whether the signal matches the filter of the fault. Every signal matches a fault without a filter. */
export const matches = (fault: Fault, signal: MatchableSignal): boolean => {
  const typeCode = 'typeCode' in fault ? fault.typeCode : undefined;
  const contains = 'contains' in fault ? fault.contains : undefined;
  const identifiers = [
    signal.token,
    signal.candidateApplicationProfileId,
    signal.positionProfileIds,
  ];

  return (
    (typeCode === undefined || signal.typeCode === typeCode) &&
    (contains === undefined ||
      identifiers.flat().some((id) => typeof id === 'string' && id.includes(contains)))
  );
};

const isOfStage = <S extends FaultStage>(fault: Fault, stage: S): fault is FaultsByStage[S] =>
  STAGES[fault.kind] === stage;

// A request without a readable signal still matches a fault without a filter.
const matchesAny = (fault: Fault, signals: readonly MatchableSignal[]) =>
  signals.length === 0 ? matches(fault, {}) : signals.some((signal) => matches(fault, signal));

export const createFaults = ({ random }: { random: () => number }): Faults => {
  const armed = new Map<string, ArmedFault>();
  let lastId = 0;

  /** Decides by `rate` or `next`. Removes the fault when `next` is reached. */
  const isDue = ({ id, timesApplied, fault: { rate, next } }: ArmedFault): boolean => {
    if (rate !== undefined) {
      return random() < rate;
    }

    if (timesApplied + 1 === next) {
      armed.delete(id);
    }

    return true;
  };

  return {
    arm: (input) => {
      lastId += 1;

      const entry = { id: String(lastId), timesApplied: 0, fault: FaultSchema.parse(input) };
      armed.set(entry.id, entry);

      return entry;
    },

    disarm: (id) => armed.delete(id),
    clear: () => armed.clear(),
    list: () => [...armed.values()],

    take: (stage, signals = []) => {
      for (const entry of armed.values()) {
        const { fault } = entry;

        if (isOfStage(fault, stage) && matchesAny(fault, signals) && isDue(entry)) {
          entry.timesApplied += 1;

          return fault;
        }
      }

      return undefined;
    },
  };
};

type Deps = {
  expireTokens: () => void;
  /** Responds as without a fault. */
  respond: () => GraphqlResponse;
};

const failure = (code: string, message: string, status = 200): GraphqlResponse =>
  toGraphqlResponse({ errors: [errorWithCode(code, message)] }, status);

/** The response to a request to which a fault is applied. */
export const applyFault = (
  fault: FaultsByStage['request'],
  { expireTokens, respond }: Deps,
): GraphqlResponse => {
  switch (fault.kind) {
    case 'internalServerError':
      return failure('INTERNAL_SERVER_ERROR', 'Something went wrong');
    case 'unauthenticated':
      return failure('UNAUTHENTICATED', 'The access token is not valid');
    case 'unknownCode':
      return failure(fault.code, 'Something new went wrong');
    case 'rateLimited': {
      const limited = failure('RATE_LIMITED', 'Too many requests', fault.status);
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
        sends: 'all',
      };
    case 'emptyBody':
      return { outcome: 'emptyBody', status: 200, headers: {}, body: '', sends: 'all' };
    case 'expireTokens':
      expireTokens();
      return respond();
    case 'cutOff':
      return { ...respond(), sends: 'half' };
    case 'reset':
      return { outcome: 'reset', status: 0, headers: {}, body: '', sends: 'nothing' };
  }
};
