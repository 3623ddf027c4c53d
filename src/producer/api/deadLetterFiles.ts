import { type Context, Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ExportDeadLetters, ImportDeadLetters } from '../../deadLetters/transfer.ts';
import { writeExportLine } from '../../deadLetters/transfer.ts';
import type { Logger } from '../../observability/logger.ts';
import { QueueUnavailableError } from '../errors.ts';
import type { Caller } from './authenticate.ts';
import { available } from './available.ts';
import { ExportSchema, readBody, readQuery } from './readRequest.ts';

const IMPORT_MEBIBYTES = 4;
const MOST_LINES = 1_000;
const DEADLINE_MS = 60_000;
const LINE_BREAK = 0x0a;

export type DeadLetterFileDeps = {
  exportDeadLetters: ExportDeadLetters;
  importDeadLetters: ImportDeadLetters;
  logger: Logger;
};

/** `/dead-letters/export` and `/import`: dead letters whole, one a line. */
export const createDeadLetterFileRoutes = ({
  exportDeadLetters,
  importDeadLetters,
  logger,
}: DeadLetterFileDeps) => {
  const app = new Hono<Caller>();
  const importInTime = available(importDeadLetters, DEADLINE_MS);

  app.get('/export', async (c) => {
    const by = c.get('keyName');
    const deadLetters = exportDeadLetters(readQuery(ExportSchema, c.req.query()));
    // As long as nothing has been answered, it can be said that the queue is away.
    const first = await available(() => deadLetters.next(), DEADLINE_MS)();
    const onEnd = (exported: number, isWhole: boolean, err?: unknown): void =>
      logger.warn({ by, exported, isWhole, ...ailment(err) }, 'deadLetters.exported');
    const body = toStream(first, deadLetters, onEnd);
    return c.body(body, 200, { 'content-type': 'application/x-ndjson' });
  });

  app.post('/import', async (c) => {
    const lines = await readLines(c);
    const outcome = await importInTime(lines);
    const { imported, skipped, invalid } = outcome;
    logger.warn(
      { by: c.get('keyName'), imported, skipped, invalid: invalid.length },
      'deadLetters.imported',
    );
    return c.json(outcome);
  });

  return app;
};

const ailment = (cause: unknown) =>
  cause === undefined ? {} : { err: new QueueUnavailableError({ cause }) };

type Letters = ReturnType<ExportDeadLetters>;
type Step = Awaited<ReturnType<Letters['next']>>;

/** Ends as a whole, or breaks off: what is cut short must not look like the end. */
const toStream = (
  first: Step,
  deadLetters: Letters,
  onEnd: (exported: number, isWhole: boolean, err?: unknown) => void,
): ReadableStream<Uint8Array> => {
  const encoder = new TextEncoder();
  let exported = 0;
  let next: Promise<Step> = Promise.resolve(first);
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await next;
        if (done) {
          controller.close();
          onEnd(exported, true);
          return;
        }
        controller.enqueue(encoder.encode(writeExportLine(value)));
        exported += 1;
        next = deadLetters.next();
        // Whoever pulls next hears of it.
        next.catch(() => {});
      } catch (err) {
        onEnd(exported, false, err);
        // Without its cause, which the server would write out in its own way.
        controller.error(new Error('The export broke off'));
      }
    },
    cancel: async () => {
      onEnd(exported, false);
      await deadLetters.return(undefined);
    },
  });
};

const readLines = async (c: Context): Promise<Uint8Array[]> => {
  const bytes = await readBody(c, IMPORT_MEBIBYTES);
  const lines: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const end = bytes.indexOf(LINE_BREAK, at);
    const next = end === -1 ? bytes.byteLength : end;
    lines.push(bytes.subarray(at, next));
    if (lines.length > MOST_LINES) {
      throw new HTTPException(413, { message: `The body has over ${MOST_LINES} lines` });
    }
    at = next + 1;
  }
  return lines;
};
