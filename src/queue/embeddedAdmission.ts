import * as z from 'zod';

import type { Admission, Backend, JobQueue, NewJob } from './backend.ts';
import type { PgliteDatabase } from './embedded/pglite.ts';
import { CLAIM, CONFIRM } from './embeddedLedgerSql.ts';
import { signalJobOptions } from './jobOptions.ts';
import { memoryOf } from './memory.ts';

const IdRow = z.object({ signal_id: z.string() });
const ClaimRow = IdRow.extend({
  content_id: z.string().nullable(),
  accepted: z.boolean().nullable(),
  queued: z.boolean(),
  buried: z.boolean(),
});

type Options = {
  database: PgliteDatabase;
  queue: () => Promise<Pick<JobQueue, 'addBulk'>>;
  now?: () => number;
};

/**
 * Claims, adds, and confirms: who dies in between leaves a claim that holds the id for a short while,
 * or a job that is found by the next who claims.
 */
export const createEmbeddedAdmission = ({
  database: { query },
  queue,
  now = Date.now,
}: Options): Backend['admit'] => {
  const claim = async (jobs: NewJob[]) => {
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
      jobs.map(({ signalId, data }) => memoryOf(signalId, data, Date.parse(data.acceptedAt)).until),
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
    const claims = await claim(jobs);
    const added = jobs.filter(({ signalId, contentId }) => {
      const known = claims.get(signalId);
      if (known === undefined || known.accepted || known.queued || known.buried) return false;
      // Who claimed it and is not heard of may have died; under the same id a second add is harmless.
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
    return jobs.map((job): Admission => {
      const { signalId, contentId } = job;
      if (firsts.has(signalId)) return { kind: 'added' };
      const known = claims.get(signalId);
      // Another caller was first with the same, between our two steps.
      const remembered = known?.content_id ?? (ours.has(job) ? contentId : undefined);
      return {
        kind: 'known',
        ...(remembered === undefined ? {} : { remembered }),
        queued: known?.queued ?? true,
      };
    });
  };
};
