import type { NewSignal } from '../queue/acceptSignals.ts';
import { type ParseOptions, parseSignal } from '../schemas/parseSignal.ts';
import { InvalidSignalError } from './errors.ts';
import { identify } from './signalId.ts';
import { applyWorkflow } from './workflow/applyWorkflow.ts';

export type Sender = {
  /** The name of the API key, or of the application. */
  from: string;
  /** Stands for the signal in place of its content, among the keys of the same sender. */
  idempotencyKey?: string | undefined;
  /** Who wants to hear what becomes of it. */
  reportTo?: 'outbox' | undefined;
};

export type Prepared = { signal: NewSignal; warnings: string[] };

/** What is to be known of a signal, from outside or from another version, before it may be queued. */
export type Rules = Omit<ParseOptions, 'now' | 'isModelled'>;

/** Validate → identify. */
export const prepareSignal = (
  given: unknown,
  { from, idempotencyKey, reportTo }: Sender,
  rules: Rules,
): Prepared | InvalidSignalError => {
  const { input, invalidFields, isModelled } = applyWorkflow(given);
  const parsed = parseSignal(input, { ...rules, now: new Date(), isModelled });
  if (parsed.kind === 'invalid' || Object.keys(invalidFields).length > 0) {
    const others = parsed.kind === 'invalid' ? parsed.invalidFields : {};
    return new InvalidSignalError({ ...others, ...invalidFields });
  }
  const { signal, warnings } = parsed;
  const key = idempotencyKey === undefined ? undefined : { scope: from, key: idempotencyKey };
  return { signal: { ...identify(signal, key), signal, from, reportTo }, warnings };
};
