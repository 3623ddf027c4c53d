const HINTS = new Map([
  ['BAD_USER_INPUT', 'SEEK rejects the signal. The reason names the field.'],
  [
    'FORBIDDEN',
    'The partner may not do this for the hirer. Set up the hirer relationship with SEEK, then redrive.',
  ],
  ['UNAUTHENTICATED', 'SEEK did not accept the partner token. The worker requests a new one.'],
  ['INTERNAL_SERVER_ERROR', 'SEEK fails. The worker retries.'],
  ['RATE_LIMITED', 'SEEK limits the rate. The workers send more slowly.'],
  ['HTTP_429', 'SEEK limits the rate. The workers send more slowly.'],
  ['UNREACHABLE', 'No answer from SEEK. Check the network between worker and SEEK.'],
  ['FROZEN', 'The worker was frozen while it waited for an answer. It sends the signal again.'],
  ['PARTNER_TOKEN', 'The token endpoint returned no partner token. The worker retries.'],
  ['CREDENTIALS_REFUSED', 'SEEK rejects SEEK_CLIENT_ID and SEEK_CLIENT_SECRET. Correct them.'],
  ['TOKEN_KEY', 'No key decrypts the seek token. Give every worker all of TOKEN_ENCRYPTION_KEYS.'],
  ['OTHER', 'Codes that this version does not know. The signals show them.'],
  ['STALLED', 'Workers kept crashing while they tried this signal alone.'],
  ['UNREADABLE', 'The job in the queue is not a signal.'],
  ['FAULT', 'A bug in the dispatcher. Find the place in the log.'],
  ['QUEUE', 'Redis did not answer the worker.'],
]);

/** What an error code means, in a sentence or two for the operator; empty for a code without a hint. */
export const hintOf = (code: string): string =>
  HINTS.get(code) ?? (/^HTTP_5/.test(code) ? 'SEEK fails. The worker retries.' : '');
