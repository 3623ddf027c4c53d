import type { Logger } from '../observability/logger.ts';
import { withDeadline } from '../runtime/async.ts';
import { toInvalidFields } from '../schemas/invalidFields.ts';
import { SeekTokenInputSchema } from '../schemas/seekToken.ts';
import type { SeekTokens } from '../seekTokens/registry.ts';
import { ENQUEUE_TIMEOUT_MS } from './enqueue.ts';
import { InvalidSeekTokenError, QueueUnavailableError } from './errors.ts';

type Deps = {
  tokens: Pick<SeekTokens, 'record'>;
  /** Resolves once the replicas that are asked for have what was written since. */
  replicated: (since: number) => Promise<void>;
  deadlineMs?: number;
  logger: Logger;
  now?: () => number;
};

/** Records a seek token, and resolves with what the caller should look at. */
export const createRecordSeekToken =
  ({ tokens, replicated, deadlineMs = ENQUEUE_TIMEOUT_MS, logger, now = Date.now }: Deps) =>
  async (input: unknown): Promise<{ warnings?: string[] }> => {
    const parsed = SeekTokenInputSchema.safeParse(withDate(input), { reportInput: true });
    if (!parsed.success) throw new InvalidSeekTokenError(toInvalidFields(parsed.error));
    const { applicationId, token, source, receivedAt } = parsed.data;
    const at = new Date(receivedAt ?? now());
    if (at.getTime() > now() + MAX_AHEAD_MS) {
      throw new InvalidSeekTokenError({ '/receivedAt': 'Must not lie in the future' });
    }

    const record = async () => {
      const since = performance.now();
      const recorded = await tokens.record(applicationId, {
        ...{ token, source, receivedAt: at.toISOString() },
      });
      await replicated(since);
      return recorded;
    };
    const unavailable = (cause?: unknown) => new QueueUnavailableError({ cause });
    const recording = record().catch((cause: unknown) => {
      throw unavailable(cause);
    });
    const { sharedWith, erasedSince } = await withDeadline(recording, deadlineMs, unavailable);
    if (erasedSince) {
      logger.warn({ applicationId, source }, 'token.rejectedAsErased');
      return { warnings: ['/receivedAt: the application was erased since; nothing was recorded'] };
    }
    if (sharedWith === undefined) {
      logger.info({ applicationId, source }, 'token.recorded');
      return {};
    }
    // developer.seek.com, "SendSignalInput": tokens are not to be used for several applications. It may
    // be the first one that is wrong, so nothing is refused.
    logger.warn({ applicationId, source, sharedWith }, 'token.shared');
    return { warnings: [`/token: was recorded for another application before (${sharedWith})`] };
  };

export type RecordSeekToken = ReturnType<typeof createRecordSeekToken>;

// Clocks differ; what is received tomorrow is a mistake.
const MAX_AHEAD_MS = 24 * 60 * 60 * 1000;

const withDate = (input: unknown): unknown =>
  typeof input === 'object' &&
  input !== null &&
  'receivedAt' in input &&
  input.receivedAt instanceof Date &&
  !Number.isNaN(input.receivedAt.getTime())
    ? { ...input, receivedAt: input.receivedAt.toISOString() }
    : input;
