import { packageInfo } from '../../runtime/packageInfo.ts';
import { instant, type Json, json, list, object, ref, schemas, text } from './openapiSchemas.ts';

const path = (name: string): Json => ({ name, in: 'path', required: true, schema: text() });
const query = (name: string, description: string, schema: Json = text()): Json => ({
  name,
  in: 'query',
  description,
  schema,
});

const COMMON_ERRORS = {
  401: json('The key is missing or invalid', ref('Problem')),
  403: json('The key does not have the required scope', ref('Problem')),
  429: {
    ...json('The address sent too many wrong keys; a valid key still passes', ref('Problem')),
    headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } },
  },
  503: {
    ...json(
      'The queue did not acknowledge, or too many large requests are in progress; repeat the request',
      ref('Unavailable'),
    ),
    headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } },
  },
};
const NOT_FOUND = { 404: json('Nothing is stored under this id', ref('Problem')) };
const TOO_LARGE = { 413: json('The body is too large', ref('Problem')) };
const UNREADABLE = {
  400: json('The body is not JSON, or a header is invalid', ref('Problem')),
  415: json('The body is compressed', ref('Problem')),
};
const INVALID = {
  422: json('Validation failed; `invalidFields` names each problem', ref('InvalidInput')),
};
const BUSY = { 409: json('The dead letter is being redriven', ref('Problem')) };

const FILTER = [
  query('code', 'Error code, of SEEK or of the dispatcher'),
  query('type', 'typeCode of the signal'),
  query('since', 'Became a dead letter at or after this time', instant),
  query('until', 'Became a dead letter before this time', instant),
  query('applicationId', 'Application that the signal names'),
  query('positionProfileId', 'Position or position profile that the signal names'),
  query('text', 'Text within the id, type, code or reason; case is ignored'),
];
const DRY_RUN = query('dryRun', 'Report what would happen, and change nothing', {
  type: 'boolean',
});
const limit = (bounds: Json = {}) =>
  query('limit', 'Maximum number of results', { type: 'integer', minimum: 1, ...bounds });

const TRACEPARENT = {
  name: 'traceparent',
  in: 'header',
  schema: text(),
  description:
    'W3C Trace Context, with `tracestate`: the trace to continue, if traces are exported',
};

