import * as z from 'zod';
import type { Backend, EnqueueIfAbsentResult, JobQueue, NewJob } from '../backend.ts';
import { dedupeRecordOf } from '../dedupeWindow.ts';
import { signalJobOptions } from '../jobOptions.ts';
import { CONFIRM, RESERVE } from './bookkeepingSql.ts';
import type { PgliteDatabase } from './pglite.ts';

const IdRow = z.object({ signal_id: z.string() });
const ReservationRow = IdRow.extend({
  content_id: z.string().nullable(),
  accepted: z.boolean().nullable(),
  queued: z.boolean(),
  dead: z.boolean(),
});

type Options = {
  database: PgliteDatabase;
  queue: () => Promise<Pick<JobQueue, 'addBulk'>>;
  now?: () => number;
};

/**
 * Reserves ids, adds jobs, and confirms. A process that crashes in between leaves a reservation, which
 * expires after `PENDING_MS`, or a job, which the next caller finds.
 */
export const createEmbeddedEnqueue = ({
  database: { query },
  queue,
  now = Date.now,
}: Options): Backend['enqueueIfAbsent'] => {
  const reserve = async (jobs: NewJob[]) => {
    const { rows } = await query(RESERVE, [
      jobs.map(({ signalId }) => signalId),
      jobs.map(({ contentId }) => contentId),
      now(),
      now(),
    ]);
    const reservations = z.array(ReservationRow).parse(rows);
    return new Map(reservations.map((row) => [row.signal_id, row]));
  };

  const confirm = async (jobs: NewJob[]): Promise<Set<string>> => {
    const { rows } = await query(CONFIRM, [
      jobs.map(({ signalId }) => signalId),
      jobs.map(({ contentId }) => contentId),
      jobs.map(
        ({ signalId, data }) => dedupeRecordOf(signalId, data, Date.parse(data.acceptedAt)).until,
      ),
      now(),
    ]);
    const confirmed = z.array(IdRow).parse(rows);
    return new Set(confirmed.map((row) => row.signal_id));
  };

  return async (jobs) => {
    const known = await reserve(jobs);
    const added = jobs.filter(({ signalId, contentId }) => {
      const row = known.get(signalId);
      if (row === undefined || row.accepted || row.queued || row.dead) return false;
      // The process that reserved the id may have crashed. BullMQ ignores a second add of the same id.
      return row.content_id === null || row.content_id === contentId;
    });
    if (added.length > 0) {
      await (await queue()).addBulk(
        added.map(({ signalId, data }) => ({
          name: data.signal.typeCode,
          data,
          opts: signalJobOptions(signalId, Date.parse(data.acceptedAt)),
        })),
      );
    }
    const confirmed = await confirm(added);
    const ours = new Set(added);
    return jobs.map((job): EnqueueIfAbsentResult => {
      const { signalId, contentId } = job;
      if (confirmed.has(signalId)) return { kind: 'added' };
      const row = known.get(signalId);
      // Another caller may have confirmed the same content between our first and last step.
      const recordedContentId = row?.content_id ?? (ours.has(job) ? contentId : undefined);
      return {
        kind: 'known',
        ...(recordedContentId === undefined ? {} : { recordedContentId }),
        queued: row?.queued ?? true,
      };
    });
  };
};
