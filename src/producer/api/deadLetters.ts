import { type Context, Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import * as z from 'zod';

import type { DeadLetters } from '../../deadLetters/deadLetters.ts';
import { TextSchema } from '../../schemas/identifiers.ts';
import type { Caller } from './authenticate.ts';
import { createDeadLetterFileRoutes, type DeadLetterFileDeps } from './deadLetterFiles.ts';
import {
  CountSchema,
  ListSchema,
  RedriveOneSchema,
  RedriveSchema,
  readJson,
  readQuery,
} from './readRequest.ts';

// By then the answer was that the queue is not available.
const GIVEN_UP_AFTER_MS = 61_000;

const DiscardSchema = z.object({ reason: TextSchema.optional() });

export type DeadLetterDeps = DeadLetterFileDeps & {
  deadLetters: DeadLetters;
  onDiscarded: () => void;
  /** Fires when the process is told to stop. */
  stopping: AbortSignal;
};

/** `/dead-letters`: look at them, put them back, let them go. */
export const createDeadLetterRoutes = ({
  deadLetters,
  onDiscarded,
  stopping,
  ...deps
}: DeadLetterDeps) => {
  const { logger } = deps;
  const app = new Hono<Caller>();

  app.get('/', async (c) => c.json(await deadLetters.list(readQuery(ListSchema, c.req.query()))));

  app.get('/counts', async (c) =>
    c.json({ counts: await deadLetters.count(readQuery(CountSchema, c.req.query())) }),
  );

  app.post('/redrive', async (c) => {
    const { dryRun, rate, ...filter } = readQuery(RedriveSchema, {
      ...{ ...c.req.query(), ...(await readFilter(c)) },
    });
    if (dryRun) return c.json(await deadLetters.previewRedrive(filter));
    const by = c.get('keyName');
    // Who has gone away does not want it any more; nor is it to outlive its own answer.
    const stops = [c.req.raw.signal, stopping, AbortSignal.timeout(GIVEN_UP_AFTER_MS)];
    const signal = AbortSignal.any(stops);
    const run = await deadLetters.redriveMany(filter, by, { rate, signal });
    const { redriven, invalid, more } = run;
    logger.info({ by, redriven, invalid, more }, 'Redrive requested');
    return c.json(run, 202);
  });

  app.route('/', createDeadLetterFileRoutes(deps));

  app.get('/:signalId', async (c) => {
    const deadLetter = await deadLetters.get(readSignalId(c));
    if (deadLetter === undefined) throw notFound();
    return c.json(deadLetter);
  });

  app.post('/:signalId/redrive', async (c) => {
    const signalId = readSignalId(c);
    const { dryRun } = readQuery(RedriveOneSchema, c.req.query());
    const by = c.get('keyName');
    const outcome = await (dryRun
      ? deadLetters.wouldRedrive(signalId)
      : deadLetters.redrive(signalId, by));
    if (outcome.kind === 'not-found') throw notFound();
    if (outcome.kind === 'busy') throw busy();
    if (outcome.kind === 'invalid') {
      const { invalidFields } = outcome;
      return c.json({ message: 'It would not be accepted today', invalidFields }, 422);
    }
    if (dryRun) return c.json({ signalId });
    logger.info({ by, signalId }, 'Redrive requested');
    return c.json({ signalId }, 202);
  });

  app.delete('/:signalId', async (c) => {
    const signalId = readSignalId(c);
    const by = c.get('keyName');
    const { reason = 'no reason given' } = readQuery(DiscardSchema, c.req.query());
    const outcome = await deadLetters.discard(signalId, reason, by);
    if (outcome === 'not-found') throw notFound();
    if (outcome === 'busy') throw busy();
    onDiscarded();
    logger.warn({ by, signalId, reason }, 'signal.discarded');
    return c.body(null, 204);
  });

  return app;
};

// Not always a UUID: a job that somebody else put into the queue has a name of its own.
const readSignalId = (c: Context): string => {
  const signalId = c.req.param('signalId') ?? '';
  if (/\p{Cc}/u.test(signalId)) throw notFound();
  return signalId;
};

const notFound = () => new HTTPException(404, { message: 'No such dead letter' });

const busy = () =>
  new HTTPException(409, {
    message: 'The dead letter is on its way back to the queue; look again',
  });

/** A filter may come in the query or as JSON; none of either takes every dead letter. */
const readFilter = async (c: Context): Promise<Record<string, unknown>> => {
  const given = await readJson(c, { mebibytes: 1, ifEmpty: {} });
  const body = z.record(z.string(), z.unknown()).safeParse(given);
  if (!body.success) throw new HTTPException(400, { message: 'The body is not a JSON object' });
  return body.data;
};
