import { packageInfo } from '../../runtime/packageInfo.ts';
import { instant, type Json, json, list, object, ref, schemas, text } from './openapiSchemas.ts';

const path = (name: string): Json => ({ name, in: 'path', required: true, schema: text() });
const query = (name: string, description: string, schema: Json = text()): Json => ({
  name,
  in: 'query',
  description,
  schema,
});

const REFUSED = {
  401: json('No valid key', ref('Problem')),
  403: json('The key lacks the scope', ref('Problem')),
  503: {
    ...json('The queue does not answer; try again', ref('Problem')),
    headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } },
  },
};
const NOT_FOUND = { 404: json('Nothing is kept under this id', ref('Problem')) };
const TOO_LARGE = { 413: json('The body is too large', ref('Problem')) };
const UNREADABLE = {
  400: json('The body can’t be read, or a header is wrong', ref('Problem')),
  415: json('The body is compressed', ref('Problem')),
};
const INVALID = { 422: json('SEEK would refuse it', ref('InvalidInput')) };
const BUSY = { 409: json('The letter is on its way back to the queue', ref('Problem')) };

const FILTER = [
  query('code', 'SEEK’s error code, or ours'),
  query('type', 'The typeCode of the signal'),
  query('since', 'Died at or after', instant),
  query('until', 'Died before', instant),
  query('applicationId', 'The application that the signal names'),
  query('positionProfileId', 'A position profile that the signal names'),
  query('text', 'Stands in its id, type, code or reason, in whatever case'),
];
const DRY_RUN = query('dryRun', 'Only say what would come of it', { type: 'boolean' });
const limit = (most: Json = {}) =>
  query('limit', 'At most so many', { type: 'integer', minimum: 1, ...most });

const TRACEPARENT = {
  ...{ name: 'traceparent', in: 'header', schema: text() },
  description: 'W3C Trace Context, with `tracestate`: the trace to continue, where traces are on',
};

