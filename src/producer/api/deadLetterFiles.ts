import { type Context, Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ExportDeadLetters, ImportDeadLetters } from '../../deadLetters/transfer.ts';
import { writeExportLine } from '../../deadLetters/transfer.ts';
import type { Logger } from '../../observability/logger.ts';
import type { ExplainFailure } from '../../queue/failure.ts';
import type { Caller } from './authenticate.ts';
import type { Available } from './available.ts';
import { ExportSchema, readBody, readQuery } from './readRequest.ts';

const MAX_IMPORT_MEBIBYTES = 4;
const MAX_IMPORT_LINES = 1_000;
const TIMEOUT_MS = 60_000;
const LINE_BREAK = 0x0a;

export type DeadLetterFileDeps = {
  exportDeadLetters: ExportDeadLetters;
  importDeadLetters: ImportDeadLetters;
  available: Available;
  explainFailure: ExplainFailure;
  logger: Logger;
};

/** `/dead-letters/export` and `/dead-letters/import`: complete dead letters as NDJSON. */
export const createDeadLetterFileRoutes = ({
  exportDeadLetters,
  importDeadLetters,
  available,
  explainFailure,
  logger,
}: DeadLetterFileDeps) => {
  const app = new Hono<Caller>();
  const importWithTimeout = available(importDeadLetters, TIMEOUT_MS);

  app.get('/export', async (c) => {
    const by = c.get('keyName');
    const deadLetters = exportDeadLetters(readQuery(ExportSchema, c.req.query()));
    // Reads the first one before the response begins: until then, a failure can still be answered with 503.
    const first = await available(() => deadLetters.next(), TIMEOUT_MS)();
    const onEnd: OnExportEnd = (exported, isComplete, err) =>
      logger.warn(
        { by, exported, isComplete, ...errorField(err, explainFailure) },
        'deadLetters.exported',
      );
    const body = toStream(first, deadLetters, onEnd);
    return c.body(body, 200, { 'content-type': 'application/x-ndjson' });
  });

  app.post('/import', async (c) => {
    const lines = await readLines(c);
    const outcome = await importWithTimeout(lines);
    const { imported, skipped, invalid } = outcome;
    logger.warn(
      { by: c.get('keyName'), imported, skipped, invalid: invalid.length },
      'deadLetters.imported',
    );
    return c.json(outcome);
  });

  return app;
};

type OnExportEnd = (exported: number, isComplete: boolean, err?: unknown) => void;

const errorField = (cause: unknown, explainFailure: ExplainFailure) => {
  if (cause === undefined) return {};
  const { code, message: reason } = explainFailure(cause);
  return { code, reason };
};

type DeadLetterIterator = ReturnType<ExportDeadLetters>;
type Step = Awaited<ReturnType<DeadLetterIterator['next']>>;

/** Streams an export. A failure breaks the connection, so that an incomplete export cannot look complete. */
const toStream = (
  first: Step,
  deadLetters: DeadLetterIterator,
  onEnd: OnExportEnd,
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
        // The next pull awaits it. Until then, its rejection must not end the process.
        next.catch(() => {});
      } catch (err) {
        onEnd(exported, false, err);
        // Without the cause, which the server would print.
        controller.error(new Error('The export was interrupted'));
      }
    },
    cancel: async () => {
      onEnd(exported, false);
      await deadLetters.return(undefined);
    },
  });
};

const readLines = async (c: Context): Promise<Uint8Array[]> => {
  const bytes = await readBody(c, MAX_IMPORT_MEBIBYTES);
  const lines: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const end = bytes.indexOf(LINE_BREAK, at);
    const next = end === -1 ? bytes.byteLength : end;
    lines.push(bytes.subarray(at, next));
    if (lines.length > MAX_IMPORT_LINES) {
      throw new HTTPException(413, { message: `The body has over ${MAX_IMPORT_LINES} lines` });
    }
    at = next + 1;
  }
  return lines;
};
