import * as z from 'zod';

import { SIGNAL_SCHEMAS } from '../../schemas/signal.ts';
import { AttemptSchema, DeferralSchema, RedriveSchema } from '../../schemas/signalJob.ts';
import { SIGNAL_STATES } from '../../schemas/signalRecord.ts';

export type Json = Record<string, unknown>;

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
export const json = (description: string, schema: Json): Json => ({
  description,
  content: { 'application/json': { schema } },
});
export const object = (properties: Json, required: readonly string[]): Json => ({
  type: 'object',
  properties,
  required,
});
/** An object that takes no other fields. */
const closed = (properties: Json, required: readonly string[]): Json => ({
  ...object(properties, required),
  additionalProperties: false,
});
export const list = (items: Json): Json => ({ type: 'array', items });
export const text = (description?: string): Json => ({
  type: 'string',
  ...(description && { description }),
});
export const instant: Json = { type: 'string', format: 'date-time' };
const described = (schema: Json, description: string): Json => ({ ...schema, description });
const fromZod = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
};

/** Adds what the API accepts beyond the JSON schema of the parsed form. */
const signalSchema = (schema: z.ZodType): Json => {
  const { properties, ...rest } = z
    .looseObject({ properties: z.record(z.string(), z.unknown()) })
    .parse(fromZod(schema, 'input'));
  const { positionProfileIds: ids } = properties;
  return {
    ...rest,
    description: 'An optional field with the value null counts as absent, except `success`.',
    properties: ids ? { ...properties, positionProfileIds: { anyOf: [text(), ids] } } : properties,
  };
};

const TOKEN_VIEW: Json = {
  token: text('Masked: its length, the beginning of its SHA-256, unusual characters'),
  source: { type: 'string', enum: ['linkOut', 'applyWithSeek'] },
  receivedAt: described(instant, 'When the ATS received the token'),
  expiresAt: described(instant, '`SEEK_TOKEN_TTL_DAYS` after `receivedAt`'),
  expired: { type: 'boolean' },
};
const REFERENCES = {
  applicationId: text('Application that the signal names'),
  candidateApplicationProfileId: text('Candidate application profile that the signal names'),
  positionId: text('Position that the signal names'),
  positionProfileIds: described(
    list(text()),
    'The first 20 position profiles that the signal names',
  ),
};

const SEEK_TOKEN_FIELDS: Json = {
  token: text('Exactly as received'),
  source: { type: 'string', enum: ['linkOut', 'applyWithSeek'] },
  receivedAt: described(instant, 'When the ATS received it; default: now'),
};
const CANDIDATE_APPLICATION_PROFILE_ID = text('SEEK’s object identifier, exactly as received');
const POSITION_PROFILE_IDS: Json = {
  anyOf: [text(), { ...list(text()), minItems: 1 }],
  description: 'SEEK’s object identifiers, exactly as received. A string counts as a list of one',
};
const REDRIVE_LOG: Json = {
  ...list(fromZod(RedriveSchema, 'output')),
  description:
    'Each redrive with its time and who requested it, oldest first; `by` is absent after “Retry all” in Bull Board',
};
const TOKEN_FIELDS = Object.keys(TOKEN_VIEW);

