import { identify } from '../../src/producer/signalId.ts';
import { parseSignal } from '../../src/schemas/parseSignal.ts';
import { LIVE_AUDIENCE } from '../../src/schemas/seekApi.ts';

import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../support/buildSignal.ts';

export type TestSignal = {
  /** The value by which requests to SEEK identify the signal. Unique. */
  mark: string;
  signalId: string;
  signal: object;
};

/** Builds distinct signals of all types. Every seek token contains `secret`, so one search finds a leak. */
export const createSignals = (secret: string) => {
  let created = 0;

  const createOne = (): TestSignal => {
    created += 1;
    // Encoding or decoding it once too often would change it.
    const token = `${secret}-${created}+of/one%20application`;
    const position = `position-${secret.slice(0, 4)}-${created}`;
    const build = [
      () => ({ mark: token, signal: buildApplicationComplete({ token }) }),
      () => ({ mark: token, signal: buildSignal({ token }) }),
      () => ({
        mark: position,
        signal: buildPositionStatusUpdate({ positionProfileIds: [position] }),
      }),
    ][created % 3];
    if (build === undefined) throw new Error('No signal type');
    const { mark, signal } = build();
    return { mark, signal, signalId: signalIdOf(signal) };
  };

  return (count: number): TestSignal[] => Array.from({ length: count }, createOne);
};

/** A signal with an `applicationId`. Its mark is the seek token that the worker should resolve. */
export const signalOfApplication = (applicationId: string, token: string): TestSignal => {
  const signal = buildSignal({ token: undefined, applicationId });
  return { mark: token, signal, signalId: signalIdOf(signal) };
};

// The API returns the id, but a test also needs it for signals that got no answer.
const signalIdOf = (signal: object): string => {
  const options = { now: new Date(), allowUnknownTypes: false, audience: LIVE_AUDIENCE };
  const parsed = parseSignal(signal, options);
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.invalidFields));
  return identify(parsed.signal).signalId;
};

type Input = { token?: string; positionProfileIds?: string[]; signals?: Input[] };

/** The marks of the signals in the body of a `sendSignal` or `sendSignals` request. */
export const marksIn = (text: string): string[] => {
  const { variables }: { variables?: { input?: Input } } = JSON.parse(text);
  const { input = {} } = variables ?? {};
  return (input.signals ?? [input]).map(
    ({ token, positionProfileIds }) => token ?? positionProfileIds?.[0] ?? '',
  );
};
