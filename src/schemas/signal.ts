import * as z from 'zod';
import { DateTimeSchema } from './dateTime.ts';
import {
  CandidateApplicationProfileIdSchema,
  ExactTextSchema,
  PositionProfileIdSchema,
  SeekTokenSchema,
  TextSchema,
} from './identifiers.ts';
import { ApplicationIdSchema } from './seekToken.ts';

const int32 = (least: number) =>
  z
    .int32(`Expected a whole number from ${least} to 2147483647`)
    .min(least, `Expected a whole number from ${least} to 2147483647`);

/** Where a status stands among the statuses of its process. SEEK recommends counting from 1. */
const RankSchema = z.strictObject(
  { label: TextSchema, index: int32(0), total: int32(0) },
  'Expected an object with label, index and total',
);

/**
 * A state of an application or position. `success` is `true` when placed or filled, `false` when
 * closed without, `null` while it goes on: SEEK reads `null`, so it is kept apart from absent.
 */
const StateSchema = z.strictObject(
  {
    status: RankSchema,
    phase: RankSchema.optional(),
    success: z.boolean('Expected true, false or null').nullable().optional(),
    timestamp: DateTimeSchema,
  },
  'Expected an object with status and timestamp',
);

// One more than is ever named (invalidFields.ts): a list of a million wrong ones costs no more.
const MAX_WRONG = 101;

const untilTooManyAreWrong = (ids: unknown[]): unknown[] => {
  let wrong = 0;
  const last = ids.findIndex((id) => {
    if (!PositionProfileIdSchema.safeParse(id).success) wrong += 1;
    return wrong === MAX_WRONG;
  });
  return last === -1 ? ids : ids.slice(0, last + 1);
};

const toIdList = (value: unknown): unknown => {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? untilTooManyAreWrong(value) : value;
};

// SEEK's own sample passes one identifier as a bare string, which GraphQL would coerce to a list.
const PositionProfileIdsSchema = z.preprocess(
  toIdList,
  z
    .array(PositionProfileIdSchema, 'Expected an identifier or a list of them')
    .min(1, 'Must name at least one position profile')
    .describe('A bare string counts as a list of one.'),
);

/** Every field of SEEK's `SendSignalInput`. */
const FIELDS = {
  typeCode: ExactTextSchema,
  token: SeekTokenSchema.optional(),
  candidateApplicationProfileId: CandidateApplicationProfileIdSchema.optional(),
  positionProfileIds: PositionProfileIdsSchema.optional(),
  current: StateSchema.optional(),
  previous: StateSchema.optional(),
  timestamp: DateTimeSchema.optional(),
};

/** Ours, in place of a token: whose seek token it is that is looked up when the signal is sent. */
const OWN_FIELDS = { applicationId: ApplicationIdSchema.optional() };

export const FIELD_NAMES: ReadonlySet<string> = new Set(Object.keys({ ...FIELDS, ...OWN_FIELDS }));

/** Something that happened in a hiring process, as SEEK takes it: parsed, timestamps in UTC. */
export type SeekSignal = Omit<Signal, 'applicationId'> & { applicationId?: never };

/** The same as we take it: it may name an application in place of a seek token. */
export type Signal = z.output<typeof AnySignalSchema>;

/** A signal whatever its type: what the queue may hold, and types that SEEK has added since. */
export const AnySignalSchema = z.strictObject({ ...FIELDS, ...OWN_FIELDS }, 'Expected an object');

const ApplicationCompleteSchema = z.strictObject(
  {
    typeCode: z.literal('ApplicationComplete'),
    token: FIELDS.token,
    ...OWN_FIELDS,
    timestamp: FIELDS.timestamp,
  },
  'Expected an object',
);

const ApplicationStatusUpdateSchema = z.strictObject(
  {
    typeCode: z.literal('ApplicationStatusUpdate'),
    token: FIELDS.token,
    ...OWN_FIELDS,
    candidateApplicationProfileId: FIELDS.candidateApplicationProfileId,
    positionProfileIds: FIELDS.positionProfileIds,
    current: StateSchema,
    previous: FIELDS.previous,
  },
  'Expected an object',
);

const PositionStatusUpdateSchema = z.strictObject(
  {
    typeCode: z.literal('PositionStatusUpdate'),
    positionProfileIds: PositionProfileIdsSchema,
    current: StateSchema,
    previous: FIELDS.previous,
  },
  'Expected an object',
);

/** The types that SEEK documents (developer.seek.com, "Sending signals"). The set is open. */
export const SIGNAL_SCHEMAS = {
  ApplicationComplete: ApplicationCompleteSchema,
  ApplicationStatusUpdate: ApplicationStatusUpdateSchema,
  PositionStatusUpdate: PositionStatusUpdateSchema,
};

export type TypeCode = keyof typeof SIGNAL_SCHEMAS;

export const isKnownType = (typeCode: unknown): typeCode is TypeCode =>
  typeof typeCode === 'string' && Object.hasOwn(SIGNAL_SCHEMAS, typeCode);

type Rank = { label: string; index: number; total: number };

/** A state as a caller writes it; `timestamp` is RFC 3339 with any offset. */
export type StateInput = {
  status: Rank;
  phase?: Rank | null | undefined;
  success?: boolean | null | undefined;
  timestamp: string;
};

/** A signal as a caller writes it, with SEEK's own field names. */
export type SignalInput =
  | {
      typeCode: 'ApplicationComplete';
      /** This or `applicationId`. */
      token?: string | null | undefined;
      /** The application whose recorded seek token is to be sent. */
      applicationId?: string | null | undefined;
      timestamp?: string | null | undefined;
    }
  | {
      typeCode: 'ApplicationStatusUpdate';
      /** One of these three. */
      token?: string | null | undefined;
      applicationId?: string | null | undefined;
      candidateApplicationProfileId?: string | null | undefined;
      positionProfileIds?: string | string[] | null | undefined;
      current: StateInput;
      previous?: StateInput | null | undefined;
    }
  | {
      typeCode: 'PositionStatusUpdate';
      positionProfileIds: string | string[];
      current: StateInput;
      previous?: StateInput | null | undefined;
    };
