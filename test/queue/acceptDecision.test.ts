import { type Action, decide, type Facts, isRetryable } from '../../src/queue/acceptDecision.ts';
import { SIGNAL_STATES } from '../../src/schemas/signalRecord.ts';

const FINISHED_AT = 1_000;
const SAME = { contentId: 'content' };
const OTHER = { contentId: 'other' };
const UNREADABLE = { contentId: undefined };

/** A known signal of which nothing was found. Its id is that of its content. */
const facts = (change: Partial<Facts> = {}): Facts => ({
  signalId: 'content',
  contentId: 'content',
  added: false,
  isLastAttempt: false,
  ...change,
});
const underKey = (change: Partial<Facts>): Facts => facts({ signalId: 'key', ...change });
const completed = { state: 'completed', finishedAt: FINISHED_AT, isPastWindow: true };

const REOPEN: Action = { kind: 'reopen', finishedAt: FINISHED_AT };
const REOPEN_WITHOUT_JOB: Action = { kind: 'reopen', finishedAt: undefined };
const TRY_AGAIN: Action = { kind: 'tryAgain' };
const CONFLICT: Action = { kind: 'conflict' };
const delivered: Action = { kind: 'duplicate', state: 'delivered' };

type Row = { when: string; known: Facts; action: Action };

const decides = (rows: Row[]) =>
  it.each(rows)('$when → $action.kind', ({ known, action }) => {
    expect(decide(known)).toEqual(action);
    // The last attempt changes one row only: a duplicate whose state can't be read.
    if (known.state !== undefined || action.kind !== 'tryAgain') {
      expect(decide({ ...known, isLastAttempt: true })).toEqual(action);
    }
  });

describe('a new signal', () => {
  decides([
    {
      when: 'the attempt added its job',
      known: facts({ added: true }),
      action: { kind: 'accepted' },
    },
    {
      when: 'the attempt added its job under an Idempotency-Key',
      known: underKey({ added: true }),
      action: { kind: 'accepted' },
    },
  ]);
});

describe('a signal without a dedupe record', () => {
  const job = { existing: SAME, state: 'delivered' as const };
  decides([
    {
      when: 'its job is completed and past its dedupe window',
      known: facts({ ...job, job: completed }),
      action: REOPEN,
    },
    {
      when: 'a job of other content under its Idempotency-Key is past its dedupe window',
      known: underKey({ ...job, existing: OTHER, job: completed }),
      action: REOPEN,
    },
    {
      when: 'its job is completed within its dedupe window',
      known: facts({ ...job, job: { ...completed, isPastWindow: false } }),
      action: delivered,
    },
    {
      when: 'its completed job does not say when it finished',
      known: facts({ ...job, job: { ...completed, finishedAt: undefined } }),
      action: delivered,
    },
    {
      when: 'its completed job was removed before it could be read',
      known: facts({ job: { state: 'completed' } }),
      action: TRY_AGAIN,
    },
    {
      when: 'its job failed, however long ago',
      known: facts({ existing: SAME, state: 'dead', job: { ...completed, state: 'failed' } }),
      action: { kind: 'duplicate', state: 'dead' },
    },
    ...['waiting', 'active', 'delayed', 'unknown'].map((state) => ({
      when: `its job is ${state}, however old`,
      known: facts({ ...job, job: { ...completed, state } }),
      action: delivered,
    })),
    { when: 'neither a job nor a dead letter exists', known: facts(), action: TRY_AGAIN },
    {
      when: 'neither exists under its Idempotency-Key',
      known: underKey({}),
      action: TRY_AGAIN,
    },
  ]);
});

describe('a signal that was skipped', () => {
  const known = (skip: Facts['skip']) => facts({ skip, existing: SAME, state: 'skipped' });
  const skipped = { outcome: 'skipped', finishedAt: FINISHED_AT };
  const duplicate: Action = { kind: 'duplicate', state: 'skipped' };
  decides([
    ...(['no-token', 'token-expired'] as const).flatMap((reason) => [
      {
        when: `for ${reason}, and its job is kept`,
        known: known({ reason, job: skipped }),
        action: REOPEN,
      },
      {
        when: `for ${reason}, and its job was removed`,
        known: known({ reason }),
        action: REOPEN_WITHOUT_JOB,
      },
      {
        when: `for ${reason}, and its job is delivered`,
        known: known({ reason, job: { ...skipped, outcome: 'delivered' } }),
        action: duplicate,
      },
      {
        when: `for ${reason}, and its job has not ended`,
        known: known({ reason, job: { outcome: undefined, finishedAt: undefined } }),
        action: duplicate,
      },
    ]),
    {
      when: 'because its application was erased, and its job is kept',
      known: known({ reason: 'application-erased', job: skipped }),
      action: duplicate,
    },
    {
      when: 'because an operator discarded it, and its job was removed',
      known: known({ reason: 'discarded by an operator' }),
      action: duplicate,
    },
    {
      when: 'for no stated reason',
      known: known({ reason: undefined }),
      action: duplicate,
    },
  ]);
});

describe('an existing signal', () => {
  decides([
    {
      when: 'with other content under the Idempotency-Key',
      known: underKey({ existing: OTHER }),
      action: CONFLICT,
    },
    {
      when: 'with unreadable content under the Idempotency-Key',
      known: underKey({ existing: UNREADABLE }),
      action: CONFLICT,
    },
    {
      when: 'with the same content under the Idempotency-Key',
      known: underKey({ existing: SAME, state: 'delivered' }),
      action: delivered,
    },
    {
      when: 'with unreadable content, without an Idempotency-Key',
      known: facts({ existing: UNREADABLE, state: 'delivered' }),
      action: delivered,
    },
    {
      when: 'with other content that a caller gave this id as its Idempotency-Key',
      known: facts({ existing: OTHER, state: 'delivered' }),
      action: delivered,
    },
    ...SIGNAL_STATES.map((state) => ({
      when: `and is ${state}`,
      known: facts({ existing: SAME, state }),
      action: { kind: 'duplicate' as const, state },
    })),
    {
      when: 'but no state can be read, and attempts are left',
      known: facts({ existing: SAME }),
      action: TRY_AGAIN,
    },
    {
      when: 'but no state can be read under its Idempotency-Key, and attempts are left',
      known: underKey({ existing: SAME }),
      action: TRY_AGAIN,
    },
  ]);
});

describe('the last attempt', () => {
  it.each<Row>([
    {
      when: 'finds a signal whose state cannot be read',
      known: facts({ existing: SAME }),
      action: { kind: 'duplicate', state: 'waiting' },
    },
    {
      when: 'finds the same content, without a readable state, under its Idempotency-Key',
      known: underKey({ existing: SAME }),
      action: { kind: 'duplicate', state: 'waiting' },
    },
    { when: 'finds nothing', known: facts(), action: TRY_AGAIN },
  ])('$when → $action.kind', ({ known, action }) => {
    expect(decide({ ...known, isLastAttempt: true })).toEqual(action);
  });
});

it.each<{ reason: string | undefined; retryable: boolean }>([
  { reason: 'no-token', retryable: true },
  { reason: 'token-expired', retryable: true },
  { reason: 'application-erased', retryable: false },
  { reason: 'discarded by an operator', retryable: false },
  { reason: undefined, retryable: false },
])('skip reason $reason → retryable: $retryable', ({ reason, retryable }) => {
  expect(isRetryable(reason)).toBe(retryable);
});