const paths: Json = {
  '/signals': {
    post: {
      summary: 'Accept one signal',
      description: '202 is a promise: it follows the queue’s acknowledgement of the write.',
      parameters: [{ name: 'Idempotency-Key', in: 'header', schema: text() }, TRACEPARENT],
      requestBody: { required: true, ...json('One signal', ref('Signal')) },
      responses: {
        202: json('Accepted, now or before', ref('Accepted')),
        ...{ ...UNREADABLE, ...TOO_LARGE, ...INVALID, ...REFUSED },
        409: json('The Idempotency-Key was used for other content', ref('Conflict')),
      },
    },
    get: {
      summary: 'Find signals by what is at hand, the one that was accepted last first',
      description:
        'By one of the first four, and nothing else. A signal that came with a seek token names no application.',
      parameters: [
        query('requestId', 'The X-Request-Id of an attempt'),
        query('applicationId', 'The application that the signal names'),
        query('positionProfileId', 'A position profile that the signal names'),
        query('idempotencyKey', 'The Idempotency-Key that it was sent with'),
        query('from', 'The name of the API key that it was sent with; the caller’s if left out'),
        limit({ maximum: 1000 }),
      ],
      responses: {
        200: json('Those', object({ signals: list(ref('SignalRecord')) }, ['signals'])),
        ...{ ...INVALID, ...REFUSED },
      },
    },
  },
  '/signals/batch': {
    post: {
      summary: 'Accept up to 1000 signals; the good ones are taken',
      description: 'Takes no Idempotency-Key: each signal is known by its content.',
      parameters: [TRACEPARENT],
      requestBody: {
        required: true,
        ...json(
          'Signals',
          object({ signals: { ...list(ref('Signal')), maxItems: 1000 } }, ['signals']),
        ),
      },
      responses: {
        202: json(
          'One result each, in order',
          object({ results: list({ oneOf: [ref('Accepted'), ref('Invalid')] }) }, ['results']),
        ),
        ...{ ...UNREADABLE, ...TOO_LARGE, ...INVALID, ...REFUSED },
      },
    },
  },
  '/signals/{signalId}': {
    get: {
      summary: 'The life of one signal',
      parameters: [path('signalId')],
      responses: { 200: json('What is known', ref('SignalRecord')), ...NOT_FOUND, ...REFUSED },
    },
  },
  '/applications/{applicationId}/seek-token': {
    put: {
      summary: 'Record a seek token that reached the ATS',
      description:
        'Apply with SEEK beats link-out, newer beats older, in whatever order they are recorded. A `Warning` header says that the token was another application’s before.',
      parameters: [path('applicationId')],
      requestBody: { required: true, ...json('The token', ref('SeekToken')) },
      responses: {
        204: { description: 'Recorded' },
        ...{ ...UNREADABLE, ...TOO_LARGE, ...REFUSED },
        422: json('It is no such token', ref('InvalidInput')),
      },
    },
    get: {
      summary: 'The token that counts, masked, and all that were received',
      parameters: [path('applicationId')],
      responses: {
        200: json('What is known', ref('ApplicationToken')),
        ...{ ...NOT_FOUND, ...INVALID, ...REFUSED },
      },
    },
    delete: {
      summary: 'Erase the application: its tokens, and its signals wherever they lie',
      parameters: [path('applicationId')],
      responses: { 204: { description: 'Erased' }, ...INVALID, ...REFUSED },
    },
  },
  '/applications/expiring': {
    get: {
      summary: 'Applications whose token is about to expire, the first to expire first',
      parameters: [
        query('within', 'Such as 14d, 12h or 30m; 14d if left out'),
        limit({ maximum: 1000 }),
      ],
      responses: {
        200: json(
          'Those',
          object({ applications: list(ref('ApplicationToken')) }, ['applications']),
        ),
        ...{ ...INVALID, ...REFUSED },
      },
    },
  },
  '/status': {
    get: {
      summary: 'How the queue stands',
      responses: {
        200: json(
          'Counts, the oldest unsent signal, and whether delivery is running',
          ref('Status'),
        ),
        ...REFUSED,
      },
    },
  },
  '/dead-letters': {
    get: {
      summary: 'Dead letters, newest first',
      parameters: [
        ...FILTER,
        limit({ maximum: 1000 }),
        query('cursor', 'nextCursor of the page before'),
      ],
      responses: {
        200: json(
          'A page',
          object({ deadLetters: list(ref('DeadLetter')), nextCursor: text() }, ['deadLetters']),
        ),
        ...{ ...INVALID, ...REFUSED },
      },
    },
  },
  '/dead-letters/counts': {
    get: {
      summary: 'How many dead letters there are of what, the most first',
      parameters: FILTER,
      responses: {
        200: json('Counts', object({ counts: list(ref('DeadLetterCount')) }, ['counts'])),
        ...{ ...INVALID, ...REFUSED },
      },
    },
  },
  '/dead-letters/redrive': {
    post: {
      summary: 'Put all that match back into the queue',
      description:
        'The filter may come in the query or as a JSON object of the same names. Works for 20 seconds from the first that goes; with `more` in the answer, ask again with the same filter, and with its first `until`, so that what dies again meanwhile is not taken twice. To ask again is to go on, not to ask is to stop; so is to hang up. What went is no letter any more.',
      parameters: [
        ...FILTER,
        limit(),
        query('rate', 'So many a second', { type: 'number', minimum: 0.1, maximum: 1000 }),
        DRY_RUN,
      ],
      responses: {
        200: json('With dryRun: what would be done', ref('RedrivePreview')),
        202: json('What was done', ref('RedriveResult')),
        ...{ ...UNREADABLE, ...INVALID, ...REFUSED },
      },
    },
  },
  '/dead-letters/export': {
    get: {
      summary: 'Letters whole, one a line, with their tokens as they lie there',
      description:
        'Wants the scope `operate`. Sealed tokens stay sealed; others stand there in the clear. An answer that breaks off is not the whole.',
      parameters: [...FILTER, limit()],
      responses: {
        200: {
          description: 'NDJSON',
          content: { 'application/x-ndjson': { schema: text() } },
        },
        ...{ ...INVALID, ...REFUSED },
      },
    },
  },
  '/dead-letters/import': {
    post: {
      summary: 'Take letters back that were exported, up to 1000 lines and 4 MiB',
      description:
        'A bad line is named and stops nothing. Letters that are known, whose signal lies in a queue or was settled other than by a discard, are left out; to repeat it changes nothing.',
      requestBody: {
        required: true,
        content: { 'application/x-ndjson': { schema: text() } },
      },
      responses: {
        200: json('What became of them', ref('ImportResult')),
        ...{ ...UNREADABLE, ...TOO_LARGE, ...REFUSED },
      },
    },
  },
  '/dead-letters/{signalId}': {
    get: {
      summary: 'One dead letter',
      parameters: [path('signalId')],
      responses: { 200: json('The letter', ref('DeadLetter')), ...NOT_FOUND, ...REFUSED },
    },
    delete: {
      summary: 'Let it go: the signal is then skipped, for the reason given',
      parameters: [
        path('signalId'),
        query('reason', 'Kept with the signal, as the name of the API key is in any case'),
      ],
      responses: {
        ...{ 204: { description: 'Discarded' }, ...NOT_FOUND, ...BUSY },
        ...{ ...INVALID, ...REFUSED },
      },
    },
  },
  '/dead-letters/{signalId}/redrive': {
    post: {
      summary: 'Put it back into the queue',
      parameters: [path('signalId'), DRY_RUN],
      responses: {
        200: json('With dryRun: it would go', object({ signalId: text() }, ['signalId'])),
        202: json('On its way', object({ signalId: text() }, ['signalId'])),
        ...{ ...NOT_FOUND, ...BUSY, ...REFUSED },
        422: json('It would not be accepted today, and stays', ref('InvalidInput')),
      },
    },
  },
  ...Object.fromEntries(
    [
      ['/health/live', 'The process runs'],
      ['/health/ready', 'The queue answers; 503 otherwise'],
      ['/metrics', 'Prometheus metrics'],
      ['/openapi.json', 'This document'],
    ].map(([route, description]) => [
      route,
      { get: { summary: description, security: [], responses: { 200: { description } } } },
    ]),
  ),
};

/** What the API takes and answers. */
export const openApiDocument: Json = {
  openapi: '3.1.0',
  info: { title: 'SEEK signal dispatcher', version: packageInfo.version, license: { name: 'MIT' } },
  security: [{ apiKey: [] }],
  paths,
  components: {
    securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } },
    schemas,
  },
};
