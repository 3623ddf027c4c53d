import { classify, isPublicTestData, type SendResult } from '../seek/classify.ts';
import type { HealthReport } from './circuitBreaker.ts';

type Answered = Exclude<SendResult, { kind: 'aborted' }>;

// What SEEK says when it is in trouble itself, or with us (developer.seek.com, "Error responses").
const TROUBLE = new Set(['INTERNAL_SERVER_ERROR', 'UNAUTHENTICATED']);
const LIMITED = 'RATE_LIMITED';
const TOO_MANY_REQUESTS = 429;

/**
 * What an answer says of SEEK as a whole. An answer to the signals themselves, a refusal included,
 * says that the road is clear.
 */
export const healthReportOf = (result: Answered): HealthReport => {
  switch (result.kind) {
    case 'accepted':
      return { kind: 'healthy' };
    case 'unreachable':
      return { kind: 'failing', certain: result.unsent, failure: troubleOf(result) };
    case 'unreadable':
      // 404 and the like, too: from request after request it is no signal's fault but the address's.
      return result.status === TOO_MANY_REQUESTS
        ? { kind: 'rateLimited', failure: troubleOf(result) }
        : { kind: 'failing', certain: false, failure: troubleOf(result) };
    case 'refused': {
      const codes = result.errors
        .filter(({ message }) => !isPublicTestData(message))
        .map(({ extensions }) => extensions?.code ?? '');
      if (codes.includes(LIMITED) || result.status === TOO_MANY_REQUESTS) {
        return { kind: 'rateLimited', failure: troubleOf(result, LIMITED) };
      }
      const code = codes.find((each) => TROUBLE.has(each));
      // A gateway before SEEK may speak GraphQL, too, with codes of its own.
      const failed = (result.status ?? 0) >= 500 && classify(result).kind === 'retry';
      return code === undefined && !failed
        ? { kind: 'healthy' }
        : { kind: 'failing', certain: false, failure: troubleOf(result, code) };
    }
  }
};

const troubleOf = (result: Answered, code?: string) => {
  const outcome = classify(result);
  const { retryAfterMs } = { retryAfterMs: undefined, ...result };
  return {
    code: code ?? ('code' in outcome ? outcome.code : ''),
    reason: 'reason' in outcome ? outcome.reason : '',
    retryAfterMs,
  };
};
