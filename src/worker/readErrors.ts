import { createRedactor } from '../observability/redact.ts';
import { type SeekError, SeekErrorSchema } from '../schemas/seekApi.ts';

/** The errors of an answer that can be read, with no secret in them; `undefined`: there are none. */
export const readErrors = (
  errors: unknown,
  secrets: readonly string[],
): SeekError[] | undefined => {
  if (!Array.isArray(errors)) return undefined;
  const clean = createCleaner(secrets);
  const readable = errors.flatMap((error) => {
    const parsed = SeekErrorSchema.safeParse(error);
    return parsed.success ? [clean(parsed.data)] : [];
  });
  return readable.length > 0 ? readable : undefined;
};

// These are judged by, and tell of no secret: a token that happens to be part of one masks no code.
const CODES = new Set(
  ['UNAUTHENTICATED', 'FORBIDDEN', 'BAD_USER_INPUT', 'RATE_LIMITED'].concat([
    'INTERNAL_SERVER_ERROR',
    'GRAPHQL_VALIDATION_FAILED',
    'GRAPHQL_PARSE_FAILED',
  ]),
);

// Both are kept: the one with every attempt, the other in the log.
const MAX_CODE = 100;
const MAX_INVALID_FIELDS = 1_000;

/** Masks secrets in what an error says; what it is judged by keeps its place and its shape. */
const createCleaner = (secrets: readonly string[]) => {
  const redactor = createRedactor(secrets);
  const toText = (problem: unknown): string =>
    typeof problem === 'string' ? redactor.text(problem) : JSON.stringify(redactor.value(problem));
  const cleanFields = (fields: unknown): unknown =>
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
        ...(code === undefined
          ? {}
          : {
              code: CODES.has(code) ? code : redactor.text(code).slice(0, MAX_CODE).toWellFormed(),
            }),
        ...(invalidFields === undefined ? {} : { invalidFields: cleanFields(invalidFields) }),
      },
    };
  };
};
