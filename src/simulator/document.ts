import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  parse,
  validate,
  visit,
} from 'graphql';

import { badUserInput } from './refusal.ts';

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
