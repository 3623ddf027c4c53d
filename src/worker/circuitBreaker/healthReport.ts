import { classify, isPublicTestData, type SendResult } from '../seek/classify.ts';
import type { SeekFailure } from './transitions.ts';

/** What a request says about the health of SEEK, apart from what it says about its signals. */
export type HealthReport =
  | { kind: 'healthy' }
  /** `certain`: nothing was sent, so no signal can be at fault. */
  | { kind: 'failing'; certain: boolean; failure: SeekFailure }
  | { kind: 'rateLimited'; failure: SeekFailure };

type CompletedSend = Exclude<SendResult, { kind: 'aborted' }>;

// SEEK's codes for its own faults and for our credentials (developer.seek.com, "Error responses").
const FAILING_CODES = new Set(['INTERNAL_SERVER_ERROR', 'UNAUTHENTICATED']);
const RATE_LIMITED = 'RATE_LIMITED';
const TOO_MANY_REQUESTS = 429;
const CONTENT_TOO_LARGE = 413;

/**
 * Derives the health of SEEK from the result of a request. An answer about the signals themselves,
 * including a refusal, means that SEEK is healthy.
 */
export const healthReportOf = (result: CompletedSend): HealthReport => {
  switch (result.kind) {
    case 'accepted':
      return { kind: 'healthy' };
    case 'unreachable':
      return { kind: 'failing', certain: result.unsent, failure: failureOf(result) };
    case 'unreadable':
      // About the size of the request: a batch is split, and a signal that is too large is at fault.
      if (result.status === CONTENT_TOO_LARGE) return { kind: 'healthy' };
      // Includes 404 and its like: if each request gets one, the address is at fault and not a signal.
      return result.status === TOO_MANY_REQUESTS
        ? { kind: 'rateLimited', failure: failureOf(result) }
        : { kind: 'failing', certain: false, failure: failureOf(result) };
    case 'refused': {
      const codes = result.errors
        .filter(({ message }) => !isPublicTestData(message))
        .map(({ extensions }) => extensions?.code ?? '');
      if (codes.includes(RATE_LIMITED) || result.status === TOO_MANY_REQUESTS) {
        return { kind: 'rateLimited', failure: failureOf(result, RATE_LIMITED) };
      }
      const code = codes.find((each) => FAILING_CODES.has(each));
      // A gateway in front of SEEK may answer in GraphQL too, with codes of its own.
      const gatewayFailed = (result.status ?? 0) >= 500 && classify(result).kind === 'retry';
      return code === undefined && !gatewayFailed
        ? { kind: 'healthy' }
        : { kind: 'failing', certain: false, failure: failureOf(result, code) };
    }
  }
};

const failureOf = (result: CompletedSend, code?: string): SeekFailure => {
  const outcome = classify(result);
  return {
    code: code ?? ('code' in outcome ? outcome.code : ''),
    reason: 'reason' in outcome ? outcome.reason : '',
    retryAfterMs: 'retryAfterMs' in result ? result.retryAfterMs : undefined,
  };
};
