import {
  type Backend,
  DEAD_LETTERS,
  type EnqueueIfAbsentResult,
  type JobQueue,
  type NewJob,
  SIGNALS,
} from '../backend.ts';
import { signalJobOptions } from '../bullWorker.ts';
import { dedupeRecordOf, PENDING_MS } from '../dedupeWindow.ts';
import type { KeyValueStore } from './keyValueStore.ts';

const FIND_JOBS = `
  SELECT id, queue FROM bullmq.job
  WHERE id = ANY($1) AND queue IN ('${SIGNALS}', '${DEAD_LETTERS}')`;

type Deps = {
  store: KeyValueStore;
  queue: () => Promise<Pick<JobQueue, 'addBulk'>>;
  now?: () => number;
};

/**
 * Reserves ids, adds jobs, and confirms. A process that dies in between leaves a reservation, which
 * expires after a short while, or a job, which the next caller finds.
 */
export const createAdmission = ({
  store,
  queue,
  now = Date.now,
}: Deps): Backend['enqueueIfAbsent'] => {
  /** What was known of the ids before. Reserves those without a record or a job. */
  const reserve = (jobs: NewJob[]) =>
    store.transaction(async (tx) => {
      const ids = jobs.map(({ signalId }) => signalId);
      const records = await tx.get('dedupeRecords', ids);
      const { rows } = await tx.query<{ id: string; queue: string }>(FIND_JOBS, [ids]);
      const jobIds = new Set(rows.map(({ id }) => id));
      const queued = new Set(rows.filter((row) => row.queue === SIGNALS).map(({ id }) => id));

      const absent = jobs.filter(
        ({ signalId }) => !jobIds.has(signalId) && !records.get(signalId)?.value.accepted,
      );
      const expiresAt = now() + PENDING_MS;
      await tx.putIfAbsent(
        'dedupeRecords',
        absent.map(({ signalId, contentId }) => ({
          key: signalId,
          value: { contentId, accepted: false },
          expiresAt,
        })),
      );
      await tx.putIfAbsent(
        'unsent',
        absent.map(({ signalId }) => ({ key: signalId, value: true, score: now() })),
      );
      return { records, queued, absent };
    });

  /** Resolves with the ids that no other caller has confirmed. */
  const confirm = (jobs: NewJob[]): Promise<Set<string>> =>
    store.transaction(async (tx) => {
      const records = await tx.get(
        'dedupeRecords',
        jobs.map(({ signalId }) => signalId),
      );
      const firsts = jobs.filter(({ signalId }) => !records.get(signalId)?.value.accepted);
      await tx.put(
        'dedupeRecords',
        firsts.map(({ signalId, contentId, data }) => ({
          key: signalId,
          value: { contentId, accepted: true },
          expiresAt: dedupeRecordOf(signalId, data, Date.parse(data.acceptedAt)).until,
        })),
      );
      return new Set(firsts.map(({ signalId }) => signalId));
    });

  return async (jobs) => {
    const { records, queued, absent } = await reserve(jobs);
    const contentOf = (signalId: string) => records.get(signalId)?.value.contentId;
    // The process that reserved an id may have died. A second add under the same id is harmless.
    const added = absent.filter(
      ({ signalId, contentId }) => (contentOf(signalId) ?? contentId) === contentId,
    );
    if (added.length > 0) {
      await (await queue()).addBulk(
        added.map(({ signalId, data }) => ({
          name: data.signal.typeCode,
          data,
          opts: signalJobOptions(signalId, Date.parse(data.acceptedAt)),
        })),
      );
    }
    const firsts = await confirm(added);
    const ours = new Set(added);
    return jobs.map((job): EnqueueIfAbsentResult => {
      const { signalId, contentId } = job;
      if (firsts.has(signalId)) return { kind: 'added' };
      // Another caller may have confirmed the same content between our first and last step.
      const remembered = contentOf(signalId) ?? (ours.has(job) ? contentId : undefined);
      return {
        kind: 'known',
        ...(remembered === undefined ? {} : { remembered }),
        queued: queued.has(signalId),
      };
    });
  };
};
