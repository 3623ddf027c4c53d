import type { NewSignal } from '../queue/acceptSignals.ts';
import { type ParseOptions, parseSignal } from '../schemas/parseSignal.ts';
import { InvalidSignalError } from './errors.ts';
import { identify } from './signalId.ts';
import { applyWorkflow } from './workflow/applyWorkflow.ts';

export type Sender = {
  /** The name of the API key, or of the producer. */
  from: string;
  /** Identifies the signal instead of its content, within the keys of this sender. */
  idempotencyKey?: string | undefined;
  /** Set if an outbox tracks the outcomes of its signals. */
  reportTo?: 'outbox' | undefined;
};

export type Prepared = { signal: NewSignal; warnings: string[] };

/** The options of `parseSignal` that come from the configuration. */
export type ValidationRules = Omit<ParseOptions, 'now' | 'isModelled'>;

/** Validates a signal and computes its id. Returns the error instead of throwing it. */
export const prepareSignal = (
  given: unknown,
  { from, idempotencyKey, reportTo }: Sender,
  rules: ValidationRules,
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
