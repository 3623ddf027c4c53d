import type { Job } from 'bullmq';
import { createAcceptSignals } from '../../src/queue/acceptSignals.ts';
import {
  DEAD_LETTERS,
  type EnqueueIfAbsentResult,
  type NewJob,
  type QueueName,
} from '../../src/queue/backend.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import type { SignalRecord, SignalState } from '../../src/schemas/signalRecord.ts';
import { buildDeadLetter } from '../support/buildSignal.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const DAY_MS = 24 * 3_600_000;
const ADDED: EnqueueIfAbsentResult = { kind: 'added' };
const IN_QUEUE: EnqueueIfAbsentResult = { kind: 'known', queued: true };
const RECORDED: EnqueueIfAbsentResult = { kind: 'known', recordedContentId: 'id', queued: false };
const ACCEPTED = { kind: 'accepted', signalId: 'id', duplicate: false, state: 'waiting' };
const GAVE_UP = 'Gave up after 5 attempts: concurrent updates to signal id. Enqueue it again.';

const duplicate = (state: SignalState) => ({ ...ACCEPTED, duplicate: true, state });
const completedJob = (change: object = {}) =>
  ({ id: 'id', data: {}, timestamp: NOW - 2 * DAY_MS, finishedOn: 7, ...change }) as Job;

type Known = {
  /** The answers to each attempt to enqueue. The last is repeated. */
  admissions: (EnqueueIfAbsentResult | undefined)[];
  jobState?: string;
  job?: Job;
  deadLetter?: Job;
  skipReason?: string;
  state?: SignalState;
  /** The answer of the replicas. */
  replicas?: Promise<void>;
};

/** A queue that holds what is given, and records every call in order. */
const setup = ({
  admissions,
  jobState = 'unknown',
  job,
  deadLetter,
  skipReason,
  state,
  replicas = Promise.resolve(),
}: Known) => {
  const calls: string[] = [];
  const called = <T>(call: string, answer: T): Promise<T> => {
    calls.push(call);
    return Promise.resolve(answer);
  };
  let attempts = 0;
  const backend = {
    enqueueIfAbsent: () => {
      const answer = admissions[Math.min(attempts, admissions.length - 1)];
      attempts += 1;
      return called('enqueue', answer === undefined ? [] : [answer]);
    },
    waitForReplicas: () => called('waitForReplicas', undefined).then(() => replicas),
    takeBack: (jobs: NewJob[]) =>
      called(`take back ${jobs.map(({ signalId }) => signalId)}`, undefined),
    index: { indexSignals: () => Promise.resolve() },
    queue: async (name: QueueName) => ({
      getJobState: () => called(`state in ${name}`, jobState) as Promise<'unknown'>,
      getJob: () => called(`job in ${name}`, name === DEAD_LETTERS ? deadLetter : job),
    }),
    bookkeeping: {
      findSkipRecord: () => {
        const record = { signalId: 'id', reason: skipReason } as SignalRecord;
        return called('skip record', skipReason === undefined ? undefined : record);
      },
      reopen: (_: string, finishedAt?: number) => called(`reopen ${finishedAt}`, true),
    },
  };
  const acceptSignals = createAcceptSignals({
    backend: backend as unknown as Parameters<typeof createAcceptSignals>[0]['backend'],
    lookup: { stateOf: () => called('lookup', state) },
    cipher: createTokenCipher([]),
    dedupeWindowMs: DAY_MS,
    now: async () => NOW,
  });
  const accept = async (change: { signalId?: string } = {}) => {
    const signal = { typeCode: 'ApplicationComplete', token: 'token' } as const;
    const entry = { signalId: 'id', contentId: 'id', signal, from: 'ats', ...change };
    const [acceptance] = await acceptSignals.accept([entry]);
    return acceptance;
  };
  return { accept, calls };
};

describe('accepting a signal reads no more than the answer needs', () => {
  it.each<{ what: string; known: Known; answer: object; reads: string[] }>([
    { what: 'a new signal', known: { admissions: [ADDED] }, answer: ACCEPTED, reads: [] },
    {
      what: 'a duplicate with a dedupe record',
      known: { admissions: [RECORDED], state: 'delivered' },
      answer: duplicate('delivered'),
      reads: ['skip record', 'lookup'],
    },
    {
      what: 'a duplicate that was skipped for good',
      known: { admissions: [RECORDED], skipReason: 'discarded', state: 'skipped' },
      answer: duplicate('skipped'),
      reads: ['skip record', 'lookup'],
    },
    {
      what: 'a duplicate that waits in the queue',
      known: { admissions: [IN_QUEUE], jobState: 'waiting', job: completedJob(), state: 'waiting' },
      answer: duplicate('waiting'),
      reads: ['state in signals', 'job in signals', 'job in dead-letters', 'lookup'],
    },
    {
      what: 'a duplicate whose job failed before its dedupe window ended',
      known: { admissions: [IN_QUEUE], jobState: 'failed', job: completedJob(), state: 'dead' },
      answer: duplicate('dead'),
      reads: ['state in signals', 'job in signals', 'job in dead-letters', 'lookup'],
    },
    {
      what: 'a duplicate in the dead letters',
      known: {
        admissions: [{ kind: 'known', queued: false }],
        deadLetter: { data: buildDeadLetter() } as Job,
        state: 'dead',
      },
      answer: duplicate('dead'),
      reads: ['job in signals', 'job in dead-letters', 'lookup'],
    },
  ])('$what → $reads', async ({ known, answer, reads }) => {
    const { accept, calls } = setup(known);

    expect(await accept()).toEqual(answer);
    expect(calls).toEqual(['enqueue', ...reads, 'waitForReplicas']);
  });

  it.each<{ what: string; known: Known; reads: string[] }>([
    {
      what: 'other content in the dedupe record',
      known: { admissions: [{ kind: 'known', recordedContentId: 'other', queued: false }] },
      reads: [],
    },
    {
      what: 'other content in the queue',
      known: { admissions: [IN_QUEUE], jobState: 'active', job: completedJob({ data: {} }) },
      reads: ['state in signals', 'job in signals', 'job in dead-letters'],
    },
    {
      what: 'unreadable content in the queue',
      known: { admissions: [IN_QUEUE], jobState: 'active', job: completedJob({ data: 'text' }) },
      reads: ['state in signals', 'job in signals', 'job in dead-letters'],
    },
  ])('$what under an Idempotency-Key → a conflict, which waits for no replica', async (row) => {
    const { accept, calls } = setup(row.known);

    expect(await accept({ signalId: 'key' })).toEqual({ kind: 'conflict', signalId: 'key' });
    expect(calls).toEqual(['enqueue', ...row.reads]);
  });
});

