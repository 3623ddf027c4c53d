import { setTimeout as wait } from 'node:timers/promises';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import { type DeadLetterFilter, matches } from './filter.ts';

// Whoever waits for the answer has to hear something, and may call again.
const WORK_MS = 20_000;
const ANSWER_BY_MS = 50_000;

export type RedriveRun = {
  redriven: number;
  /** Would not be accepted today, and stay. */
  invalid: number;
  /** Dead letters that the filter takes are left, or it was stopped before that was known. */
  more: boolean;
  /** When the first of several runs began: dead letters that died later are not meant. */
  until: string;
};

export type RedrivePace = {
  /** So many a second, at most. */
  rate?: number | undefined;
  signal?: AbortSignal | undefined;
};

type Deps = {
  every: () => AsyncIterable<{ deadLetter: DeadLetter }>;
  ask: (signalId: string, by: string) => Promise<{ kind: string }>;
  now: () => Date;
  /** In ms, as `performance.now()` counts them. */
  clock?: () => number;
  pause?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
};

/**
 * Puts back what a filter takes for as long as somebody may wait for it. Keeps nothing in mind: what
 * has gone is no dead letter any more, so that the same call again does the rest.
 */
export const createRedriveMany =
  ({ every, ask, now, clock = () => performance.now(), pause = rest }: Deps) =>
  async (
    filter: DeadLetterFilter,
    by: string,
    { rate, signal }: RedrivePace = {},
  ): Promise<RedriveRun> => {
    const { limit = Number.POSITIVE_INFINITY } = filter;
    // A dead letter that dies again meanwhile would be taken again, and again.
    const until = new Date(Math.min(now().getTime(), filter.until?.getTime() ?? Number.MAX_VALUE));
    const run = { redriven: 0, invalid: 0, more: false, until: until.toISOString() };
    const answerBy = clock() + ANSWER_BY_MS;
    // Counted from the first that goes: or the same call again might come to none, and again.
    let endAt = Number.POSITIVE_INFINITY;

    for await (const { deadLetter } of every()) {
      if (signal?.aborted) return { ...run, more: true };
      if (!matches(deadLetter, { ...filter, until })) continue;
      if (run.redriven === limit) break;
      if (clock() >= endAt) return { ...run, more: true };
      const { kind } = await ask(deadLetter.signalId, by);
      if (kind === 'invalid') run.invalid += 1;
      if (kind !== 'redriven') continue;
      if (run.redriven === 0) endAt = Math.min(clock() + WORK_MS, answerBy);
      run.redriven += 1;
      if (rate !== undefined) await pause(Math.min(1000 / rate, endAt - clock()), signal);
    }
    return run;
  };

const rest = (ms: number, signal: AbortSignal | undefined): Promise<unknown> =>
  wait(ms, undefined, signal && { signal }).catch(() => {});

/** What a redrive would do. Holds no token. */
export type RedrivePreview = {
  wouldRedrive: number;
  /** Would not be accepted today, and would stay. */
  invalid: number;
  /** Why they would, the most frequent first. */
  refusals: Refusal[];
  /** Of those that would go, the newest few. */
  samples: Sample[];
};

type Refusal = { pointer: string; message: string; count: number; example: string };
type Sample = Pick<DeadLetter, 'signalId' | 'typeCode' | 'code' | 'reason' | 'diedAt'>;

const MOST_SAMPLES = 5;
const MOST_REFUSALS = 20;

/** Adds up what is found out of one dead letter after the other. */
export const createRedrivePreview = () => {
  const counts = { wouldRedrive: 0, invalid: 0 };
  const refusals = new Map<string, Refusal>();
  const samples: Sample[] = [];

  const refuse = (invalidFields: InvalidFields, example: string): void => {
    counts.invalid += 1;
    for (const [pointer, message] of Object.entries(invalidFields)) {
      const name = JSON.stringify([pointer, message]);
      const known = refusals.get(name) ?? { pointer, message, count: 0, example };
      refusals.set(name, { ...known, count: known.count + 1 });
    }
  };

  return {
    wouldRedrive: (): number => counts.wouldRedrive,
    add: (deadLetter: Sample, invalidFields: InvalidFields | undefined): void => {
      const { signalId, typeCode, code, reason, diedAt } = deadLetter;
      if (invalidFields !== undefined) {
        refuse(invalidFields, signalId);
        return;
      }
      counts.wouldRedrive += 1;
      if (samples.length < MOST_SAMPLES) samples.push({ signalId, typeCode, code, reason, diedAt });
    },
    outcome: (): RedrivePreview => ({
      ...counts,
      refusals: [...refusals.values()].sort((a, b) => b.count - a.count).slice(0, MOST_REFUSALS),
      samples,
    }),
  };
};
