import fc from 'fast-check';

import { backoffMs } from '../../src/worker/evaluateAttempt.ts';
import { applyRetryLimits, classify, type SendResult } from '../../src/worker/seek/classify.ts';
import { parseRetryAfter } from '../../src/worker/seek/http.ts';
// Sets the seed that all properties share.
import '../support/arbitraries.ts';

const DAY_MS = 86_400_000;
// `parseRetryAfter` caps longer waits.
const MAX_RETRY_AFTER_MS = 3 * 3_600_000;
const PERMANENT = ['BAD_USER_INPUT', 'FORBIDDEN'];

describe('backoffMs', () => {
  const wait = fc.integer({ min: 1, max: 2 ** 31 });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const attempt = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 1e6 }));
  const asked = fc.option(fc.integer({ min: 0, max: DAY_MS }), { nil: undefined });

  it('any attempt → within 20 % of the planned wait, never below Retry-After', () => {
    fc.assert(
      fc.property(attempt, wait, wait, asked, random, (number, baseMs, maxMs, retryAfterMs, at) => {
        const plan = Math.min(baseMs * 2 ** (number - 1), maxMs);

        const ms = backoffMs({ attempt: number, baseMs, maxMs, retryAfterMs, random: () => at });

        expect(Number.isSafeInteger(ms)).toBe(true);
        expect(ms).toBeGreaterThanOrEqual(Math.max(1, retryAfterMs ?? 0, Math.floor(plan * 0.8)));
        expect(ms).toBeLessThanOrEqual(Math.max(1, retryAfterMs ?? 0, Math.ceil(plan * 1.2)));
      }),
    );
  });

  it('next attempt → never a shorter wait', () => {
    fc.assert(
      fc.property(attempt, wait, wait, random, (number, baseMs, maxMs, at) => {
        const waitAfter = (which: number) =>
          backoffMs({ attempt: which, baseMs, maxMs, random: () => at });

        expect(waitAfter(number + 1)).toBeGreaterThanOrEqual(waitAfter(number));
      }),
    );
  });
});

const code = fc.oneof(
  fc.constantFrom(...PERMANENT, 'UNAUTHENTICATED', 'RATE_LIMITED', 'INTERNAL_SERVER_ERROR'),
  fc.string(),
);
const message = fc.string({ unit: 'binary' });
const json = fc.jsonValue({ maxDepth: 3 });
const extensions = fc.record({
  code,
  invalidFields: fc.oneof(json, fc.dictionary(message, message)),
});
const error = fc.record({ message, extensions }, { requiredKeys: ['message'] });
const retryAfter = fc.record(
  { retryAfterMs: fc.integer({ min: 1, max: DAY_MS }) },
  { requiredKeys: [] },
);

const result: fc.Arbitrary<Exclude<SendResult, { kind: 'aborted' }>> = fc.oneof(
  fc.constant({ kind: 'accepted' as const }),
  fc
    .constantFrom(false, null, 'absent')
    .map((unconfirmed) => ({ kind: 'accepted' as const, unconfirmed })),
  fc
    .tuple(fc.array(error), retryAfter)
    .map(([errors, more]) => ({ kind: 'refused' as const, errors, ...more })),
  fc
    .tuple(fc.integer({ min: 100, max: 999 }), retryAfter)
    .map(([status, more]) => ({ kind: 'unreadable' as const, status, ...more })),
  fc
    .tuple(message, fc.boolean())
    .map(([reason, unsent]) => ({ kind: 'unreachable' as const, reason, unsent })),
);

describe('classify', () => {
  it('any answer → one outcome, and a reason of at most 1000 characters', () => {
    fc.assert(
      fc.property(result, (answer) => {
        const outcome = classify(answer);

        expect(['delivered', 'retry', 'dead']).toContain(outcome.kind);
        expect(outcome.kind === 'delivered').toBe(answer.kind === 'accepted');
        if (outcome.kind === 'retry' || outcome.kind === 'dead') {
          expect(outcome.reason.length).toBeLessThanOrEqual(1_000);
        }
      }),
    );
  });

  it('dead → SEEK’s errors are all permanent, or the answer is a 4xx without GraphQL', () => {
    fc.assert(
      fc.property(result, (answer) => {
        if (classify(answer).kind !== 'dead') return;
        if (answer.kind === 'refused') {
          for (const each of answer.errors) {
            const isFinal = PERMANENT.includes(each.extensions?.code ?? '');
            expect(isFinal || /public test data/i.test(each.message)).toBe(true);
          }
        } else {
          expect(answer).toMatchObject({ kind: 'unreadable' });
          const status = answer.kind === 'unreadable' ? answer.status : 0;
          expect(status >= 400 && status < 500).toBe(true);
          expect([401, 408, 425, 429]).not.toContain(status);
        }
      }),
    );
  });

  it('one transient error anywhere among permanent ones → retry', () => {
    const final = fc
      .constantFrom(...PERMANENT)
      .map((name) => ({ message: '', extensions: { code: name } }));
    const passing = fc
      .string()
      .filter((name) => !PERMANENT.includes(name))
      .map((name) => ({ message: 'm', extensions: { code: name } }));

    fc.assert(
      fc.property(fc.array(final), passing, fc.array(final), (before, one, after) => {
        expect(classify({ kind: 'refused', errors: [...before, one, ...after] })).toMatchObject({
          kind: 'retry',
          code: one.extensions.code,
        });
        const errors = [...before, ...after];
        const alone = classify({ kind: 'refused', errors });
        expect(alone.kind).toBe(errors.length === 0 ? 'retry' : 'dead');
      }),
    );
  });

  it('retry with no attempts or no time left → dead', () => {
    const number = fc.integer({ min: 1, max: 50 });

    fc.assert(
      fc.property(result, number, number, fc.nat(DAY_MS), (answer, attempt, maxAttempts, ageMs) => {
        const outcome = classify(answer);
        const ended = applyRetryLimits(
          outcome,
          { attempt, ageMs, inARow: 1 },
          { maxAttempts, maxAgeMs: DAY_MS / 2 },
        );
        const isOver = attempt >= maxAttempts || ageMs >= DAY_MS / 2;

        expect(ended.kind).toBe(outcome.kind === 'retry' && isOver ? 'dead' : outcome.kind);
      }),
    );
  });
});

describe('parseRetryAfter', () => {
  const now = Date.UTC(2026, 2, 3);
  const header = fc.oneof(
    fc.string(),
    fc.array(fc.string()),
    fc.double().map(String),
    fc.bigInt().map(String),
    fc.date().map((date) => date.toUTCString()),
    fc.string().map((made) => `${made} GMT`),
    fc.constant(undefined),
  );

  it('any header → undefined, or a positive wait of at most a day', () => {
    fc.assert(
      fc.property(header, (given) => {
        const ms = parseRetryAfter(given, now);

        if (ms === undefined) return;
        expect(ms).toBeGreaterThan(0);
        expect(ms).toBeLessThanOrEqual(DAY_MS);
      }),
    );
  });

  it('seconds and the equivalent date → the same wait', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), (seconds) => {
        const date = new Date(now + seconds * 1000).toUTCString();

        expect(parseRetryAfter(String(seconds), now)).toBe(
          Math.min(seconds * 1000, MAX_RETRY_AFTER_MS),
        );
        expect(parseRetryAfter(date, now)).toBe(Math.min(seconds * 1000, MAX_RETRY_AFTER_MS));
      }),
    );
  });
});
