import {
  type ExecutionResult,
  executeSync,
  type GraphQLError,
  type GraphQLSchema,
  getOperationAST,
} from 'graphql';
import * as z from 'zod';

import { readDocument } from './document.ts';
import { badUserInput } from './refusal.ts';
import type { Caller } from './resolvers.ts';
import { findInvalidVariables } from './variables.ts';

const RequestSchema = z.object({
  query: z.string('query must be a string'),
  variables: z.record(z.string(), z.unknown(), 'variables must be an object'),
  operationName: z.string('operationName must be a string').nullish(),
});

type Input = { schema: GraphQLSchema; rootValue: unknown; body: unknown; caller: Caller };

const refuse = (...errors: GraphQLError[]): ExecutionResult => ({ errors });

/** Runs one request body through graphql-js. The result has no `data` if nothing was executed. */
export const executeOperation = ({ schema, rootValue, body, caller }: Input): ExecutionResult => {
  const request = RequestSchema.safeParse(body);

  if (!request.success) {
    return refuse(badUserInput(request.error.issues.map(({ message }) => message).join('; ')));
  }

  const { query, variables, operationName } = request.data;
  const read = readDocument(schema, query);

  if ('errors' in read) {
    return refuse(...read.errors);
  }

  const operation = getOperationAST(read.document, operationName);

  if (!operation) {
    return refuse(badUserInput('operationName must name one of the operations'));
  }

  const invalid = findInvalidVariables(schema, operation, variables);

  if (Object.keys(invalid).length > 0) {
    return refuse(badUserInput('The variables are not valid', invalid));
  }

  return executeSync({
    schema,
    document: read.document,
    rootValue,
    contextValue: caller,
    variableValues: variables,
    operationName: operationName ?? null,
  });
};
