import type { NewSignal } from '../queue/acceptSignals.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import { jsonBytes } from '../schemas/json.ts';
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
  /**
   * Set for signals that were accepted before, when another limit may have applied: `maxSignalBytes` does
   * not apply to them.
   */
  anySize?: boolean | undefined;
};

export type Prepared = { signal: NewSignal; warnings: string[] };

/** The validation rules that come from the configuration. */
export type ValidationRules = Omit<ParseOptions, 'now' | 'isModelled'> & {
  /** `MAX_SIGNAL_BYTES`: the largest signal, as JSON in UTF-8. */
  maxSignalBytes: number;
};

/** Validates a signal and computes its id. Returns the error instead of throwing it. */
export const prepareSignal = (
  given: unknown,
  { from, idempotencyKey, reportTo, anySize = false }: Sender,
  { maxSignalBytes, ...rules }: ValidationRules,
): Prepared | InvalidSignalError => {
  const { input, invalidFields, isModelled } = applyWorkflow(given);
  const parsed = parseSignal(input, { ...rules, now: new Date(), isModelled });
  const problems = {
    ...(anySize
      ? {}
      : sizeProblem(parsed.kind === 'valid' ? parsed.signal : given, maxSignalBytes)),
    ...(parsed.kind === 'invalid' ? parsed.invalidFields : {}),
    ...invalidFields,
  };
  if (parsed.kind === 'invalid' || Object.keys(problems).length > 0) {
    return new InvalidSignalError(problems);
  }
  const { signal, warnings } = parsed;
  const key = idempotencyKey === undefined ? undefined : { scope: from, key: idempotencyKey };
  return { signal: { ...identify(signal, key), signal, from, reportTo }, warnings };
};

const sizeProblem = (signal: unknown, max: number): InvalidFields => {
  const bytes = jsonBytes(signal);
  return bytes > max
    ? { '': `Is ${bytes} bytes of JSON, but MAX_SIGNAL_BYTES allows at most ${max}` }
    : {};
};