describe('a signal that may be enqueued again', () => {
  it.each<{
    what: string;
    known: Omit<Known, 'admissions'>;
    first: EnqueueIfAbsentResult;
    calls: string[];
  }>([
    {
      what: 'a completed job past its dedupe window',
      known: { jobState: 'completed', job: completedJob() },
      first: IN_QUEUE,
      calls: ['state in signals', 'job in signals', 'reopen 7'],
    },
    {
      what: 'a signal skipped for no-token whose job was removed',
      known: { skipReason: 'no-token' },
      first: RECORDED,
      calls: ['skip record', 'job in signals', 'reopen undefined'],
    },
    {
      what: 'a signal skipped for token-expired whose job is kept',
      known: {
        skipReason: 'token-expired',
        job: completedJob({ returnvalue: { outcome: 'skipped' } }),
      },
      first: RECORDED,
      calls: ['skip record', 'job in signals', 'reopen 7'],
    },
  ])('$what → reopened and re-enqueued', async ({ known, first, calls: expected }) => {
    const { accept, calls } = setup({ ...known, admissions: [first, ADDED] });

    expect(await accept()).toEqual(ACCEPTED);
    expect(calls).toEqual(['enqueue', ...expected, 'enqueue', 'waitForReplicas']);
  });

  it('a completed job within its dedupe window → duplicate, and the job stays', async () => {
    const job = completedJob({ timestamp: NOW - DAY_MS + 1 });
    const { accept, calls } = setup({
      admissions: [IN_QUEUE],
      jobState: 'completed',
      job,
      state: 'delivered',
    });

    expect(await accept()).toEqual(duplicate('delivered'));
    expect(calls.filter((call) => call.startsWith('reopen'))).toEqual([]);
  });
});

describe('too few replicas have the signal', () => {
  it('rejects, after it has taken the signal back', async () => {
    const tooFew = new Error('0 of 1 replicas (WAIT_REPLICAS) have the write');
    const { accept, calls } = setup({ admissions: [ADDED], replicas: Promise.reject(tooFew) });

    await expect(accept()).rejects.toThrow(tooFew);
    expect(calls).toEqual(['enqueue', 'waitForReplicas', 'take back id']);
  });
});

describe('concurrent updates to a signal', () => {
  const enqueues = (calls: string[]) => calls.filter((call) => call === 'enqueue').length;

  it('the existing signal disappears between the reads → re-enqueued', async () => {
    const { accept, calls } = setup({ admissions: [IN_QUEUE, ADDED] });

    expect(await accept()).toEqual(ACCEPTED);
    expect(enqueues(calls)).toBe(2);
  });

  it('a dedupe record outlives its signal until the last attempt → duplicate, waiting', async () => {
    const { accept, calls } = setup({ admissions: [RECORDED] });

    expect(await accept()).toEqual(duplicate('waiting'));
    expect(enqueues(calls)).toBe(6);
    expect(calls.at(-1)).toBe('waitForReplicas');
  });

  it('every attempt finds a job that is gone when it is read → an error that says what to do', async () => {
    const { accept, calls } = setup({ admissions: [IN_QUEUE] });

    await expect(accept()).rejects.toThrow(GAVE_UP);
    expect(enqueues(calls)).toBe(6);
    expect(calls).not.toContain('waitForReplicas');
  });

  it('every attempt finds a skipped signal to reopen → the same error', async () => {
    const { accept, calls } = setup({ admissions: [RECORDED], skipReason: 'no-token' });

    await expect(accept()).rejects.toThrow(GAVE_UP);
    expect(enqueues(calls)).toBe(6);
  });

  it.each([
    { when: 'at first', admissions: [undefined] },
    { when: 'when the signal is re-enqueued', admissions: [IN_QUEUE, undefined] },
  ])('the queue gives no answer $when → an error', async ({ admissions }) => {
    const { accept } = setup({ admissions });

    await expect(accept()).rejects.toThrow(
      'The queue did not say whether it added signal id. Enqueue it again.',
    );
  });
});
