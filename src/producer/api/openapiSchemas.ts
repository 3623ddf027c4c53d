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
export const list = (items: Json): Json => ({ type: 'array', items });
export const text = (description?: string): Json => ({
  type: 'string',
  ...(description && { description }),
});
export const instant: Json = { type: 'string', format: 'date-time' };
const fromZod = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
};

/** What the JSON schema of the parsed form cannot say: what is taken besides. */
const signalSchema = (schema: z.ZodType): Json => {
  const { properties, ...rest } = z
    .looseObject({ properties: z.record(z.string(), z.unknown()) })
    .parse(fromZod(schema, 'input'));
  const { positionProfileIds: ids } = properties;
  return {
    ...rest,
    description: 'An optional field that is null counts as left out; `success` is the exception.',
    properties: ids ? { ...properties, positionProfileIds: { anyOf: [text(), ids] } } : properties,
  };
};

const TOKEN_VIEW: Json = {
  token: text('Masked: length, beginning of the SHA-256, unusual characters'),
  source: { type: 'string', enum: ['linkOut', 'applyWithSeek'] },
  receivedAt: instant,
  expiresAt: instant,
  expired: { type: 'boolean' },
};
const SUBJECT = {
  applicationId: text('The application that the signal names'),
  candidateApplicationProfileId: text('The candidate application profile that it names'),
  positionProfileIds: list(text('Of the position profiles that it names the first twenty')),
};

const REDRIVE_LOG: Json = {
  ...list(fromZod(RedriveSchema, 'output')),
  description: 'When it was put back, and by whom, oldest first; nobody is named by “Retry all”',
};
const TOKEN_FIELDS = Object.keys(TOKEN_VIEW);

/** What travels; the signals' own part comes from the schemas that judge them. */
export const schemas: Json = {
  ...Object.fromEntries(
    Object.entries(SIGNAL_SCHEMAS).map(([name, schema]) => [name, signalSchema(schema)]),
  ),
  Signal: { oneOf: [...Object.keys(SIGNAL_SCHEMAS), 'SignalWithWorkflow'].map(ref) },
  WorkflowStep: {
    description: 'A status, or a phase with steps of its own',
    anyOf: [
      text('The label, which is the id as well'),
      object(
        {
          label: text('What the hirer sees'),
          id: text('What the ATS calls it, where labels repeat'),
          placed: {
            type: 'boolean',
            description:
              'How it ends, with all below: placed or filled, or without. Absent: it goes on',
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
    description: 'The ATS’s own process; transitions put one that is a graph into order',
  },
  NamedState: object({ status: text('One of the workflow’s'), timestamp: instant }, [
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
    description:
      'Any status update, with states that name statuses of the workflow beside them; all else as usual',
  },
  Problem: object({ message: text() }, ['message']),
  Conflict: object({ message: text(), signalId: text('What the key stands for') }, [
    'message',
    'signalId',
  ]),
  InvalidFields: {
    type: 'object',
    description: 'What is wrong, by JSON pointer; the first hundred problems',
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
      duplicate: { type: 'boolean', description: 'Accepted before; nothing was queued now' },
      state: ref('State'),
      warnings: list(text('Begins with a JSON pointer')),
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
      acceptedFrom: text('The name of the API key, or of the application, that sent it'),
      attempts: list(ref('Attempt')),
      nextAttemptAt: instant,
      lastDeferral: fromZod(DeferralSchema, 'output'),
      redrives: { type: 'integer' },
      ...SUBJECT,
      redriveLog: REDRIVE_LOG,
      traceId: text('Of the trace that it was accepted in, where that was recorded'),
      reason: text('Why it was skipped or died'),
    },
    ['signalId', 'typeCode', 'state', 'acceptedAt', 'attempts', 'redrives'],
  ),
  DeadLetterCount: object(
    {
      ...{ code: text(), typeCode: text(), count: { type: 'integer' } },
      ...{ firstAt: instant, lastAt: instant, reason: text('Of the last of them') },
    },
    ['code', 'typeCode', 'count', 'firstAt', 'lastAt', 'reason'],
  ),
  RedriveResult: object(
    {
      redriven: { type: 'integer' },
      invalid: { type: 'integer', description: 'Would not be accepted today, and stay' },
      more: {
        type: 'boolean',
        description: 'Letters that the filter takes are left, or may be: ask again',
      },
      until: { ...instant, description: 'To be sent with the same filter, if it is asked again' },
    },
    ['redriven', 'invalid', 'more', 'until'],
  ),
  ImportResult: object(
    {
      imported: { type: 'integer' },
      skipped: { type: 'integer', description: 'Already present' },
      invalid: list(
        object({ line: { type: 'integer', minimum: 1 }, message: text() }, ['line', 'message']),
      ),
    },
    ['imported', 'skipped', 'invalid'],
  ),
  RedrivePreview: object(
    {
      wouldRedrive: { type: 'integer' },
      invalid: { type: 'integer', description: 'Would not be accepted today, and would stay' },
      refusals: {
        ...list(
          object(
            {
              ...{ pointer: text('Into the signal'), message: text() },
              ...{ count: { type: 'integer' }, example: text('The signalId of one') },
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
              ...{ signalId: text(), typeCode: text(), code: text(), reason: text() },
              diedAt: instant,
            },
            ['signalId', 'typeCode', 'code', 'reason', 'diedAt'],
          ),
        ),
        description: 'Of those that would go, up to five',
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
      diedAt: instant,
      acceptedAt: instant,
      attempts: list(ref('Attempt')),
      redrives: { type: 'integer' },
      ...SUBJECT,
      redriveLog: REDRIVE_LOG,
    },
    ['signalId', 'typeCode', 'reason', 'code', 'diedAt', 'acceptedAt', 'attempts', 'redrives'],
  ),
  SeekToken: {
    type: 'object',
    properties: {
      token: text('Exactly as received'),
      source: { type: 'string', enum: ['linkOut', 'applyWithSeek'] },
      receivedAt: { ...instant, description: 'When it reached the ATS; now if left out' },
    },
    required: ['token', 'source'],
    additionalProperties: false,
  },
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
      backlog: { type: 'integer' },
      workers: { type: 'integer' },
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
          'Whether signals are sent to SEEK. All but `state` appear only while delivery is suspended',
      },
    },
    ['counts', 'backlog', 'workers', 'delivery'],
  ),
};
