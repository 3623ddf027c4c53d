import type { Context } from 'hono';
import { isObject } from '../../schemas/json.ts';

import type { AccessTokens } from '../accessTokens.ts';
import type { Faults, Matchable } from '../faults.ts';
import { strike } from '../faults.ts';
import type { Log } from '../log.ts';
import { fingerprint } from '../log.ts';
import type { AcceptedSignal, History, RecordedRequest } from '../records.ts';
import { createHeaderCheck } from '../requestHeaders.ts';
import type { Settings } from '../settings.ts';
import { type Answer, graphqlAnswer, type SimulatorEnv, send } from './answer.ts';
import { executeOperation } from './execute.ts';
import { badUserInput, refusal } from './graphqlErrors.ts';
import { type Caller, createResolvers } from './resolvers.ts';
import { buildSeekSchema } from './schema.ts';

type Deps = {
  tokens: AccessTokens;
  settings: Settings;
  faults: Faults;
  signals: History<AcceptedSignal>;
  requests: History<RecordedRequest>;
  keep: number;
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
  log: Log;
};

type Received = {
  requestId: string | undefined;
  bearer: string | undefined;
  headerProblems: string[];
  receivedAt: number;
  body: unknown;
};

/** The signals in variables that nobody has validated yet: faults look at them. */
const signalsIn = (variables: unknown): Matchable[] =>
  (isObject(variables) ? Object.values(variables) : [])
    .flatMap((input) => (isObject(input) && 'signals' in input ? input.signals : input))
    .filter(isObject);

const bearerIn = (authorization: string | undefined): string | undefined =>
  /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];

/** `POST /graphql`. */
export const createGraphqlEndpoint = (deps: Deps) => {
  const { tokens, settings, faults, signals, requests, now, sleep, log } = deps;
  const schema = buildSeekSchema();
  const rootValue = createResolvers({ faults, settings, now });
  const checkHeaders = createHeaderCheck(deps);

  const read = async ({ req }: Context): Promise<Received> => {
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

  /** How SEEK answers when nothing is the matter with SEEK. */
  const respond = ({ bearer, requestId, headerProblems, receivedAt, body }: Received): Answer => {
    const audience = bearer === undefined ? undefined : tokens.audienceOf(bearer);

    if (bearer === undefined || audience === undefined) {
      const error = refusal('UNAUTHENTICATED', 'The access token is missing, unknown or expired');

      return graphqlAnswer({ errors: [error] });
    }

    if (settings.get().strictHeaders && headerProblems.length > 0) {
      return graphqlAnswer({ errors: [badUserInput(headerProblems.join('; '))] });
    }

    const accessToken = fingerprint(bearer);
    const caller: Caller = {
      audience,
      accept: (accepted) => {
        for (const input of accepted) {
          signals.add({ input, requestId, receivedAt, audience, accessToken });
        }
      },
    };

    return graphqlAnswer(executeOperation({ schema, rootValue, body, caller }));
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

    const fault = faults.take('arrival', sent);
    const answer = fault
      ? strike(fault, { expireTokens: tokens.expireAll, respond: () => respond(request) })
      : respond(request);

    const seen = {
      requestId,
      outcome: answer.outcome,
      fault: fault?.kind ?? delay?.kind,
      signalCount: sent.length,
    };
    const accessToken = bearer === undefined ? undefined : fingerprint(bearer);
    requests.add({ ...seen, receivedAt, accessToken, variables });
    log({ ...seen, status: answer.status }, 'GraphQL request answered');

    return send(c, answer);
  };
};
