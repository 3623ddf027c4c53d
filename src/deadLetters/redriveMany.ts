import { setTimeout as wait } from 'node:timers/promises';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import { type DeadLetterFilter, matches } from './filter.ts';
import { revalidate } from './revalidate.ts';

// The caller waits for one HTTP answer, so a run ends early and the caller repeats it.
const WORK_TIMEOUT_MS = 20_000;
const ANSWER_TIMEOUT_MS = 50_000;

/** The result of one run. */
export type RedriveResult = {
  redriven: number;
  /** How many would fail validation today, and stay dead letters. */
  invalid: number;
  /** Matching dead letters are left, or the run stopped before it could know. */
  more: boolean;
  /** When the first of several runs began. Dead letters that died later are not redriven. */
  until: string;
};

export type RedriveOptions = {
  /** How many dead letters to redrive per second at most. */
  rate?: number | undefined;
  signal?: AbortSignal | undefined;
};

type Deps = {
  eachOnce: () => AsyncIterable<{ deadLetter: DeadLetter }>;
  request: (signalId: string, by: string) => Promise<{ kind: string }>;
  now: () => Date;
  /** Monotonic time in milliseconds, like `performance.now()`. */
  clock?: () => number;
  pause?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
};

/**
 * Redrives the dead letters that match a filter, until all are done or the time is up. Keeps no state
 * between runs: a redriven dead letter is gone, so the same call again continues with the rest.
 */
export const createRedriveMany =
  ({ eachOnce, request, now, clock = () => performance.now(), pause = abortableWait }: Deps) =>
  async (
    filter: DeadLetterFilter,
    by: string,
    { rate, signal }: RedriveOptions = {},
  ): Promise<RedriveResult> => {
    const { limit = Number.POSITIVE_INFINITY } = filter;
    // Without this bound a signal that dies again during the run would be redriven again and again.
    const until = new Date(Math.min(now().getTime(), filter.until?.getTime() ?? Number.MAX_VALUE));
    const result = { redriven: 0, invalid: 0, more: false, until: until.toISOString() };
    const answerBy = clock() + ANSWER_TIMEOUT_MS;
    // The time counts from the first redrive. A run that ends before it would make no progress, and
    // neither would the next one.
    let endAt = Number.POSITIVE_INFINITY;

    for await (const { deadLetter } of eachOnce()) {
      if (signal?.aborted) return { ...result, more: true };
      if (!matches(deadLetter, { ...filter, until })) continue;
      if (result.redriven === limit) break;
      if (clock() >= endAt) return { ...result, more: true };
      const { kind } = await request(deadLetter.signalId, by);
      if (kind === 'invalid') result.invalid += 1;
      if (kind !== 'redriven') continue;
      if (result.redriven === 0) endAt = Math.min(clock() + WORK_TIMEOUT_MS, answerBy);
      result.redriven += 1;
      if (rate !== undefined) await pause(Math.min(1000 / rate, endAt - clock()), signal);
    }
    return result;
  };

const abortableWait = (ms: number, signal: AbortSignal | undefined): Promise<unknown> =>
  wait(ms, undefined, signal && { signal }).catch(() => {});

/** What a redrive would do. Holds no seek token. */
export type RedrivePreview = {
  wouldRedrive: number;
  /** How many would fail validation today, and stay dead letters. */
  invalid: number;
  /** Why they would fail, the most frequent problem first. */
  refusals: ProblemCount[];
  /** The newest few of those that would be redriven. */
  samples: Sample[];
};

type ProblemCount = { pointer: string; message: string; count: number; example: string };
type Sample = Pick<DeadLetter, 'signalId' | 'typeCode' | 'code' | 'reason' | 'diedAt'>;

const MAX_SAMPLES = 5;
const MAX_PROBLEMS = 20;

/** Predicts the result of `redriveMany` and changes nothing. */
export const createPreviewRedrive =
  ({ eachOnce, now }: Pick<Deps, 'eachOnce' | 'now'>) =>
  async ({
    limit = Number.POSITIVE_INFINITY,
    ...filter
  }: DeadLetterFilter): Promise<RedrivePreview> => {
    const preview = createRedrivePreview();
    for await (const { deadLetter } of eachOnce()) {
      if (!matches(deadLetter, filter)) continue;
      if (preview.wouldRedrive() === limit) break;
      preview.add(deadLetter, revalidate(deadLetter, now()));
    }
    return preview.outcome();
  };

/** Collects the checks of single dead letters into one preview. */
export const createRedrivePreview = () => {
  const counts = { wouldRedrive: 0, invalid: 0 };
  const problems = new Map<string, ProblemCount>();
  const samples: Sample[] = [];

  const addInvalid = (invalidFields: InvalidFields, example: string): void => {
    counts.invalid += 1;
    for (const [pointer, message] of Object.entries(invalidFields)) {
      const name = JSON.stringify([pointer, message]);
      const known = problems.get(name) ?? { pointer, message, count: 0, example };
      problems.set(name, { ...known, count: known.count + 1 });
    }
  };

  return {
    wouldRedrive: (): number => counts.wouldRedrive,
    add: (deadLetter: Sample, invalidFields: InvalidFields | undefined): void => {
      const { signalId, typeCode, code, reason, diedAt } = deadLetter;
      if (invalidFields !== undefined) {
        addInvalid(invalidFields, signalId);
        return;
      }
      counts.wouldRedrive += 1;
      if (samples.length < MAX_SAMPLES) samples.push({ signalId, typeCode, code, reason, diedAt });
    },
    outcome: (): RedrivePreview => ({
      ...counts,
      refusals: [...problems.values()].sort((a, b) => b.count - a.count).slice(0, MAX_PROBLEMS),
      samples,
    }),
  };
};
