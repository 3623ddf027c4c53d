import fc from 'fast-check';
import type { TakenJob } from '../../src/queue/jobSource.ts';
import type { Permit } from '../../src/worker/circuitBreaker/circuitBreaker.ts';
import { createBatcher } from '../../src/worker/delivery/batcher.ts';
import { createBisectBatch } from '../../src/worker/delivery/bisectBatch.ts';
import { createDeliverSet, withTokenUsed } from '../../src/worker/delivery/deliverSet.ts';
import type { SendAuthorised, SendOutcome } from '../../src/worker/delivery/sendAuthorised.ts';
import type { ResolvedEntry } from '../../src/worker/inFlight.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import { setup } from './setupAttempts.ts';

const KINDS = ['plain', 'lookup', 'missing', 'bad', 'newer', 'unreadable', 'poison', 'suspected'];

/** The id names the kind, so that the doubles know what to answer. */
const buildJob = (kind: string, n: number): TakenJob => {
  const id = `${kind}-${n}`;
  switch (kind) {
    case 'newer':
      return buildTakenJob({ id, data: { version: 5 } });
    case 'unreadable':
      return buildTakenJob({ id, data: null });
    case 'poison':
      return buildTakenJob({ id, data: buildSignalJob({ isolatedCrashes: 3 }), stalledCounter: 5 });
    case 'suspected':
      return buildTakenJob({ id, stalledCounter: 2 });
    default:
      return buildTakenJob({ id });
  }
};

/** What happens at a request: nothing more than SEEK's answer, or this. */
type Event = 'none' | 'fault' | 'loseFirst' | 'loseUnnoticed' | 'stop' | 'deferred' | 'unreachable';
const EVENTS: Event[] = [
  'none',
  'none',
  'fault',
  'loseFirst',
  'loseUnnoticed',
  'stop',
  'deferred',
  'unreachable',
];

const answerOf = (ids: readonly string[], event: Event): SendOutcome => {
  const answered = { kind: 'answered', requestId: 'request-1', breakerOpen: false } as const;
  if (event === 'deferred') return { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Slow down' };
  if (event === 'unreachable') {
    return { ...answered, result: { kind: 'unreachable', reason: 'no answer', unsent: false } };
  }
  const isBad = ids.some((id) => id.startsWith('bad'));
  const errors = [{ message: 'No', extensions: { code: 'FORBIDDEN' } }];
  return { ...answered, result: isBad ? { kind: 'refused', errors } : { kind: 'accepted' } };
};

/** A worker whose delivery is real, up to the request. */
const setupWorker = (jobs: readonly TakenJob[], permit: Permit | undefined, events: Event[]) => {
  const aborter = new AbortController();
  const lost = new Set<string>();
  const accepted: string[] = [];
  let requests = 0;
  const jobOf = (id: string) => jobs.find((job) => job.id === id);

  const sendAuthorised: SendAuthorised = async (entries) => {
    const event = events[requests] ?? 'none';
    requests += 1;
    await new Promise(setImmediate);
    const first = jobOf(entries[0]?.signalId ?? '');
    if (event === 'fault') throw new TypeError('bug');
    if (event === 'stop') aborter.abort('stopping');
    if (event.startsWith('lose') && first !== undefined) {
      lost.add(first.id);
      if (event === 'loseFirst') worker.lose(first);
      else worker.loseLock(first);
    }
    const ids = entries.map(({ signalId }) => signalId);
    const answer = answerOf(ids, event);
    if (answer.kind === 'answered' && answer.result.kind === 'accepted') accepted.push(...ids);
    return answer;
  };

  const worker = setup({
    abort: aborter.signal,
    deliver: ({ endAttempt, isHeld }) => {
      const bisectBatch = createBisectBatch<ResolvedEntry>({
        sendAuthorised,
        isHeld: ({ inFlight }) => isHeld(inFlight),
        abort: aborter.signal,
        logger: captureLogs().logger,
        onUnknownMutation: () => {},
        onUnconfirmed: () => {},
      });
      return createDeliverSet({
        breaker: { acquire: async () => permit, release: () => {} },
        resolveIdentifiers: ({ signalId, signal: { applicationId, positionId, ...signal } }) => {
          if (signalId.startsWith('missing')) return { kind: 'skipped', reason: 'no-token' };
          const resolved = { kind: 'resolved', signal } as const;
          return signalId.startsWith('lookup') ? Promise.resolve(resolved) : resolved;
        },
        batcher: createBatcher({
          bisectBatch,
          onResult: (entry, delivery) => endAttempt(entry.inFlight, withTokenUsed(entry, delivery)),
          size: 4,
          // The rest of a set is sent when no batch is in flight any more.
          lingerMs: 60_000,
        }),
        bisectBatch,
        onResult: endAttempt,
        abort: aborter.signal,
      });
    },
  });
  return { ...worker, lost, accepted, hasStopped: () => aborter.signal.aborted };
};

const anyJobs = fc
  .array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 20 })
  .map((kinds) => kinds.map(buildJob));
