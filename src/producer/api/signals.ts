import { type Context, Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import * as z from 'zod';

import type { Logger } from '../../observability/logger.ts';
import type { Tracer } from '../../observability/tracing.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import { type Enqueue, toResults } from '../enqueue.ts';
import { InvalidSignalError } from '../errors.ts';
import type { Criterion, Search } from '../search.ts';
import type { Caller } from './authenticate.ts';
import { count, readJson, readQuery } from './readRequest.ts';
import { traceRequests } from './traceRequests.ts';

const MAX_BATCH_SIZE = 1000;
const MAX_LIMIT = 1000;
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;

const text = z.string().min(1, 'Must not be empty');
const CRITERIA = ['requestId', 'applicationId', 'positionProfileId', 'idempotencyKey'];
const SearchSchema = z.strictObject({
  requestId: text.optional(),
  applicationId: text.optional(),
  positionProfileId: text.optional(),
  idempotencyKey: text.optional(),
  from: text.optional(),
  limit: count.max(MAX_LIMIT, `Expected at most ${MAX_LIMIT}`).optional(),
});

export type SignalDeps = {
  enqueue: Enqueue;
  find: (signalId: string) => Promise<SignalRecord | undefined>;
  search: Search;
  logger: Logger;
  logBodies: boolean;
  /** Set if requests are traced. */
  tracer?: Tracer | undefined;
};

/** `/signals`: accepts and finds signals. Answers 202 only after the queue has acknowledged the write. */
export const createSignalRoutes = ({ enqueue, find, search, tracer, ...deps }: SignalDeps) => {
  const { logger, logBodies } = deps;
  const app = new Hono<Caller>();
  const bodyLogger = logBodies ? logger : undefined;

  if (tracer !== undefined) app.on('POST', ['/', '/batch'], traceRequests(tracer));

  app.post('/', async (c) => {
    const idempotencyKey = readIdempotencyKey(c);
    const signal = await readJson(c, { mebibytes: 1, logger: bodyLogger });
    const [result] = await enqueue([signal], { from: c.get('keyName'), idempotencyKey });
    if (result instanceof Error) throw result;
    return c.json(result, 202);
  });

  app.post('/batch', async (c) => {
    const signals = readBatch(await readJson(c, { mebibytes: 4, logger: bodyLogger }));
    const results = await enqueue(signals, { from: c.get('keyName') });
    return c.json({ results: toResults(results) }, 202);
  });

  app.get('/', async (c) => {
    const { limit = 100, from = c.get('keyName'), ...by } = readQuery(SearchSchema, c.req.query());
    const { requestId, applicationId, positionProfileId, idempotencyKey } = by;
    const criteria: Criterion[] = [
      ...(requestId === undefined ? [] : [{ requestId }]),
      ...(applicationId === undefined ? [] : [{ applicationId }]),
      ...(positionProfileId === undefined ? [] : [{ positionProfileId }]),
      ...(idempotencyKey === undefined ? [] : [{ idempotencyKey, from }]),
    ];
    const [criterion, ...more] = criteria;
    if (criterion === undefined || more.length > 0) {
      throw new HTTPException(422, { message: `Give exactly one of ${CRITERIA.join(', ')}` });
    }
    return c.json({ signals: await search(criterion, limit) });
  });

  app.get('/:signalId', async (c) => {
    const record = await find(c.req.param('signalId'));
    if (record === undefined)
      throw new HTTPException(404, { message: 'No signal is stored under this id' });
    return c.json(record);
  });

  return app;
};

const readIdempotencyKey = (c: Context): string | undefined => {
  const key = c.req.header('idempotency-key');
  if (key !== undefined && !IDEMPOTENCY_KEY.test(key)) {
    throw new HTTPException(400, {
      message: 'Idempotency-Key must be 1 to 255 printable ASCII characters',
    });
  }
  return key;
};

const readBatch = (body: unknown): unknown[] => {
  const signals =
    typeof body === 'object' && body !== null && 'signals' in body ? body.signals : undefined;
  if (!Array.isArray(signals)) throw new InvalidSignalError({ '/signals': 'Expected a list' });
  if (signals.length > MAX_BATCH_SIZE) {
    throw new InvalidSignalError({ '/signals': `Must hold at most ${MAX_BATCH_SIZE} signals` });
  }
  return signals;
};