/** The schemas of the document. Those of signals derive from the schemas that validate them. */
export const schemas: Json = {
  ...Object.fromEntries(
    Object.entries(SIGNAL_SCHEMAS).map(([name, schema]) => [name, signalSchema(schema)]),
  ),
  Signal: { oneOf: [...Object.keys(SIGNAL_SCHEMAS), 'SignalWithWorkflow'].map(ref) },
  WorkflowStep: {
    description: 'A status, or a phase that contains steps',
    anyOf: [
      text('The label, which is also the id'),
      object(
        {
          label: text('What the hirer sees'),
          id: text('The ATS’s own id; required if labels repeat'),
          placed: {
            type: 'boolean',
            description:
              'How the process ends here, for this step and all steps below: true if placed or filled, false if not. Absent while it continues',
          },
          steps: list(ref('WorkflowStep')),
        },
        ['label'],
      ),
    ],
  },
  Workflow: {
    ...object(
      {
        steps: list(ref('WorkflowStep')),
        transitions: list({ ...list(text()), minItems: 2, maxItems: 2 }),
      },
      ['steps'],
    ),
    description:
      'The ATS’s own process. `transitions` order the statuses of a process that is a graph',
  },
  NamedState: object({ status: text('A status of the workflow'), timestamp: instant }, [
    'status',
    'timestamp',
  ]),
  SignalWithWorkflow: {
    ...object(
      {
        typeCode: text(),
        workflow: ref('Workflow'),
        current: ref('NamedState'),
        previous: ref('NamedState'),
      },
      ['typeCode', 'workflow', 'current'],
    ),
    description: 'A status update whose states name statuses of the given workflow',
  },
  Problem: object({ message: text() }, ['message']),
  Unavailable: object(
    {
      message: text('What was refused, by which host, and what to do if that is known'),
      code: text(
        'The first word of Redis’s refusal (`NOREPLICAS`, `OOM`), the code of the connection error (`ECONNREFUSED`), or `TIMEOUT`, `CLOSED`, `CONNECTION_LOST`, `NO_SENTINEL`, `WAIT_REPLICAS`, `FAILOVER`, `TOO_MANY_BYTES`, `QUEUE_ERROR`',
      ),
    },
    ['message', 'code'],
  ),
  Conflict: object({ message: text(), signalId: text('The signal that the key identifies') }, [
    'message',
    'signalId',
  ]),
  InvalidFields: {
    type: 'object',
    description: 'The problems by JSON pointer, at most 100',
    additionalProperties: text(),
  },
  InvalidInput: object({ message: text(), invalidFields: ref('InvalidFields') }, [
    'message',
    'invalidFields',
  ]),
  State: { type: 'string', enum: SIGNAL_STATES },
  Accepted: object(
    {
      signalId: { type: 'string', format: 'uuid' },
      duplicate: {
        type: 'boolean',
        description: 'The signal was accepted before; nothing was enqueued',
      },
      state: ref('State'),
      warnings: list(text('Starts with a JSON pointer')),
    },
    ['signalId', 'duplicate', 'state'],
  ),
  Invalid: object({ invalidFields: ref('InvalidFields') }, ['invalidFields']),
  Attempt: fromZod(AttemptSchema, 'output'),
  SignalRecord: object(
    {
      signalId: text(),
      typeCode: text(),
      state: ref('State'),
      acceptedAt: instant,
      acceptedFrom: text('Name of the API key, or of the application, that sent the signal'),
      attempts: described(list(ref('Attempt')), 'Oldest first; at most the newest 200'),
      nextAttemptAt: described(instant, 'When a retrying signal is sent again'),
      lastDeferral: described(
        fromZod(DeferralSchema, 'output'),
        'The most recent postponement of a retrying signal that cost no attempt',
      ),
      redrives: described({ type: 'integer' }, 'Number of redrives'),
      ...REFERENCES,
      redriveLog: REDRIVE_LOG,
      traceId: text('Trace in which the signal was accepted, if one was recorded'),
      reason: text('Why the signal was skipped or became a dead letter'),
    },
    ['signalId', 'typeCode', 'state', 'acceptedAt', 'attempts', 'redrives'],
  ),
  DeadLetterCount: object(
    {
      code: text(),
      typeCode: text(),
      count: { type: 'integer' },
      firstAt: instant,
      lastAt: instant,
      reason: text('Reason of the most recent one'),
    },
    ['code', 'typeCode', 'count', 'firstAt', 'lastAt', 'reason'],
  ),
  RedriveResult: object(
    {
      redriven: { type: 'integer' },
      invalid: { type: 'integer', description: 'Number that fail validation today and stay' },
      more: {
        type: 'boolean',
        description: 'Matching dead letters may be left: repeat the call',
      },
      until: { ...instant, description: 'Send it with the same filter when you repeat the call' },
    },
    ['redriven', 'invalid', 'more', 'until'],
  ),
  ImportResult: object(
    {
      imported: { type: 'integer' },
      skipped: {
        type: 'integer',
        description: 'Number that were skipped, because their signal is known already',
      },
      invalid: list(
        object({ line: { type: 'integer', minimum: 1 }, message: text() }, ['line', 'message']),
      ),
    },
    ['imported', 'skipped', 'invalid'],
  ),
  RedrivePreview: object(
    {
      wouldRedrive: { type: 'integer' },
      invalid: { type: 'integer', description: 'Number that fail validation today and would stay' },
      refusals: {
        ...list(
          object(
            {
              pointer: text('JSON pointer into the signal'),
              message: text(),
              count: { type: 'integer' },
              example: text('signalId of one of them'),
            },
            ['pointer', 'message', 'count', 'example'],
          ),
        ),
        description: 'The 20 most frequent problems',
      },
      samples: {
        ...list(
          object(
            {
              signalId: text(),
              typeCode: text(),
              code: text(),
              reason: text(),
              diedAt: instant,
            },
            ['signalId', 'typeCode', 'code', 'reason', 'diedAt'],
          ),
        ),
        description: 'Up to five of those that would be redriven',
      },
    },
    ['wouldRedrive', 'invalid', 'refusals', 'samples'],
  ),
  DeadLetter: object(
    {
      signalId: text(),
      typeCode: text(),
      reason: text(),
      code: text(),
      diedAt: described(instant, 'When the signal became a dead letter'),
      acceptedAt: instant,
      attempts: described(list(ref('Attempt')), 'Oldest first; at most the newest 200'),
      redrives: described({ type: 'integer' }, 'Number of redrives'),
      ...REFERENCES,
      redriveLog: REDRIVE_LOG,
    },
    ['signalId', 'typeCode', 'reason', 'code', 'diedAt', 'acceptedAt', 'attempts', 'redrives'],
  ),
  SeekToken: closed(SEEK_TOKEN_FIELDS, ['token', 'source']),
  CandidateApplicationProfile: closed(
    { candidateApplicationProfileId: CANDIDATE_APPLICATION_PROFILE_ID },
    ['candidateApplicationProfileId'],
  ),
  RecordedCandidateApplicationProfile: object(
    { applicationId: text(), candidateApplicationProfileId: text(), recordedAt: instant },
    ['applicationId', 'candidateApplicationProfileId', 'recordedAt'],
  ),
  Position: closed({ positionProfileIds: POSITION_PROFILE_IDS }, ['positionProfileIds']),
  RecordedPosition: object(
    { positionId: text(), positionProfileIds: list(text()), recordedAt: instant },
    ['positionId', 'positionProfileIds', 'recordedAt'],
  ),
  Identifier: {
    description: 'A seek token, a candidate application profile or a position',
    oneOf: [
      closed({ applicationId: text(), ...SEEK_TOKEN_FIELDS }, ['applicationId', 'token', 'source']),
      closed(
        {
          applicationId: text(),
          candidateApplicationProfileId: CANDIDATE_APPLICATION_PROFILE_ID,
        },
        ['applicationId', 'candidateApplicationProfileId'],
      ),
      closed({ positionId: text(), positionProfileIds: POSITION_PROFILE_IDS }, [
        'positionId',
        'positionProfileIds',
      ]),
    ],
  },
  Recorded: closed({ warnings: list(text('Starts with a JSON pointer')) }, []),
  ApplicationToken: object(
    { applicationId: text(), ...TOKEN_VIEW, history: list(object(TOKEN_VIEW, TOKEN_FIELDS)) },
    ['applicationId', ...TOKEN_FIELDS, 'history'],
  ),
  Status: object(
    {
      counts: object(
        Object.fromEntries(SIGNAL_STATES.map((state) => [state, { type: 'integer' }])),
        SIGNAL_STATES,
      ),
      backlog: described({ type: 'integer' }, 'Number of signals that workers have to handle now'),
      workers: described({ type: 'integer' }, 'Number of live worker processes'),
      oldestUnsent: object(
        { signalId: text(), acceptedAt: instant, ageSeconds: { type: 'integer' } },
        ['signalId', 'acceptedAt', 'ageSeconds'],
      ),
      delivery: {
        ...object(
          {
            state: { type: 'string', enum: ['running', 'suspended'] },
            since: instant,
            seconds: { type: 'integer' },
            code: text(),
            reason: text(),
            nextProbeAt: instant,
          },
          ['state'],
        ),
        description:
          'Whether delivery to SEEK is suspended. All fields except `state` are present only while it is',
      },
    },
    ['counts', 'backlog', 'workers', 'delivery'],
  ),
};
