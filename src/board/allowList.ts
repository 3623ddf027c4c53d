import type { ControllerHandlerReturnType, HookContext } from '@bull-board/api/typings/app';

import { isObject } from '../schemas/json.ts';
import { maskJob, maskLogs, maskSettings } from './maskJob.ts';

type Names = { signals: string; deadLetters: string };
type Answer = ControllerHandlerReturnType['body'];
type Mask = (body: Record<string, unknown>, context: HookContext) => Answer | Promise<Answer>;

const maskJobsOf = (queue: unknown) =>
  isObject(queue) && Array.isArray(queue.jobs)
    ? { ...queue, jobs: queue.jobs.map(maskJob) }
    : queue;

const jobOf = ({ request }: HookContext) =>
  request.queues.get(request.params.queueName)?.getJob(request.params.jobId);

/**
 * The reads that the page needs, each with what makes its answer safe to show. Left out on purpose:
 * `workers` and `redis/stats` (CLIENT LIST and INFO, over and over), `job-schedulers` (unmasked, without
 * limit; we have none), `job-data-schema` (for adding jobs) and `metrics` (we serve our own).
 */
const READS = new Map<string, Mask>([
  [
    '/api/queues',
    ({ queues }) => ({ queues: Array.isArray(queues) ? queues.map(maskJobsOf) : [] }),
  ],
  ['/api/queues/:queueName/:jobId', ({ job, status }) => ({ job: maskJob(job), status })],
  [
    '/api/queues/:queueName/:jobId/logs',
    async (lines, context) => maskLogs(lines, (await jobOf(context))?.toJSON().data),
  ],
  // No signal is part of a flow, so there is nothing to show; but every job's page asks.
  [
    '/api/queues/:queueName/:jobId/flow',
    (_flow, { request }) => ({ nodeId: request.params.jobId, flowRoot: null, isFlowNode: false }),
  ],
  ['/api/queues/:queueName/default-job-options', maskSettings],
  ['/api/queues/:queueName/rate-limit', maskSettings],
]);

export const RETRY_ONE = '/api/queues/:queueName/:jobId/retry';

/** Each write with the one queue in which it may be done. */
const WRITES = new Map<string, keyof Names>([
  [RETRY_ONE, 'deadLetters'],
  ['/api/queues/:queueName/retry/:queueStatus', 'deadLetters'],
  ['/api/queues/:queueName/:jobId/promote', 'signals'],
  ['/api/queues/:queueName/promote', 'signals'],
]);

/** As many as the page itself ever asks for; Bull Board knows no limit and would read a whole queue at once. */
const MOST_JOBS_PER_PAGE = 300;

const judgeRead = ({ route, request }: HookContext): string | undefined => {
  if (!READS.has(route)) return 'this board answers only what its own pages need.';
  if (Number(request.query.jobsPerPage) > MOST_JOBS_PER_PAGE) {
    return `a page holds at most ${MOST_JOBS_PER_PAGE} jobs.`;
  }
  return undefined;
};

const judgeWrite = async (context: HookContext, names: Names): Promise<string | undefined> => {
  const { method, route, request } = context;
  const queue = WRITES.get(route);

  if (method !== 'put' || queue === undefined || request.params.queueName !== names[queue]) {
    return (
      `only Retry in ${names.deadLetters} and Promote in ${names.signals} are allowed here; ` +
      'anything else could destroy, change or re-send what was accepted.'
    );
  }
  // Bull Board would retry completed jobs as well: dead letters whose signal has long gone out again.
  if (queue === 'deadLetters') {
    const state = request.params.queueStatus ?? (await (await jobOf(context))?.getState());
    const mayGo = state === undefined || state === 'failed';
    if (!mayGo) return `a letter that is ${state} stays as it is.`;
  }
  return undefined;
};

/**
 * Judged by the route that Bull Board matched and the parameters it read, not by the path: however a path
 * is spelled, what runs is what was judged. What a later version adds is refused until it is listed here.
 */
export const createAllowList = (deps: { names: Names; readOnly: boolean }) => ({
  /** Why not; undefined when it may be done. */
  refusal: async (context: HookContext): Promise<string | undefined> => {
    if (context.method === 'get') return judgeRead(context);
    return deps.readOnly ? 'this board is read-only.' : judgeWrite(context, deps.names);
  },

  masked: async (context: HookContext, body: Answer): Promise<Answer> => {
    // Errors are Bull Board's own words, and the answer to a write says no more than how many.
    if (context.method !== 'get' || typeof body === 'string' || 'error' in body) return body;
    return READS.get(context.route)?.(body, context) ?? {};
  },
});
