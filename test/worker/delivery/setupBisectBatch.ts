import fc from 'fast-check';

import type { SeekError } from '../../../src/schemas/seekApi.ts';
import {
  createBisectBatch,
  type DeliveryResult,
} from '../../../src/worker/delivery/bisectBatch.ts';
import type { UnconfirmedAnswer } from '../../../src/worker/delivery/reportUnconfirmed.ts';
import type { Entry, SendOutcome } from '../../../src/worker/delivery/sendAuthorised.ts';
import type { SendResult } from '../../../src/worker/seek/classify.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';

/**
 * How SEEK answers a request with this row. `crashing`: with HTTP 500. `silent`: not at all. `named`:
 * with an error that names the row. `unnamed`: with one that does not.
 */
export type Row = 'good' | 'named' | 'unnamed' | 'forbidden' | 'crashing' | 'silent';
export type Result = Exclude<SendResult, { kind: 'aborted' }>;

export const badInput = (extensions: object = {}): SeekError => ({
  message: 'Invalid',
  extensions: { code: 'BAD_USER_INPUT', ...extensions },
});
export const FORBIDDEN: SeekError = { message: 'No', extensions: { code: 'FORBIDDEN' } };
export const TIMEOUT: Result = {
  kind: 'unreachable',
  reason: 'no answer within 10 ms',
  unsent: false,
};

/** SEEK's one answer for all rows of a request: it accepts all of them, or none. */
export const answer = (rows: readonly Row[]): Result => {
  if (rows.includes('silent')) return TIMEOUT;
  if (rows.includes('crashing')) return { kind: 'unreadable', status: 500 };
  const pointer = (row: number) => (rows.length === 1 ? '/input' : `/input/signals/${row}`);
  const named = rows.flatMap((row, n) => (row === 'named' ? [`${pointer(n)}/token`] : []));
  const errors = [
    ...(named.length > 0
      ? [badInput({ invalidFields: Object.fromEntries(named.map((each) => [each, 'Wrong'])) })]
      : []),
    ...(rows.includes('unnamed') ? [badInput()] : []),
    ...(rows.includes('forbidden') ? [FORBIDDEN] : []),
  ];
  return errors.length === 0 ? { kind: 'accepted' } : { kind: 'refused', errors };
};

const MAX_REQUESTS = 1_000;

/** Overrides the answer to a request. `undefined`: as `answer` says. */
type Reply = (sent: readonly Entry[], request: number) => SendOutcome | Result | undefined;

const NEVER = new AbortController().signal;

type Setup = {
  rows: readonly Row[];
  reply?: Reply;
  /** Whether the circuit breaker is open after the answer. */
  breakerOpen?: boolean;
  /** The answer is held back until this resolves. */
  wait?: (request: number, ids: readonly number[]) => Promise<void> | undefined;
  /** Fires when the worker stops. */
  abort?: AbortSignal;
};

export const setup = ({ rows, reply, wait, abort = NEVER, breakerOpen = false }: Setup) => {
  const entries: Entry[] = rows.map((_, row) => ({
    signalId: `${row}`,
    signal: acceptedBySeek(buildSignal()),
    bytes: 100,
  }));
  const lost = new Set<number>();
  const requests: { ids: number[]; permit: string; abort: AbortSignal | undefined }[] = [];
  const results = new Map<number, DeliveryResult[]>();
  const renewedBefore: boolean[] = [];
  const unknownMutations: number[] = [];
  const unconfirmed: UnconfirmedAnswer[] = [];
  const logs = captureLogs();
  const rowsOf = (sent: readonly Entry[]) => sent.map(({ signalId }) => rows[+signalId] ?? 'good');

  const bisectBatch = createBisectBatch<Entry>({
    sendAuthorised: async (sent, context, signal) => {
      const { permit } = context;
      const ids = sent.map(({ signalId }) => +signalId);
      const number = requests.push({ ids, permit, abort: signal });
      renewedBefore.push(context.renewed);
      context.renewed = true;
      if (number > MAX_REQUESTS) throw new Error(`Expected at most ${MAX_REQUESTS} requests`);
      await wait?.(number, ids);
      const replied = reply?.(sent, number) ?? answer(rowsOf(sent));
      return replied.kind === 'answered' ||
        replied.kind === 'deferred' ||
        replied.kind === 'released'
        ? replied
        : { kind: 'answered', requestId: `request-${number}`, result: replied, breakerOpen };
    },
    isHeld: ({ signalId }) => !lost.has(+signalId),
    abort,
    logger: logs.logger,
    onUnconfirmed: (each) => unconfirmed.push(each),
    onUnknownMutation: () => unknownMutations.push(requests.length),
  });

  return {
    bisectBatch: (permit: 'normal' | 'probe' = 'normal') =>
      bisectBatch(entries, permit, ({ signalId }, delivery) => {
        results.set(+signalId, [...(results.get(+signalId) ?? []), delivery]);
      }),
    /** The rows of each request. */
    sent: () => requests.map(({ ids }) => ids),
    /** All results of each row, so that a test sees a second one. */
    results: () => rows.map((_, row) => results.get(row) ?? []),
    /** The locks of these rows' jobs are lost. */
    lose: (...rows: number[]): void => {
      for (const row of rows) lost.add(row);
    },
    requests,
    renewedBefore,
    unknownMutations,
    unconfirmed,
    logs,
  };
};

export const outcomeOf = (delivery: DeliveryResult | undefined): string =>
  delivery?.kind !== 'attempted'
    ? `${delivery?.kind}`
    : [delivery.outcome.kind, 'code' in delivery.outcome ? delivery.outcome.code : '']
        .join(' ')
        .trim();

/** The outcome of each kind of row once it was sent alone. */
export const OUTCOMES: Record<Row, string> = {
  good: 'delivered',
  named: 'dead BAD_USER_INPUT',
  unnamed: 'dead BAD_USER_INPUT',
  forbidden: 'dead FORBIDDEN',
  crashing: 'retry HTTP_500',
  silent: 'retry UNREACHABLE',
};

const anyRow = fc.constantFrom<Row>(
  ...(['good', 'good', 'named', 'unnamed', 'forbidden', 'crashing', 'silent'] as const),
);
export const anyRows = fc.array(anyRow, { minLength: 1, maxLength: 40 });
