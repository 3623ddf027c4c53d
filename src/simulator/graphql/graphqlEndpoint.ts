import type { Context } from 'hono';
import { isObject } from '../../schemas/json.ts';

import type { AccessTokens } from '../accessTokens.ts';
import { applyFault, type Faults, type MatchableSignal } from '../faults.ts';
import { fingerprint, type WriteLog } from '../log.ts';
import type { AcceptedSignal, RecordedRequest, RingBuffer } from '../records.ts';
import { createHeaderCheck } from '../requestHeaders.ts';
import type { Settings } from '../settings.ts';
import { executeOperation } from './execute.ts';
import { badUserInput, errorWithCode } from './graphqlErrors.ts';
import {
  type GraphqlResponse,
  type SimulatorEnv,
  send,
  toGraphqlResponse,
} from './graphqlResponse.ts';
import { createResolvers, type ResolverContext } from './resolvers.ts';
import { buildSeekSchema } from './schema.ts';

type Deps = {
  tokens: AccessTokens;
  settings: Settings;
  faults: Faults;
  signals: RingBuffer<AcceptedSignal>;
  requests: RingBuffer<RecordedRequest>;
  /** How many request ids are stored to detect a repeated one. */
  maxRecords: number;
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
  log: WriteLog;
};

type ReceivedRequest = {
  requestId: string | undefined;
  bearer: string | undefined;
  headerProblems: string[];
  receivedAt: number;
  body: unknown;
};

/** The signals in variables that are not validated yet. Faults are matched against them. */
const signalsIn = (variables: unknown): MatchableSignal[] =>
  (isObject(variables) ? Object.values(variables) : [])
    .flatMap((input) => (isObject(input) && 'signals' in input ? input.signals : input))
    .filter(isObject);

const bearerIn = (authorization: string | undefined): string | undefined =>
  /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];

/** `POST /graphql`. */
export const createGraphqlEndpoint = (deps: Deps) => {
  const { tokens, faults, requests, now, sleep, log } = deps;
  const checkHeaders = createHeaderCheck({ maxRequestIds: deps.maxRecords });
  const respond = createResponder(deps);

  const read = async ({ req }: Context): Promise<ReceivedRequest> => {
    const requestId = req.header('x-request-id');

    return {
      requestId,
      bearer: bearerIn(req.header('authorization')),
      headerProblems: checkHeaders({
        requestId,
        userAgent: req.header('user-agent'),
        contentType: req.header('content-type'),
      }),
      receivedAt: now(),
      body: await req.json().catch(() => undefined),
    };
  };

  return async (c: Context<SimulatorEnv>): Promise<Response> => {
    const request = await read(c);
    const { requestId, bearer, receivedAt, body } = request;
    const variables = isObject(body) ? body.variables : undefined;
    const sent = signalsIn(variables);

    const delay = faults.take('delay', sent);

    if (delay) {
      await sleep(delay.delayMs);
    }

    const fault = faults.take('request', sent);
    const response = fault
      ? applyFault(fault, { expireTokens: tokens.expireAll, respond: () => respond(request) })
      : respond(request);

    const summary = {
      requestId,
      outcome: response.outcome,
      fault: fault?.kind ?? delay?.kind,
      signalCount: sent.length,
    };
    const accessToken = bearer === undefined ? undefined : fingerprint(bearer);
    requests.add({ ...summary, receivedAt, accessToken, variables });
    log({ ...summary, status: response.status }, 'GraphQL request answered');

    return send(c, response);
  };
};

/** Responds as SEEK does without a fault: checks the access token and the headers, then executes the request. */
const createResponder = ({ tokens, settings, faults, signals, now }: Deps) => {
  const schema = buildSeekSchema();
  const rootValue = createResolvers({ faults, settings, now });

  return (request: ReceivedRequest): GraphqlResponse => {
    const { bearer, requestId, headerProblems, receivedAt, body } = request;
    const audience = bearer === undefined ? undefined : tokens.audienceOf(bearer);

    if (bearer === undefined || audience === undefined) {
      const message = 'The access token is missing, unknown or expired';

      return toGraphqlResponse({ errors: [errorWithCode('UNAUTHENTICATED', message)] });
    }

    if (settings.get().strictHeaders && headerProblems.length > 0) {
      return toGraphqlResponse({ errors: [badUserInput(headerProblems.join('; '))] });
    }

    const accessToken = fingerprint(bearer);
    const context: ResolverContext = {
      audience,
      accept: (accepted) => {
        for (const input of accepted) {
          signals.add({ input, requestId, receivedAt, audience, accessToken });
        }
      },
    };

    return toGraphqlResponse(executeOperation({ schema, rootValue, body, context }));
  };
};
