import {
  coerceInputValue,
  type DocumentNode,
  type ExecutionResult,
  executeSync,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  isInputType,
  isNonNullType,
  type OperationDefinitionNode,
  parse,
  typeFromAST,
  validate,
  visit,
} from 'graphql';
import * as z from 'zod';
import { type InvalidFields, toPointer } from '../../schemas/invalidFields.ts';
import { badUserInput } from './graphqlErrors.ts';
import type { Caller } from './resolvers.ts';

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

/**
 * Coerces as graphql-js is about to do again. Its own errors bury the path in a sentence; the
 * coercion underneath hands it over.
 */
export const findInvalidVariables = (
  schema: GraphQLSchema,
  { variableDefinitions = [] }: OperationDefinitionNode,
  variables: Record<string, unknown>,
): InvalidFields => {
  const invalid: InvalidFields = {};

  for (const { variable, type: typeNode } of variableDefinitions) {
    const name = variable.name.value;
    const type = typeFromAST(schema, typeNode);
    const value = variables[name];

    if (value === undefined || !isInputType(type)) {
      if (isNonNullType(type)) {
        invalid[toPointer([name])] = 'Is required';
      }

      continue;
    }

    coerceInputValue(value, type, (path, _value, { message }) => {
      // A missing or unknown field is reported at its parent, and named in the message only.
      const field = /^Field "(\w+)"/.exec(message)?.[1];
      const pointer = toPointer([name, ...path, ...(field === undefined ? [] : [field])]);
      invalid[pointer] = message;
    });
  }

  return invalid;
};

const withCode = (code: string, { message, nodes, source, positions }: GraphQLError) =>
  new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    extensions: { code },
  });

const parseQuery = (query: string): DocumentNode | GraphQLError => {
  try {
    return parse(query);
  } catch (err) {
    if (err instanceof GraphQLError) {
      return withCode('GRAPHQL_PARSE_FAILED', err);
    }

    throw err;
  }
};

/** Operation arguments must be variables, never inlined (SEEK: GraphQL in practice). */
const findInlined = (document: DocumentNode): string[] => {
  const inlined: string[] = [];

  visit(document, {
    Argument: ({ name, value }) => {
      if (value.kind !== 'Variable') {
        inlined.push(`Argument "${name.value}" must be a variable`);
      }
    },
    VariableDefinition: ({ variable, defaultValue }) => {
      if (defaultValue !== undefined) {
        inlined.push(`Variable "$${variable.name.value}" must have no inlined default`);
      }
    },
  });

  return inlined;
};

/** A document that may be executed, or everything that speaks against it. */
export const readDocument = (
  schema: GraphQLSchema,
  query: string,
): { document: DocumentNode } | { errors: GraphQLError[] } => {
  const document = parseQuery(query);

  if (document instanceof GraphQLError) {
    return { errors: [document] };
  }

  const violations = validate(schema, document);

  if (violations.length > 0) {
    return { errors: violations.map((error) => withCode('GRAPHQL_VALIDATION_FAILED', error)) };
  }

  const inlined = findInlined(document);

  return inlined.length > 0 ? { errors: [badUserInput(inlined.join('; '))] } : { document };
};
