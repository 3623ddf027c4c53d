import { validate as isUuid } from 'uuid';

/** The headers that SEEK asks every request to carry. */
export type RequestHeaders = {
  requestId: string | undefined;
  userAgent: string | undefined;
  contentType: string | undefined;
};

/** Says what is wrong with a request's headers. Remembers the newest `keep` request ids. */
export const createHeaderCheck = ({ keep }: { keep: number }) => {
  const seen = new Set<string>();

  const remember = (requestId: string) => {
    seen.add(requestId);

    // A Set iterates in the order of insertion: the first one is the oldest.
    for (const oldest of seen) {
      if (seen.size <= keep) {
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

    remember(requestId);

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