const paths: Json = {
  '/signals': {
    post: {
      summary: 'Accept one signal',
      description:
        'The API answers 202 after the queue has acknowledged the write. The signal is then delivered, skipped for a stated reason, or moved to the dead letters.',
      parameters: [{ name: 'Idempotency-Key', in: 'header', schema: text() }, TRACEPARENT],
      requestBody: { required: true, ...json('One signal', ref('Signal')) },
      responses: {
        202: json('Accepted, by this request or an earlier one', ref('Accepted')),
        ...UNREADABLE,
        ...TOO_LARGE,
        ...INVALID,
        ...COMMON_ERRORS,
        409: json('The Idempotency-Key was used with other content', ref('Conflict')),
      },
    },
    get: {
      summary: 'Find signals, most recently accepted first',
      description:
        'Takes exactly one of the first four parameters. A signal that was sent with a seek token names no application.',
      parameters: [
        query('requestId', 'X-Request-Id of an attempt'),
        query('applicationId', 'Application that the signal names'),
        query('positionProfileId', 'Position or position profile that the signal names'),
        query('idempotencyKey', 'Idempotency-Key that the signal was sent with'),
        query('from', 'Name of the API key that sent the signal; default: the caller’s own'),
        limit({ maximum: 1000 }),
      ],
      responses: {
        200: json('Signals', object({ signals: list(ref('SignalRecord')) }, ['signals'])),
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/signals/batch': {
    post: {
      summary: 'Accept up to 1000 signals',
      description:
        'An invalid signal does not prevent the others from being accepted. Takes no Idempotency-Key: a signal is identified by its content.',
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
          'One result per signal, in order',
          object({ results: list({ oneOf: [ref('Accepted'), ref('Invalid')] }) }, ['results']),
        ),
        ...UNREADABLE,
        ...TOO_LARGE,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/signals/{signalId}': {
    get: {
      summary: 'Get the record of one signal',
      parameters: [path('signalId')],
      responses: {
        200: json('Signal record', ref('SignalRecord')),
        ...NOT_FOUND,
        ...COMMON_ERRORS,
      },
    },
  },
  '/applications/{applicationId}/seek-token': {
    put: {
      summary: 'Record a seek token that the ATS received',
      description:
        'The newest token is sent, whatever its source and in any order of recording; a valid one before an expired one. A token recorded again is no newer. A `Warning` header reports a token that belonged to another application before.',
      parameters: [path('applicationId')],
      requestBody: { required: true, ...json('Seek token', ref('SeekToken')) },
      responses: {
        204: { description: 'Recorded' },
        ...UNREADABLE,
        ...TOO_LARGE,
        ...COMMON_ERRORS,
        422: json('The token is invalid', ref('InvalidInput')),
      },
    },
    get: {
      summary: 'Get the seek token in use, masked, and all recorded tokens',
      parameters: [path('applicationId')],
      responses: {
        200: json('Seek tokens', ref('ApplicationToken')),
        ...NOT_FOUND,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
    delete: {
      summary:
        'Erase the application: its tokens, its candidate application profile and its signals',
      parameters: [path('applicationId')],
      responses: { 204: { description: 'Erased' }, ...INVALID, ...COMMON_ERRORS },
    },
  },
  '/applications/expiring': {
    get: {
      summary: 'List applications whose seek token expires soon, earliest first',
      parameters: [
        query('within', 'Duration such as 14d, 12h or 30m; default: 14d'),
        limit({ maximum: 1000 }),
      ],
      responses: {
        200: json(
          'Applications',
          object({ applications: list(ref('ApplicationToken')) }, ['applications']),
        ),
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/applications/{applicationId}/candidate-application-profile': {
    put: {
      summary: 'Record the candidate application profile of an application',
      description:
        'For an application that came from SEEK’s own form. It replaces an earlier one. Status updates that name the application are sent with it if there is no valid seek token.',
      parameters: [path('applicationId')],
      requestBody: {
        required: true,
        ...json('Candidate application profile', ref('CandidateApplicationProfile')),
      },
      responses: {
        204: { description: 'Recorded' },
        ...UNREADABLE,
        ...TOO_LARGE,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
    get: {
      summary: 'Get the recorded candidate application profile',
      parameters: [path('applicationId')],
      responses: {
        200: json('Candidate application profile', ref('RecordedCandidateApplicationProfile')),
        ...NOT_FOUND,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
    delete: {
      summary: 'Remove the recorded candidate application profile',
      description: 'Removes no signals. To erase an application, delete its seek token.',
      parameters: [path('applicationId')],
      responses: { 204: { description: 'Removed' }, ...INVALID, ...COMMON_ERRORS },
    },
  },
  '/positions/{positionId}': {
    put: {
      summary: 'Record the position profiles of a position',
      description:
        'Replaces an earlier recording. Signals that name the position by `positionId` are sent with these profiles.',
      parameters: [path('positionId')],
      requestBody: { required: true, ...json('Position profiles', ref('Position')) },
      responses: {
        204: { description: 'Recorded' },
        ...UNREADABLE,
        ...TOO_LARGE,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
    get: {
      summary: 'Get the recorded position profiles',
      parameters: [path('positionId')],
      responses: {
        200: json('Position profiles', ref('RecordedPosition')),
        ...NOT_FOUND,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
    delete: {
      summary: 'Remove the recorded position profiles',
      parameters: [path('positionId')],
      responses: { 204: { description: 'Removed' }, ...INVALID, ...COMMON_ERRORS },
    },
  },
  '/identifiers/batch': {
    post: {
      summary: 'Record up to 1000 seek tokens, candidate application profiles and positions',
      description:
        'Requires the scope `enqueue`. For a first import, up to 4 MiB. An invalid recording does not prevent the others. After a 503, repeat the whole request.',
      requestBody: {
        required: true,
        ...json(
          'Recordings',
          object({ identifiers: { ...list(ref('Identifier')), maxItems: 1000 } }, ['identifiers']),
        ),
      },
      responses: {
        200: json(
          'One result per recording, in order',
          object({ results: list({ anyOf: [ref('Recorded'), ref('Invalid')] }) }, ['results']),
        ),
        ...UNREADABLE,
        ...TOO_LARGE,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/status': {
    get: {
      summary: 'Get the state of the queue',
      responses: {
        200: json('Counts, the oldest unsent signal, whether delivery is suspended', ref('Status')),
        ...COMMON_ERRORS,
      },
    },
  },
  '/dead-letters': {
    get: {
      summary: 'List dead letters, newest first',
      parameters: [
        ...FILTER,
        limit({ maximum: 1000 }),
        query('cursor', '`nextCursor` of the previous page'),
      ],
      responses: {
        200: json(
          'One page',
          object({ deadLetters: list(ref('DeadLetter')), nextCursor: text() }, ['deadLetters']),
        ),
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/dead-letters/counts': {
    get: {
      summary: 'Count dead letters by code and type, most frequent first',
      parameters: FILTER,
      responses: {
        200: json('Counts', object({ counts: list(ref('DeadLetterCount')) }, ['counts'])),
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/dead-letters/redrive': {
    post: {
      summary: 'Redrive all dead letters that match',
      description:
        'The filter may be given in the query or as a JSON object with the same names. The call redrives for 20 seconds, counted from the first dead letter. While `more` is true, repeat it with the same filter and with the `until` of the first answer, so that a signal that dies again is not redriven twice. To stop, do not repeat it, or disconnect.',
      parameters: [
        ...FILTER,
        limit(),
        query('rate', 'Maximum number per second', { type: 'number', minimum: 0.1, maximum: 1000 }),
        DRY_RUN,
      ],
      responses: {
        200: json('With dryRun: what would happen', ref('RedrivePreview')),
        202: json('What was redriven', ref('RedriveResult')),
        ...UNREADABLE,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/dead-letters/export': {
    get: {
      summary: 'Export complete dead letters, one per line',
      description:
        'Requires the scope `operate`. The export contains seek tokens as they are stored: encrypted, or in plain text. A response that ends with a broken connection is incomplete.',
      parameters: [...FILTER, limit()],
      responses: {
        200: {
          description: 'NDJSON',
          content: { 'application/x-ndjson': { schema: text() } },
        },
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/dead-letters/import': {
    post: {
      summary: 'Import exported dead letters, up to 1000 lines and 4 MiB',
      description:
        'An invalid line is reported and does not stop the import. A dead letter is skipped if its signal is in a queue, was delivered, or was skipped for a reason other than a discard. Repeating an import changes nothing.',
      requestBody: {
        required: true,
        content: { 'application/x-ndjson': { schema: text() } },
      },
      responses: {
        200: json('Result of the import', ref('ImportResult')),
        ...UNREADABLE,
        ...TOO_LARGE,
        ...COMMON_ERRORS,
      },
    },
  },
  '/dead-letters/{signalId}': {
    get: {
      summary: 'Get one dead letter',
      parameters: [path('signalId')],
      responses: { 200: json('Dead letter', ref('DeadLetter')), ...NOT_FOUND, ...COMMON_ERRORS },
    },
    delete: {
      summary: 'Discard a dead letter: its signal becomes `skipped`',
      parameters: [
        path('signalId'),
        query('reason', 'Stored with the signal, as is the name of the API key'),
      ],
      responses: {
        204: { description: 'Discarded' },
        ...NOT_FOUND,
        ...BUSY,
        ...INVALID,
        ...COMMON_ERRORS,
      },
    },
  },
  '/dead-letters/{signalId}/redrive': {
    post: {
      summary: 'Redrive one dead letter',
      parameters: [path('signalId'), DRY_RUN],
      responses: {
        200: json('With dryRun: it would be redriven', object({ signalId: text() }, ['signalId'])),
        202: json('Redrive requested', object({ signalId: text() }, ['signalId'])),
        ...NOT_FOUND,
        ...BUSY,
        ...COMMON_ERRORS,
        422: json('The signal fails validation today; the dead letter stays', ref('InvalidInput')),
      },
    },
  },
  ...Object.fromEntries(
    [
      ['/health/live', 'Liveness check'],
      ['/health/ready', 'Readiness check: 503 if the queue does not take signals'],
      ['/metrics', 'Prometheus metrics'],
      ['/openapi.json', 'The OpenAPI document'],
    ].map(([route, description]) => [
      route,
      { get: { summary: description, security: [], responses: { 200: { description } } } },
    ]),
  ),
};

/** The OpenAPI document of the API. */
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
