import { identify } from '../../src/producer/signalId.ts';
import { parseSignal } from '../../src/schemas/parseSignal.ts';
import { LIVE_AUDIENCE } from '../../src/schemas/seekApi.ts';

import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../support/buildSignal.ts';

/** A signal that is offered to the API, and how to know it again. */
export type Offered = {
  /** What tells it from all others when it arrives at SEEK. */
  mark: string;
  signalId: string;
  signal: object;
};

/** Signals of all types, no two alike. Every seek token holds `secret`, so that one look finds a leak. */
export const createSignals = (secret: string) => {
  let made = 0;

  const makeOne = (): Offered => {
    made += 1;
    // Would be damaged by a careless hop.
    const token = `${secret}-${made}+of/one%20application`;
    const position = `position-${secret.slice(0, 4)}-${made}`;
    const build = [
      () => ({ mark: token, signal: buildApplicationComplete({ token }) }),
      () => ({ mark: token, signal: buildSignal({ token }) }),
      () => ({
        mark: position,
        signal: buildPositionStatusUpdate({ positionProfileIds: [position] }),
      }),
    ][made % 3];
    if (build === undefined) throw new Error('no type');
    const { mark, signal } = build();
    return { mark, signal, signalId: signalIdOf(signal) };
  };

  return (count: number): Offered[] => Array.from({ length: count }, makeOne);
};

/** A signal that names its application, which is known by the token that it is to be sent with. */
export const nameApplication = (applicationId: string, token: string): Offered => {
  const signal = buildSignal({ token: undefined, applicationId });
  return { mark: token, signal, signalId: signalIdOf(signal) };
};

// An ATS is told the id with the answer. Here it has to be known also where no answer came.
const signalIdOf = (signal: object): string => {
  const options = { now: new Date(), allowUnknownTypes: false, audience: LIVE_AUDIENCE };
  const parsed = parseSignal(signal, options);
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.invalidFields));
  return identify(parsed.signal).signalId;
};

type Input = { token?: string; positionProfileIds?: string[]; signals?: Input[] };

/** The marks of the signals in a request to SEEK, alone by `sendSignal` or together by `sendSignals`. */
export const marksIn = (text: string): string[] => {
  const { variables }: { variables?: { input?: Input } } = JSON.parse(text);
  const { input = {} } = variables ?? {};
  return (input.signals ?? [input]).map(
    ({ token, positionProfileIds }) => token ?? positionProfileIds?.[0] ?? '',
  );
};
