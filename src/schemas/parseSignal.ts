import type * as z from 'zod';
import { DateTimeSchema } from './dateTime.ts';
import { type InvalidFields, toInvalidFields } from './invalidFields.ts';
import { isObject } from './json.ts';
import {
  AnySignalSchema,
  FIELD_NAMES,
  isKnownType,
  SIGNAL_SCHEMAS,
  type Signal,
} from './signal.ts';
import { warningsFor } from './signalWarnings.ts';

const MAX_FUTURE_MS = 24 * 60 * 60 * 1000;

export type ParseOptions = {
  now: Date;
  /** Accept a `typeCode` that this version does not know; its known fields are validated. */
  allowUnknownTypes: boolean;
  /**
   * The SEEK audience that signals are sent to. For the live one, tokens from SEEK's documentation get
   * a warning.
   */
  audience: string;
  /** The states come from a workflow, so `success: false` before the last status gets no warning. */
  isModelled?: boolean;
};

export type ParsedSignal =
  | { kind: 'valid'; signal: Signal; warnings: string[] }
  | { kind: 'invalid'; invalidFields: InvalidFields };

/** Validates a signal on input. Reports all problems at once, by JSON pointer. */
export const parseSignal = (input: unknown, options: ParseOptions): ParsedSignal => {
  const given = withoutNulls(input);
  const typeCode = isObject(given) ? given.typeCode : undefined;
  const schema: z.ZodType<Signal> = isKnownType(typeCode)
    ? SIGNAL_SCHEMAS[typeCode]
    : AnySignalSchema;
  const parsed = schema.safeParse(given, { reportInput: true });
  const invalidFields = {
    ...(parsed.success ? {} : explain(toInvalidFields(parsed.error), typeCode)),
    ...typeProblems(typeCode, options),
    ...identifierProblems(given),
    ...futureProblems(given, options.now),
  };

  if (parsed.success && Object.keys(invalidFields).length === 0) {
    const signal = withoutUndefined(parsed.data);
    return { kind: 'valid', signal, warnings: warningsFor(signal, options) };
  }

  return { kind: 'invalid', invalidFields };
};

// Many callers serialise an unused optional field as `null`; SEEK requires it to be absent. Only the `null`
// of `success` has a meaning.
const withoutNulls = (input: unknown): unknown => {
  if (!isObject(input) || !hasNulls(input)) return input;
  return Object.fromEntries(
    Object.entries(input)
      .filter(([name, value]) => value !== null || !FIELD_NAMES.has(name))
      .map(([name, value]) => {
        if (!isObject(value) || (name !== 'current' && name !== 'previous')) return [name, value];
        const { phase, ...rest } = value;
        return [name, phase === null || phase === undefined ? rest : value];
      }),
  );
};

const hasNulls = (input: Record<string, unknown>): boolean =>
  Object.values(input).some((value) => value === null || (isObject(value) && value.phase === null));

// Most signals have no undefined field, and are returned without a copy.
const withoutUndefined = (signal: Signal): Signal =>
  hasUndefined(signal) ? JSON.parse(JSON.stringify(signal)) : signal;

const hasUndefined = (value: object): boolean =>
  Object.values(value).some(
    (inner) =>
      inner === undefined || (typeof inner === 'object' && inner !== null && hasUndefined(inner)),
  );

const explain = (fields: InvalidFields, typeCode: unknown): InvalidFields =>
  Object.fromEntries(
    Object.entries(fields).map(([pointer, message]) =>
      message === 'Unknown field' && isKnownType(typeCode) && FIELD_NAMES.has(pointer.slice(1))
        ? [pointer, `Is not part of ${typeCode}`]
        : [pointer, message],
    ),
  );

const typeProblems = (typeCode: unknown, { allowUnknownTypes }: ParseOptions): InvalidFields =>
  typeof typeCode !== 'string' || isKnownType(typeCode) || allowUnknownTypes
    ? {}
    : { '/typeCode': `Expected one of ${Object.keys(SIGNAL_SCHEMAS).join(', ')}` };

// Which identifiers each type accepts: developer.seek.com, "Sending signals". `applicationId` is ours: it
// stands for the seek token of that application.
const IDENTIFIERS = new Map<unknown, readonly string[]>([
  ['ApplicationComplete', ['token', 'applicationId']],
  ['ApplicationStatusUpdate', ['token', 'candidateApplicationProfileId', 'applicationId']],
  ['PositionStatusUpdate', ['positionProfileIds', 'positionId']],
]);

const ANY_IDENTIFIER = ['token', 'candidateApplicationProfileId', 'applicationId'];

const identifierProblems = (given: unknown): InvalidFields => {
  if (!isObject(given)) return {};
  const names = IDENTIFIERS.get(given.typeCode);
  // The identifiers of an unknown type are not known either. But `applicationId` never goes with another one.
  if (names === undefined && given.applicationId === undefined) return positionProblems(given);
  const [first, ...more] = (names ?? ANY_IDENTIFIER).filter((name) => given[name] !== undefined);
  if (first === undefined && names !== undefined) {
    return { [`/${names[0]}`]: `Is required, unless ${names.slice(1).join(' or ')} is given` };
  }
  return {
    ...Object.fromEntries(
      more.map((name) => [
        `/${name}`,
        `Must not be given beside ${first}: one of them identifies it`,
      ]),
    ),
    ...positionProblems(given),
  };
};

const positionProblems = ({ positionId, positionProfileIds }: Record<string, unknown>) =>
  positionId === undefined || positionProfileIds === undefined
    ? {}
    : { '/positionId': 'Must not be given beside positionProfileIds: one of them identifies it' };

const futureProblems = (given: unknown, now: Date): InvalidFields => {
  const problems: InvalidFields = {};
  const latest = now.getTime() + MAX_FUTURE_MS;
  const check = (holder: unknown, pointer: string) => {
    const timestamp = isObject(holder) ? holder.timestamp : undefined;
    if (typeof timestamp !== 'string' || !(Date.parse(timestamp) > latest)) return;
    if (DateTimeSchema.safeParse(timestamp).success) {
      problems[`${pointer}/timestamp`] = 'Must not be more than 24 hours in the future';
    }
  };
  check(given, '');
  if (isObject(given)) {
    check(given.current, '/current');
    check(given.previous, '/previous');
  }
  return problems;
};
