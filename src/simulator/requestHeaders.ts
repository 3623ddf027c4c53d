import { validate as isUuid } from 'uuid';

/** The headers that SEEK requires with every request. */
export type RequestHeaders = {
  requestId: string | undefined;
  userAgent: string | undefined;
  contentType: string | undefined;
};

/** Finds problems in the headers of a request. Stores the newest request ids to detect a repeated one. */
export const createHeaderCheck = ({ maxRequestIds }: { maxRequestIds: number }) => {
  const seen = new Set<string>();

  const store = (requestId: string) => {
    seen.add(requestId);

    // A Set iterates in insertion order, so the oldest ids come first.
    for (const oldest of seen) {
      if (seen.size <= maxRequestIds) {
        break;
      }

      seen.delete(oldest);
    }
  };

  const requestIdProblem = (requestId: string | undefined): string | undefined => {
    if (requestId === undefined || !isUuid(requestId)) {
      return 'X-Request-Id must be a UUID';
    }

    if (seen.has(requestId)) {
      return 'X-Request-Id must be fresh for every request';
    }

    store(requestId);

    return undefined;
  };

  return ({ requestId, userAgent, contentType }: RequestHeaders): string[] =>
    [
      requestIdProblem(requestId),
      /^[^\s/]+\/\d/.test(userAgent ?? '') ? undefined : 'User-Agent must look like name/1.2.3',
      contentType?.startsWith('application/json')
        ? undefined
        : 'Content-Type must be application/json',
    ].filter((problem) => problem !== undefined);
};
