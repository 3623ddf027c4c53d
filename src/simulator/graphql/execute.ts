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
import type { ResolverContext } from './resolvers.ts';

const RequestSchema = z.object({
  query: z.string('query must be a string'),
  variables: z.record(z.string(), z.unknown(), 'variables must be an object'),
  operationName: z.string('operationName must be a string').nullish(),
});

type OperationInput = {
  schema: GraphQLSchema;
  rootValue: unknown;
  body: unknown;
  context: ResolverContext;
};

const rejection = (...errors: GraphQLError[]): ExecutionResult => ({ errors });

/** Executes one request body with graphql-js. The result has no `data` if nothing was executed. */
export const executeOperation = ({
  schema,
  rootValue,
  body,
  context,
}: OperationInput): ExecutionResult => {
  const request = RequestSchema.safeParse(body);

  if (!request.success) {
    return rejection(badUserInput(request.error.issues.map(({ message }) => message).join('; ')));
  }

  const { query, variables, operationName } = request.data;
  const parsed = readDocument(schema, query);

  if ('errors' in parsed) {
    return rejection(...parsed.errors);
  }

  const operation = getOperationAST(parsed.document, operationName);

  if (!operation) {
    return rejection(badUserInput('operationName must name one of the operations'));
  }

  const invalid = findInvalidVariables(schema, operation, variables);

  if (Object.keys(invalid).length > 0) {
    return rejection(badUserInput('The variables are not valid', invalid));
  }

  return executeSync({
    schema,
    document: parsed.document,
    rootValue,
    contextValue: context,
    variableValues: variables,
    operationName: operationName ?? null,
  });
};

/**
 * Coerces the variables as `executeSync` does later. Its errors contain the path only in their message, while
 * `coerceInputValue` passes the path to its callback.
 */
const findInvalidVariables = (
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
      // graphql-js reports a missing or unknown field at its parent, and names the field only in the message.
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

/** Finds arguments that are not variables. SEEK rejects them ("GraphQL in practice"). */
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

/** Returns a document that can be executed, or all errors of the query. */
const readDocument = (
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
