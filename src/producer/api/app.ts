import { type ErrorHandler, Hono, type MiddlewareHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';

import type { ApiKey } from '../../config/apiKey.ts';
import type { DeadLetters } from '../../deadLetters/deadLetters.ts';
import { boundText } from '../../observability/boundValue.ts';
import type { Logger } from '../../observability/logger.ts';
import type { ExplainFailure } from '../../queue/failure.ts';
import type { QueueStatus } from '../../queue/status.ts';
import { answerOtherMethods } from '../../runtime/otherMethods.ts';
import { ERASE_TIMEOUT_MS } from '../../seekTokens/eraseApplication.ts';
import {
  IdempotencyConflictError,
  InvalidIdentifierError,
  InvalidSeekTokenError,
  InvalidSignalError,
  QueueUnavailableError,
} from '../errors.ts';
import { type ApplicationDeps, createApplicationRoutes } from './applications.ts';
import { type Caller, requireApiKey } from './authenticate.ts';
import { type Available, createAvailable } from './available.ts';
import { countBodies, createBodyBudget } from './bodyBudget.ts';
import { createDeadLetterRoutes, type DeadLetterDeps } from './deadLetters.ts';
import {
  createIdentifierRoutes,
  createPositionRoutes,
  createProfileRoutes,
  type IdentifierDeps,
} from './identifiers.ts';
import { openApiDocument } from './openapi.ts';
import { TooManyBytesError } from './readRequest.ts';
import { createReportUnavailable, MAX_LOGGED_PATH } from './reportUnavailable.ts';
import { createSignalRoutes, type SignalDeps } from './signals.ts';

// For calls that walk through many dead letters. Longer than this, a proxy would end the request.
const LONG_TIMEOUT_MS = 60_000;
const RETRY_AFTER_SECONDS = '5';
const BUSY_RETRY_AFTER_SECONDS = '1';

const OPENAPI = JSON.stringify(openApiDocument);

type Deps = SignalDeps &
  Omit<DeadLetterDeps, 'available'> &
  ApplicationDeps &
  IdentifierDeps & {
    /** The current keys; they can change while the process runs. */
    apiKeys: () => readonly ApiKey[];
    status: () => Promise<QueueStatus>;
    explainFailure: ExplainFailure;
    /** Health checks and metrics. They require no key. */
    probes: Hono;
  };

/** The HTTP API of the producer. */
export const createApp = ({ apiKeys, status, probes, ...deps }: Deps): Hono<Caller> => {
  // A trailing slash is no other resource.
  const app = new Hono<Caller>({ strict: false });
  const available = createAvailable(deps.explainFailure);

  app.use(setSecurityHeaders, answerOtherMethods(app));
  app.route('/', probes);
  app.get('/openapi.json', (c) => c.body(OPENAPI, 200, { 'content-type': 'application/json' }));

  app.use(requireApiKey({ keys: apiKeys, logger: deps.logger }));
  app.use(countBodies(createBodyBudget()));
  app.get('/status', async (c) => c.json(await available(status)()));
  app.route(
    '/signals',
    createSignalRoutes({
      ...deps,
      find: available(deps.find),
      search: available(deps.search),
    }),
  );
  app.route(
    '/dead-letters',
    createDeadLetterRoutes({
      ...deps,
      available,
      deadLetters: withTimeouts(deps.deadLetters, available),
    }),
  );

  const { find, expiring } = deps.seekTokens;
  app.route(
    '/applications',
    createApplicationRoutes({
      ...deps,
      seekTokens: { find: available(find), expiring: available(expiring) },
      eraseApplication: available(deps.eraseApplication, ERASE_TIMEOUT_MS),
    }),
  );

  const identifiers: IdentifierDeps = {
    ...deps,
    seekTokens: {
      findCandidateApplicationProfile: available(deps.seekTokens.findCandidateApplicationProfile),
    },
    positions: {
      find: available(deps.positions.find),
    },
  };
  app.route('/applications', createProfileRoutes(identifiers));
  app.route('/positions', createPositionRoutes(identifiers));
  app.route('/identifiers', createIdentifierRoutes(identifiers));

  app.notFound((c) => c.json({ message: 'No such path; see /openapi.json' }, 404));
  app.onError(handleError(deps.logger));

  return app;
};

/** Maps errors to responses. */
const handleError = (logger: Logger): ErrorHandler<Caller> => {
  const reportUnavailable = createReportUnavailable(logger);
  return (err, c) => {
    if (
      err instanceof InvalidSignalError ||
      err instanceof InvalidSeekTokenError ||
      err instanceof InvalidIdentifierError
    ) {
      const { invalidFields } = err;
      return c.json({ message: 'Input validation failed', invalidFields }, 422);
    }
    if (err instanceof IdempotencyConflictError) {
      return c.json({ message: err.message, signalId: err.signalId }, 409);
    }
    if (err instanceof QueueUnavailableError) {
      reportUnavailable(err, c.req.path);
      const { code, message } = err;
      return c.json({ message, code }, 503, { 'retry-after': RETRY_AFTER_SECONDS });
    }
    if (err instanceof TooManyBytesError) {
      const { message } = err;
      const headers = { 'retry-after': BUSY_RETRY_AFTER_SECONDS };
      return c.json({ message, code: 'TOO_MANY_BYTES' }, 503, headers);
    }
    if (err instanceof HTTPException) {
      // The rest of the body was not read, so the connection cannot carry another request.
      if (err.status === 413) c.header('connection', 'close');
      return err.res ?? c.json({ message: err.message }, err.status);
    }
    const path = boundText(c.req.path, MAX_LOGGED_PATH);
    logger.error({ err, path }, 'Request failed: internal error');
    return c.json({ message: 'Internal error' }, 500);
  };
};

// Responses hold personal data, and an export holds tokens: no cache may store them.
const setSecurityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  c.header('cache-control', 'no-store');
  c.header('x-content-type-options', 'nosniff');
};

const withTimeouts = (
  {
    get,
    list,
    count,
    redrive,
    wouldRedrive,
    redriveMany,
    previewRedrive,
    noteRedriver,
    discard,
  }: DeadLetters,
  available: Available,
): DeadLetters => ({
  get: available(get),
  list: available(list),
  count: available(count, LONG_TIMEOUT_MS),
  redrive: available(redrive),
  redriveMany: available(redriveMany, LONG_TIMEOUT_MS),
  wouldRedrive: available(wouldRedrive),
  previewRedrive: available(previewRedrive, LONG_TIMEOUT_MS),
  noteRedriver: available(noteRedriver),
  discard: available(discard),
});
