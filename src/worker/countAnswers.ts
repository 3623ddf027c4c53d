import { codeLabel, type Metrics } from '../metrics.ts';

export type Counters = {
  attempts: { inc: (labels: { outcome: string; code: string }) => void };
  deferred: { inc: (labels: { code: string }) => void };
  tokenFailures: { inc: (labels: { code: string }) => void };
};

/** Counts what became of attempts a second time, for those who look at the board. */
export const countAnswers = (
  count: (answer: string) => void,
  { attempts, deferred, tokenFailures, requestSeconds }: Metrics,
): Counters & Pick<Metrics, 'requestSeconds'> => ({
  attempts: {
    inc: ({ outcome, code }) => {
      attempts.inc({ outcome, code });
      count(code === '' ? outcome : code);
    },
  },
  deferred: {
    inc: ({ code }) => {
      deferred.inc({ code });
      count(code);
    },
  },
  tokenFailures: {
    inc: ({ code }) => {
      tokenFailures.inc({ code });
      count(codeLabel(code));
    },
  },
  requestSeconds,
});
