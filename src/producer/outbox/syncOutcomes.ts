import type { Logger } from '../../observability/logger.ts';
import { createThrottle } from '../../observability/logger.ts';
import type { OutcomeEvent, OutcomeStream, StreamedOutcome } from '../../queue/backend.ts';
import type { OutcomeRows, Unsettled } from './outcomeRows.ts';
import { type AskQueue, outcomeEventsIn } from './reconcile.ts';

const AT_ONCE = 1_000;
const EVERY_MS = 500;
// Who has not been told of a signal for so long asks for it.
const ASK_AFTER_SECONDS = 300;
const ASKED_AT_ONCE = 500;
const TEND_EVERY_MS = 30_000;
const EARLY_MS = 60_000;
const WARN_EVERY_MS = 60_000;

type Deps = {
  outcomeStream: OutcomeStream;
  outcomeRows: OutcomeRows;
  ask: AskQueue;
  keepMs: number;
  logger: Logger;
  metrics: { outboxMissing: { inc: (by: number) => void } };
  everyMs?: number;
  askAfterSeconds?: number;
  tendEveryMs?: number;
  now?: () => number;
};

/**
 * Writes down in the ATS's database what became of signals: as workers tell it, and by asking the queue
 * for those of which nobody tells. Rows that were settled long enough ago go.
 */
export const syncOutcomes = ({
  everyMs = EVERY_MS,
  askAfterSeconds = ASK_AFTER_SECONDS,
  tendEveryMs = TEND_EVERY_MS,
  now = Date.now,
  ...deps
}: Deps) => {
  const { outcomeStream, outcomeRows, ask, keepMs, logger, metrics } = deps;
  let isStopped = false;
  const isDue = createThrottle(WARN_EVERY_MS);
  let tendedAt = Number.NEGATIVE_INFINITY;

  /**
   * One that was skipped for want of a token may have been sent anew since, by another row: to call that
   * one skipped would keep it from being given back to a queue that lost it.
   */
  const holds = async ({ signalId, outcome }: OutcomeEvent): Promise<boolean> => {
    if (outcome !== 'skipped') return true;
    const asked = await ask(signalId);
    return (
      asked.kind === 'unknown' || (asked.kind === 'settled' && asked.settlement.outcome === outcome)
    );
  };

  const writeBack = async (): Promise<void> => {
    for (;;) {
      const reported = await outcomeStream.take(AT_ONCE);
      const told = await Promise.all(reported.map(({ settlement }) => holds(settlement)));
      const holding = reported.filter((_, index) => told[index]);
      const written = await outcomeRows.writeBack(holding.map(({ settlement }) => settlement));
      // A signal may be delivered before its row says that it was queued: it is told of once more, later.
      const isEarly = ({ settlement: { signalId, at } }: StreamedOutcome) =>
        !written.has(signalId) && at >= now() - EARLY_MS;
      const early = new Set(holding.filter(isEarly));
      const done = reported.filter((one) => !early.has(one)).map(({ id }) => id);
      await outcomeStream.done(done);
      if (done.length < AT_ONCE || isStopped) return;
    }
  };

  const askFor = async (left: readonly Unsettled[]): Promise<void> => {
    const asked = await Promise.all(left.map(({ signalId }) => ask(signalId)));
    await outcomeRows.writeBack(outcomeEventsIn(asked));
    await outcomeRows.checked(left.map(({ id }) => id));
    const unknown = left.filter((_, index) => asked[index]?.kind === 'unknown');
    if (unknown.length === 0) return;
    metrics.outboxMissing.inc(unknown.length);
    const [first] = unknown;
    logger.warn(
      { signals: unknown.length, signalId: first?.signalId },
      'outbox.unknown: the queue does not know them any more; seek-signals outbox reconcile',
    );
  };

  const tend = async (): Promise<void> => {
    tendedAt = performance.now();
    await askFor(await outcomeRows.leftSince(askAfterSeconds, ASKED_AT_ONCE));
    while ((await outcomeRows.prune(keepMs / 1_000, AT_ONCE)) === AT_ONCE && !isStopped);
  };

  const turn = async (): Promise<void> => {
    try {
      await writeBack();
      if (performance.now() - tendedAt >= tendEveryMs) await tend();
    } catch (err) {
      if (!isDue()) return;
      const reason = err instanceof Error && 'code' in err ? String(err.code) : 'unknown';
      logger.warn({ reason }, 'Ledger of the outbox not kept; tried again');
    }
  };

  let turning: Promise<void> | undefined;
  const timer = setInterval(() => {
    turning ??= turn().finally(() => {
      turning = undefined;
    });
  }, everyMs);

  return {
    close: async (): Promise<void> => {
      isStopped = true;
      clearInterval(timer);
      await turning;
    },
  };
};
