import { buildSchema, type GraphQLSchema, isScalarType } from 'graphql';
import * as z from 'zod';

const SDL = /* GraphQL */ `
  scalar DateTime

  input SendSignal_StateStatusInput {
    label: String!
    index: Int!
    total: Int!
  }

  input SendSignal_StateInput {
    status: SendSignal_StateStatusInput!
    phase: SendSignal_StateStatusInput
    timestamp: DateTime!
    success: Boolean
  }

  input SendSignalInput {
    typeCode: String!
    token: String
    candidateApplicationProfileId: String
    positionProfileIds: [String!]
    current: SendSignal_StateInput
    previous: SendSignal_StateInput
    timestamp: DateTime
  }

  input SendSignalsInput {
    signals: [SendSignalInput!]!
  }

  type Query {
    ping: Boolean
  }

  type Mutation {
    sendSignal(input: SendSignalInput!): Boolean
    sendSignals(input: SendSignalsInput!): Boolean
  }
`;

export type StatusInput = { label: string; index: number; total: number };

export type StateInput = {
  status: StatusInput;
  phase?: StatusInput | null;
  timestamp: string;
  success?: boolean | null;
};

/** A signal as graphql-js passes it to a resolver: it has coerced a single `positionProfileIds` to a list. */
export type SignalInput = {
  typeCode: string;
  token?: string | null;
  candidateApplicationProfileId?: string | null;
  positionProfileIds?: string[] | null;
  current?: StateInput | null;
  previous?: StateInput | null;
  timestamp?: string | null;
};

const Rfc3339Schema = z.iso.datetime({ offset: true });

/** The part of SEEK's schema that accepts signals. */
export const buildSeekSchema = (): GraphQLSchema => {
  const schema = buildSchema(SDL);
  const dateTime = schema.getType('DateTime');

  if (!isScalarType(dateTime)) {
    throw new TypeError('The SDL declares no DateTime scalar');
  }

  // SDL cannot define how a scalar is parsed. Literals need no parser, because the simulator accepts variables only.
  // The value stays a string, so that the recorded signal equals the one that was sent.
  dateTime.parseValue = (value) => {
    if (!Rfc3339Schema.safeParse(value).success) {
      throw new TypeError('Is not an RFC 3339 date-time');
    }

    return value;
  };

  return schema;
};
