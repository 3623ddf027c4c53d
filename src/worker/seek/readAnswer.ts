import { createRedactor, redact } from '../../observability/redact.ts';
import { isObject } from '../../schemas/json.ts';
import { type SeekError, SeekErrorSchema } from '../../schemas/seekApi.ts';
import type { SeekAnswer } from '../../schemas/signalJob.ts';
import { oneLine } from './classify.ts';

/**
 * Reads the two members of an answer that decide the outcome (GraphQL specification, "Response").
 * graphql-request would reject the whole answer because of others, such as `extensions: null`, and would
 * read a list as the answers to a batch.
 */
export const parseAnswer = (text: string): { data: unknown; errors?: unknown } => {
  const answer: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
  if (!isObject(answer)) throw new TypeError('not an object');
  const { data = null, errors } = answer;
  return isEmpty(errors) ? { data } : { data, errors };
};

// An answer without errors has no `errors`. Servers also write null or an empty list, and gateways that
// do not tell lists from objects turn that list into an empty object.
const isEmpty = (errors: unknown): boolean =>
  errors === undefined ||
  errors === null ||
  (typeof errors === 'object' && Object.keys(errors).length === 0);

// Every attempt stores it.
const MAX_VALUE_LENGTH = 100;

/** The value of a mutation as an attempt stores it: a primitive, or the JSON type of anything else. */
export const describeValue = (value: unknown, secrets: readonly string[]): SeekAnswer => {
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'number':
      // JSON reads 1e999 as infinity, which it cannot write.
      return Number.isFinite(value) ? value : 'number';
    case 'string':
      return oneLine(redact(value, secrets).slice(0, MAX_VALUE_LENGTH).toWellFormed());
    default:
      if (value === null) return null;
      return Array.isArray(value) ? 'array' : 'object';
  }
};

/** The errors of an answer that can be read, with secrets masked. `undefined`: there are none. */
export const readErrors = (
  errors: unknown,
  secrets: readonly string[],
): SeekError[] | undefined => {
  if (!Array.isArray(errors)) return undefined;
  const maskSecrets = createErrorMasker(secrets);
  const readable = errors.flatMap((error) => {
    const parsed = SeekErrorSchema.safeParse(error);
    return parsed.success ? [maskSecrets(parsed.data)] : [];
  });
  return readable.length > 0 ? readable : undefined;
};

// Outcomes depend on these codes, and they are no secrets. So they are never masked, not even when a
// seek token happens to be a part of one.
const KNOWN_CODES = new Set([
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'RATE_LIMITED',
  'INTERNAL_SERVER_ERROR',
  'GRAPHQL_VALIDATION_FAILED',
  'GRAPHQL_PARSE_FAILED',
]);

// Every attempt stores its code, and the log gets the invalid fields.
const MAX_CODE_LENGTH = 100;
const MAX_INVALID_FIELDS = 1_000;

/** Masks secrets in an error. `code` and `invalidFields` keep their place and their shape. */
const createErrorMasker = (secrets: readonly string[]) => {
  const redactor = createRedactor(secrets);
  const maskCode = (code: string): string =>
    KNOWN_CODES.has(code) ? code : redactor.text(code).slice(0, MAX_CODE_LENGTH).toWellFormed();
  const toText = (problem: unknown): string =>
    typeof problem === 'string' ? redactor.text(problem) : JSON.stringify(redactor.value(problem));
  const maskFields = (fields: unknown): unknown =>
    typeof fields === 'object' && fields !== null && !Array.isArray(fields)
      ? Object.fromEntries(
          Object.entries(fields)
            .slice(0, MAX_INVALID_FIELDS)
            .map(([pointer, problem]) => [redactor.text(pointer), toText(problem)]),
        )
      : redactor.value(fields);

  return ({ message, extensions }: SeekError): SeekError => {
    if (extensions === undefined) return { message: redactor.text(message) };
    const { code, invalidFields, ...rest } = extensions;
    const others = Object.entries(rest).map(([key, value]) => [
      redactor.text(key),
      redactor.value(value),
    ]);
    return {
      message: redactor.text(message),
      extensions: {
        ...Object.fromEntries(others),
        ...(code === undefined ? {} : { code: maskCode(code) }),
        ...(invalidFields === undefined ? {} : { invalidFields: maskFields(invalidFields) }),
      },
    };
  };
};
