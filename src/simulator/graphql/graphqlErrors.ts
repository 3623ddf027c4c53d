import { GraphQLError } from 'graphql';
import type { InvalidFields } from '../../schemas/invalidFields.ts';

/** A GraphQL error with a code, in the form that SEEK uses. */
export const errorWithCode = (code: string, message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code } });

export const badUserInput = (message: string, invalidFields?: InvalidFields): GraphQLError =>
  new GraphQLError(message, {
    extensions: { code: 'BAD_USER_INPUT', ...(invalidFields && { invalidFields }) },
  });

/** Prepends `prefix` to every pointer. */
export const prefixPointers = (prefix: string, fields: InvalidFields): InvalidFields =>
  Object.fromEntries(Object.entries(fields).map(([key, message]) => [prefix + key, message]));
