import { GraphQLError } from 'graphql';
import type { InvalidFields } from '../../schemas/invalidFields.ts';

/** A GraphQL error with a code, which is how SEEK says no. */
export const refusal = (code: string, message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code } });

export const badUserInput = (message: string, invalidFields?: InvalidFields): GraphQLError =>
  new GraphQLError(message, {
    extensions: { code: 'BAD_USER_INPUT', ...(invalidFields && { invalidFields }) },
  });

/** Puts every pointer under `prefix`. */
export const nest = (prefix: string, fields: InvalidFields): InvalidFields =>
  Object.fromEntries(Object.entries(fields).map(([key, message]) => [prefix + key, message]));
