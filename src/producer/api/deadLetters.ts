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

// Stops a redrive whose request was already answered with 503.
const REDRIVE_TIMEOUT_MS = 61_000;

const DiscardSchema = z.object({ reason: TextSchema.optional() });

export type DeadLetterDeps = DeadLetterFileDeps & {
  deadLetters: DeadLetters;
  onDiscarded: () => void;
  /** Aborts when the process shuts down. */
  stopping: AbortSignal;
};

/** `/dead-letters`: lists, redrives and discards dead letters. */
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

  app.post('/redrive', (c) => redriveMatching(c, { deadLetters, stopping, logger }));

  app.route('/', createDeadLetterFileRoutes(deps));

  app.get('/:signalId', async (c) => {
    const deadLetter = await deadLetters.get(readSignalId(c));
    if (deadLetter === undefined) throw notFound();
    return c.json(deadLetter);
  });

  app.post('/:signalId/redrive', (c) => redriveOne(c, { deadLetters, logger }));

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

const redriveMatching = async (
  c: Context<Caller>,
  { deadLetters, stopping, logger }: Pick<DeadLetterDeps, 'deadLetters' | 'stopping' | 'logger'>,
) => {
  const input = { ...c.req.query(), ...(await readFilter(c)) };
  const { dryRun, rate, ...filter } = readQuery(RedriveSchema, input);
  if (dryRun) return c.json(await deadLetters.previewRedrive(filter));
  const by = c.get('keyName');
  // Stops when the client disconnects, on shutdown, and at the latest when the request has timed out.
  const signal = AbortSignal.any([
    c.req.raw.signal,
    stopping,
    AbortSignal.timeout(REDRIVE_TIMEOUT_MS),
  ]);
  const result = await deadLetters.redriveMany(filter, by, { rate, signal });
  const { redriven, invalid, more } = result;
  logger.info({ by, redriven, invalid, more }, 'Redrive requested');
  return c.json(result, 202);
};

const redriveOne = async (
  c: Context<Caller>,
  { deadLetters, logger }: Pick<DeadLetterDeps, 'deadLetters' | 'logger'>,
) => {
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
    return c.json({ message: 'The signal fails validation today', invalidFields }, 422);
  }
  if (dryRun) return c.json({ signalId });
  logger.info({ by, signalId }, 'Redrive requested');
  return c.json({ signalId }, 202);
};

// Not always a UUID: a job that another program added to the queue has an id of its own.
const readSignalId = (c: Context): string => {
  const signalId = c.req.param('signalId') ?? '';
  if (/\p{Cc}/u.test(signalId)) throw notFound();
  return signalId;
};

const notFound = () => new HTTPException(404, { message: 'No such dead letter' });

const busy = () =>
  new HTTPException(409, {
    message: 'The dead letter is being redriven; look up the signal',
  });

/** Reads the filter from the body. An empty filter, here and in the query, matches every dead letter. */
const readFilter = async (c: Context): Promise<Record<string, unknown>> => {
  const given = await readJson(c, { mebibytes: 1, ifEmpty: {} });
  const body = z.record(z.string(), z.unknown()).safeParse(given);
  if (!body.success) throw new HTTPException(400, { message: 'The body is not a JSON object' });
  return body.data;
};
