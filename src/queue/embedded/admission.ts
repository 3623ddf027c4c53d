import * as z from 'zod';

import type { Backend, EnqueueIfAbsentResult, JobQueue, NewJob } from '../backend.ts';
import { signalJobOptions } from '../bullWorker.ts';
import { dedupeRecordOf } from '../dedupeWindow.ts';
import { CLAIM, CONFIRM } from './bookkeepingSql.ts';
import type { PgliteDatabase } from './pglite.ts';

const IdRow = z.object({ signal_id: z.string() });
const ClaimRow = IdRow.extend({
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
 * Reserves ids, adds jobs, and confirms. A process that dies in between leaves a reservation, which
 * expires after a short while, or a job, which the next caller finds.
 */
export const createEmbeddedEnqueue = ({
  database: { query },
  queue,
  now = Date.now,
}: Options): Backend['enqueueIfAbsent'] => {
  const takeOwnership = async (jobs: NewJob[]) => {
    const { rows } = await query(CLAIM, [
      jobs.map(({ signalId }) => signalId),
      jobs.map(({ contentId }) => contentId),
      ...[now(), now()],
    ]);
    return new Map(
      z
        .array(ClaimRow)
        .parse(rows)
        .map((row) => [row.signal_id, row]),
    );
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
    return new Set(
      z
        .array(IdRow)
        .parse(rows)
        .map((row) => row.signal_id),
    );
  };

  return async (jobs) => {
    const claims = await takeOwnership(jobs);
    const added = jobs.filter(({ signalId, contentId }) => {
      const known = claims.get(signalId);
      if (known === undefined || known.accepted || known.queued || known.dead) return false;
      // The process that reserved the id may have died. A second add under the same id is harmless.
      return known.content_id === null || known.content_id === contentId;
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
    const firsts = await confirm(added);
    const ours = new Set(added);
    return jobs.map((job): EnqueueIfAbsentResult => {
      const { signalId, contentId } = job;
      if (firsts.has(signalId)) return { kind: 'added' };
      const known = claims.get(signalId);
      // Another caller may have confirmed the same content between our first and last step.
      const remembered = known?.content_id ?? (ours.has(job) ? contentId : undefined);
      return {
        kind: 'known',
        ...(remembered === undefined ? {} : { remembered }),
        queued: known?.queued ?? true,
      };
    });
  };
};
