import {
  coerceInputValue,
  type GraphQLSchema,
  isInputType,
  isNonNullType,
  type OperationDefinitionNode,
  typeFromAST,
} from 'graphql';

import { type InvalidFields, toPointer } from '../schemas/invalidFields.ts';

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
