const HINTS = new Map([
  ['BAD_USER_INPUT', 'SEEK refuses the signal as it is: its reason names the field.'],
  ['FORBIDDEN', 'SEEK does not let this partner do it for that hirer: ask SEEK, then redrive.'],
  ['UNAUTHENTICATED', 'SEEK did not take our partner token; another is asked for.'],
  ['INTERNAL_SERVER_ERROR', 'Trouble at SEEK. Tried again by itself.'],
  ['RATE_LIMITED', 'SEEK wants fewer requests: the workers go slower by themselves.'],
  ['HTTP_429', 'SEEK wants fewer requests: the workers go slower by themselves.'],
  ['UNREACHABLE', 'No answer from SEEK: an outage, or the network between.'],
  ['PARTNER_TOKEN', 'No partner token to be had. Tried again by itself.'],
  ['CREDENTIALS_REFUSED', 'SEEK refuses SEEK_CLIENT_ID and SEEK_CLIENT_SECRET: mend them.'],
  ['TOKEN_KEY', 'A token is sealed with a key that is not in TOKEN_ENCRYPTION_KEYS.'],
  ['OTHER', 'A code that is not known here; the signals say which.'],
  ['STALLED', 'Workers died while they had this signal, alone, in hand.'],
  ['UNREADABLE', 'What lies in the queue is no signal.'],
  ['FAULT', 'A fault of ours: look for it in the log.'],
  ['QUEUE', 'The queue did not take what was to be noted.'],
]);

/** What a code means for whoever looks, in a sentence. */
export const hintOf = (code: string): string =>
  HINTS.get(code) ?? (/^HTTP_5/.test(code) ? 'Trouble at SEEK. Tried again by itself.' : '');
