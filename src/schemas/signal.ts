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

/** The default of `MAX_SIGNAL_BYTES`: the largest signal that is accepted, as JSON in UTF-8. */
export const MAX_SIGNAL_BYTES = 64 * 1024;

/** The range of `MAX_SIGNAL_BYTES`. `POST /signals` and a row of the outbox hold no more than its end. */
export const MAX_SIGNAL_BYTES_RANGE = { min: 1024, max: 1024 * 1024 };

const NOT_A_COUNT = 'Expected a whole number from 0 to 2147483647';
const countSchema = z.int32(NOT_A_COUNT).min(0, NOT_A_COUNT);

/** The position of a status or phase among all of its process. SEEK recommends counting from 1. */
const RankSchema = z.strictObject(
  { label: TextSchema, index: countSchema, total: countSchema },
  'Expected an object with label, index and total',
);

/**
 * A state of an application or position. `success` is `true` if placed or filled, `false` if closed without,
 * `null` while the process continues. To SEEK, `null` is not the same as absent.
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

// One more than `toInvalidFields` reports: validation of a list of a million wrong identifiers stops there.
const MAX_WRONG_IDS = 101;

const cutAfterWrongIds = (ids: unknown[]): unknown[] => {
  let wrong = 0;
  const last = ids.findIndex((id) => {
    if (!PositionProfileIdSchema.safeParse(id).success) wrong += 1;
    return wrong === MAX_WRONG_IDS;
  });
  return last === -1 ? ids : ids.slice(0, last + 1);
};

const toIdList = (value: unknown): unknown => {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? cutAfterWrongIds(value) : value;
};

// A bare string counts as a list of one, as in SEEK's own sample: GraphQL coerces it.
export const PositionProfileIdsSchema = z.preprocess(
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

/**
 * Fields that SEEK does not know. When the worker sends the signal, it replaces `applicationId` by the
 * application's seek token or candidate application profile, and `positionId` by the position's profiles.
 */
const OWN_FIELDS = {
  applicationId: ApplicationIdSchema.optional(),
  positionId: ApplicationIdSchema.optional(),
};

export const FIELD_NAMES: ReadonlySet<string> = new Set(Object.keys({ ...FIELDS, ...OWN_FIELDS }));

/** A signal as it is sent to SEEK: parsed, timestamps in UTC, only with fields that SEEK knows. */
export type SeekSignal = Omit<Signal, keyof typeof OWN_FIELDS> & {
  [field in keyof typeof OWN_FIELDS]?: never;
};

/** A signal as the producer accepts it: parsed. It may name an application or a position by the ATS's own id. */
export type Signal = z.output<typeof AnySignalSchema>;

/** A signal of any type: as read from the queue, and of types that this version does not know. */
export const AnySignalSchema = z.strictObject({ ...FIELDS, ...OWN_FIELDS }, 'Expected an object');

const ApplicationCompleteSchema = z.strictObject(
  {
    typeCode: z.literal('ApplicationComplete'),
    token: FIELDS.token,
    applicationId: OWN_FIELDS.applicationId,
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
    timestamp: FIELDS.timestamp,
  },
  'Expected an object',
);

const PositionStatusUpdateSchema = z.strictObject(
  {
    typeCode: z.literal('PositionStatusUpdate'),
    positionProfileIds: FIELDS.positionProfileIds,
    positionId: OWN_FIELDS.positionId,
    current: StateSchema,
    previous: FIELDS.previous,
    timestamp: FIELDS.timestamp,
  },
  'Expected an object',
);

/** The types that SEEK documents (developer.seek.com, "Sending signals"). SEEK may add others. */
export const SIGNAL_SCHEMAS = {
  ApplicationComplete: ApplicationCompleteSchema,
  ApplicationStatusUpdate: ApplicationStatusUpdateSchema,
  PositionStatusUpdate: PositionStatusUpdateSchema,
};

export type TypeCode = keyof typeof SIGNAL_SCHEMAS;

export const isKnownType = (typeCode: unknown): typeCode is TypeCode =>
  typeof typeCode === 'string' && Object.hasOwn(SIGNAL_SCHEMAS, typeCode);

/** A label as the hirer sees it, and its position: `index` of `total`, counted from 1. */
type RankInput = { label: string; index: number; total: number };

/** A state as a caller writes it. */
export type StateInput = {
  status: RankInput;
  phase?: RankInput | null | undefined;
  /** `true` placed or filled, `false` closed without, `null` while the process continues. */
  success?: boolean | null | undefined;
  /** RFC 3339 with an offset; at most 24 hours in the future. */
  timestamp: string;
};

/**
 * A signal as a caller writes it, in SEEK's own field names (developer.seek.com, "Sending signals"). An
 * optional field with the value `null` counts as absent.
 */
export type SignalInput =
  | {
      typeCode: 'ApplicationComplete';
      /** The seek token, exactly as received. Give either this or `applicationId`. */
      token?: string | null | undefined;
      /** The application whose recorded seek token the worker sends. Skipped if it has only a profile. */
      applicationId?: string | null | undefined;
      /** When the candidate completed the application: RFC 3339 with an offset. Default: the time of acceptance. */
      timestamp?: string | null | undefined;
    }
  | {
      typeCode: 'ApplicationStatusUpdate';
      /** Give exactly one of `token`, `applicationId` and `candidateApplicationProfileId`. */
      token?: string | null | undefined;
      applicationId?: string | null | undefined;
      candidateApplicationProfileId?: string | null | undefined;
      /** Give at most one of `positionProfileIds` and `positionId`. */
      positionProfileIds?: string | string[] | null | undefined;
      positionId?: string | null | undefined;
      current: StateInput;
      previous?: StateInput | null | undefined;
      /** When the signal was generated: RFC 3339 with an offset. */
      timestamp?: string | null | undefined;
    }
  | {
      typeCode: 'PositionStatusUpdate';
      /** Give exactly one of `positionProfileIds` and `positionId`. */
      positionProfileIds?: string | string[] | null | undefined;
      /** The position whose recorded profiles the worker sends. */
      positionId?: string | null | undefined;
      current: StateInput;
      previous?: StateInput | null | undefined;
      /** When the signal was generated: RFC 3339 with an offset. */
      timestamp?: string | null | undefined;
    };