const anyPermit = fc.constantFrom<Permit | undefined>('normal', 'normal', 'probe', undefined);
const anyEvents = fc.array(fc.constantFrom(...EVENTS), { maxLength: 8 });

describe('set of any jobs, with any events', () => {
  it('→ each job that is not lost ends once, none is held, and only confirmed ones are logged as delivered', async () => {
    await fc.assert(
      fc.asyncProperty(anyJobs, anyPermit, anyEvents, async (jobs, permit, events) => {
        const { run, ends, lost, accepted, pool, logs } = setupWorker(jobs, permit, events);

        await run(...jobs);

        const ended = ends.map(([, id]) => id);
        expect(new Set(ended).size).toBe(ended.length);
        expect(new Set([...ended, ...lost])).toEqual(new Set(jobs.map(({ id }) => id)));
        expect(jobs.filter(pool.holds)).toEqual([]);
        const delivered = ends.flatMap(([how, id, result]) =>
          how === 'complete' && JSON.stringify(result).includes('delivered') ? [id] : [],
        );
        // What SEEK accepted is delivered, and nothing else is.
        expect(new Set(delivered)).toEqual(new Set(accepted.filter((id) => !lost.has(id))));
        const logged = logs
          .lines()
          .flatMap(({ msg, outcome, signalId }) =>
            msg === 'signal.attempted' && outcome === 'delivered' ? [signalId] : [],
          );
        expect(logged.toSorted()).toEqual(delivered.toSorted());
      }),
      { numRuns: 300 },
    );
  });
});

describe('worker that stops', () => {
  it('during the first request → what is not sent goes back without an attempt', async () => {
    const jobs = Array.from({ length: 10 }, (_, n) => buildJob(n === 0 ? 'bad' : 'plain', n));
    const { run, ends, counted, updates } = setupWorker(jobs, 'normal', ['stop', 'stop', 'stop']);

    await run(...jobs);

    // The first batch is rejected, and not split any more. The second is accepted in flight. The third waits.
    const released = ends.flatMap(([how, id]) => (how === 'requeue' ? [id] : []));
    expect(released.toSorted()).toEqual([
      'bad-0',
      'plain-1',
      'plain-2',
      'plain-3',
      'plain-8',
      'plain-9',
    ]);
    expect(counted).toEqual(Array(4).fill({ outcome: 'delivered', code: '' }));
    expect(updates).toEqual([]);
  });
});

describe('probe', () => {
  it('→ the first signal of the set is sent, the others go back without an attempt', async () => {
    const jobs = Array.from({ length: 3 }, (_, n) => buildJob('plain', n));
    const { run, ends, accepted } = setupWorker(jobs, 'probe', []);

    await run(...jobs);

    expect(ends.map(([how, id]) => `${id} ${how}`)).toEqual([
      'plain-1 requeue',
      'plain-2 requeue',
      'plain-0 complete',
    ]);
    expect(accepted).toEqual(['plain-0']);
  });
});
