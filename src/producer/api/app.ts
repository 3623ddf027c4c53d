import { Hono, type MiddlewareHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';

import type { ApiKey } from '../../config/apiKey.ts';
import type { DeadLetters } from '../../deadLetters/deadLetters.ts';
import type { QueueStatus } from '../../queue/status.ts';
import { ERASE_TIMEOUT_MS } from '../../seekTokens/eraseApplication.ts';
import {
  IdempotencyConflictError,
  InvalidSeekTokenError,
  InvalidSignalError,
  QueueUnavailableError,
} from '../errors.ts';
import { type ApplicationDeps, createApplicationRoutes } from './applications.ts';
import { type Caller, requireApiKey } from './authenticate.ts';
import { available } from './available.ts';
import { createDeadLetterRoutes, type DeadLetterDeps } from './deadLetters.ts';
import { openApiDocument } from './openapi.ts';
import { createSignalRoutes, type SignalDeps } from './signals.ts';

// A redrive of many dead letters takes its time; it is bounded by what a proxy would put up with.
const REDRIVE_DEADLINE_MS = 60_000;
const RETRY_AFTER_SECONDS = '5';

type Deps = SignalDeps &
  DeadLetterDeps &
  ApplicationDeps & {
    /** As they are at present. */
    apiKeys: () => readonly ApiKey[];
    status: () => Promise<QueueStatus>;
    /** Health and metrics; they need no key. */
    probes: Hono;
  };

/** The producer over HTTP, for code that is not Node. */
export const createApp = ({ apiKeys, status, probes, ...deps }: Deps): Hono<Caller> => {
  const app = new Hono<Caller>();

  app.use(guarded);
  app.route('/', probes);
  app.get('/openapi.json', (c) => c.json(openApiDocument));

  app.use(requireApiKey(apiKeys));
  app.get('/status', async (c) => c.json(await available(status)()));
  app.route(
    '/signals',
    createSignalRoutes({
      ...deps,
      ...{ find: available(deps.find), search: available(deps.search) },
    }),
  );
  app.route(
    '/dead-letters',
    createDeadLetterRoutes({ ...deps, deadLetters: bounded(deps.deadLetters) }),
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

  app.notFound((c) => c.json({ message: 'There is nothing here; see /openapi.json' }, 404));
  app.onError((err, c) => {
    if (err instanceof InvalidSignalError || err instanceof InvalidSeekTokenError) {
      const { invalidFields } = err;
      return c.json({ message: 'Input validation failed', invalidFields }, 422);
    }
    if (err instanceof IdempotencyConflictError) {
      return c.json({ message: err.message, signalId: err.signalId }, 409);
    }
    if (err instanceof QueueUnavailableError) {
      deps.logger.warn({ err: err.cause ?? err, path: c.req.path }, 'The queue is unavailable');
      return c.json({ message: err.message }, 503, { 'retry-after': RETRY_AFTER_SECONDS });
    }
    if (err instanceof HTTPException) {
      // The rest of a body that is too large is not read, so nothing can follow it.
      if (err.status === 413) c.header('connection', 'close');
      return err.res ?? c.json({ message: err.message }, err.status);
    }
    deps.logger.error({ err, path: c.req.path }, 'Request failed by a fault of ours');
    return c.json({ message: 'Internal error' }, 500);
  });

  return app;
};

// Answers hold what was said of candidates, an export tokens: not for a cache, and nothing but what they say they are.
const guarded: MiddlewareHandler = async (c, next) => {
  await next();
  c.header('cache-control', 'no-store');
  c.header('x-content-type-options', 'nosniff');
};

const bounded = ({
  get,
  list,
  count,
  redrive,
  wouldRedrive,
  redriveMany,
  previewRedrive,
  noteRedriver,
  discard,
}: DeadLetters): DeadLetters => ({
  get: available(get),
  list: available(list),
  count: available(count, REDRIVE_DEADLINE_MS),
  redrive: available(redrive),
  redriveMany: available(redriveMany, REDRIVE_DEADLINE_MS),
  wouldRedrive: available(wouldRedrive),
  previewRedrive: available(previewRedrive, REDRIVE_DEADLINE_MS),
  noteRedriver: available(noteRedriver),
  discard: available(discard),
});
