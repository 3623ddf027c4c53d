import type { Logger } from '../observability/logger.ts';
import type { ExplainFailure } from '../queue/failure.ts';
import type { SeekTokens } from '../seekTokens/registry.ts';
import { orUnavailable } from './available.ts';
import { ENQUEUE_TIMEOUT_MS } from './enqueue.ts';
import { parseSeekToken } from './parseRecording.ts';

type Deps = {
  tokens: Pick<SeekTokens, 'record'>;
  /** Resolves when `waitReplicas` replicas have acknowledged the writes since that time. */
  waitForReplicas: (since: number) => Promise<void>;
  explainFailure: ExplainFailure;
  deadlineMs?: number;
  logger: Logger;
  now?: () => number;
};

/** Validates and records a seek token. Resolves with warnings for the caller. */
export const createRecordSeekToken =
  ({
    tokens,
    waitForReplicas,
    explainFailure,
    deadlineMs = ENQUEUE_TIMEOUT_MS,
    logger,
    now = Date.now,
  }: Deps) =>
  async (input: unknown): Promise<{ warnings?: string[] }> => {
    const { applicationId, ...token } = parseSeekToken(input, now());
    const { source } = token;

    const record = async () => {
      const since = performance.now();
      const recorded = await tokens.record(applicationId, token);
      await waitForReplicas(since);
      return recorded;
    };
    const { sharedWith, erasedSince } = await orUnavailable(record(), deadlineMs, explainFailure);
    if (erasedSince) {
      logger.warn({ applicationId, source }, 'token.rejectedAsErased');
      return {
        warnings: ['/receivedAt: the application was erased after this time; nothing was recorded'],
      };
    }
    if (sharedWith === undefined) {
      logger.info({ applicationId, source }, 'token.recorded');
      return {};
    }
    // SEEK asks not to use one token for several applications (developer.seek.com, "SendSignalInput"). The
    // earlier recording may be the wrong one, so this one is accepted with a warning.
    logger.warn({ applicationId, source, sharedWith }, 'token.shared');
    return { warnings: [`/token: was recorded for another application before (${sharedWith})`] };
  };

export type RecordSeekToken = ReturnType<typeof createRecordSeekToken>;
