import type { ControllerHandlerReturnType, HookContext } from '@bull-board/api/typings/app';

import { isObject } from '../schemas/json.ts';
import { maskJob, maskLogs, maskSettings } from './maskJob.ts';

type QueueNames = { signals: string; deadLetters: string };
type ResponseBody = ControllerHandlerReturnType['body'];
type MaskResponse = (
  body: Record<string, unknown>,
  context: HookContext,
) => ResponseBody | Promise<ResponseBody>;

const maskJobsOf = (queue: unknown) =>
  isObject(queue) && Array.isArray(queue.jobs)
    ? { ...queue, jobs: queue.jobs.map(maskJob) }
    : queue;

const jobOf = ({ request }: HookContext) =>
  request.queues.get(request.params.queueName)?.getJob(request.params.jobId);

/**
 * The routes that Bull Board's pages read, each with the function that masks its response. Left out on
 * purpose: `workers` and `redis/stats` (they run CLIENT LIST and INFO on every poll), `job-schedulers`
 * (unmasked and unbounded; we have none), `job-data-schema` (for adding jobs) and `metrics` (we serve our own).
 */
const READS = new Map<string, MaskResponse>([
  [
    '/api/queues',
    ({ queues }) => ({ queues: Array.isArray(queues) ? queues.map(maskJobsOf) : [] }),
  ],
  ['/api/queues/:queueName/:jobId', ({ job, status }) => ({ job: maskJob(job), status })],
  [
    '/api/queues/:queueName/:jobId/logs',
    async (lines, context) => maskLogs(lines, (await jobOf(context))?.toJSON().data),
  ],
  // Every job page requests its flow. No signal is part of one, so the response is always empty.
  [
    '/api/queues/:queueName/:jobId/flow',
    (_flow, { request }) => ({ nodeId: request.params.jobId, flowRoot: null, isFlowNode: false }),
  ],
  ['/api/queues/:queueName/default-job-options', maskSettings],
  ['/api/queues/:queueName/rate-limit', maskSettings],
]);

export const RETRY_ONE = '/api/queues/:queueName/:jobId/retry';

/** The allowed writes, each with the only queue in which it is allowed. */
const WRITES = new Map<string, keyof QueueNames>([
  [RETRY_ONE, 'deadLetters'],
  ['/api/queues/:queueName/retry/:queueStatus', 'deadLetters'],
  ['/api/queues/:queueName/:jobId/promote', 'signals'],
  ['/api/queues/:queueName/promote', 'signals'],
]);

/** The most that Bull Board's page requests. Bull Board itself has no limit and would read a whole queue at once. */
const MAX_JOBS_PER_PAGE = 300;

const readRefusal = ({ route, request }: HookContext): string | undefined => {
  if (!READS.has(route)) return 'this board serves only the data that its own pages read.';
  if (Number(request.query.jobsPerPage) > MAX_JOBS_PER_PAGE) {
    return `a page holds at most ${MAX_JOBS_PER_PAGE} jobs.`;
  }
  return undefined;
};

const writeRefusal = async (
  context: HookContext,
  names: QueueNames,
): Promise<string | undefined> => {
  const { method, route, request } = context;
  const queue = WRITES.get(route);

  if (method !== 'put' || queue === undefined || request.params.queueName !== names[queue]) {
    return (
      `only Retry in ${names.deadLetters} and Promote in ${names.signals} are allowed here; ` +
      'any other write could destroy or change an accepted signal, or send it twice.'
    );
  }
  // Bull Board would also retry completed jobs: dead letters whose signal was already redriven.
  if (queue === 'deadLetters') {
    const state = request.params.queueStatus ?? (await (await jobOf(context))?.getState());
    const isAllowed = state === undefined || state === 'failed';
    if (!isAllowed) return `only failed dead letters can be retried, not ${state} ones.`;
  }
  return undefined;
};

/**
 * Decides by the route that Bull Board matched and the parameters that it parsed, not by the path. A path with
 * unusual encoding therefore cannot bypass the check. Routes that a later version adds are refused until listed here.
 */
export const createAllowList = (deps: { names: QueueNames; readOnly: boolean }) => ({
  /** Why the request is refused; `undefined` if it is allowed. */
  refusalReason: async (context: HookContext): Promise<string | undefined> => {
    if (context.method === 'get') return readRefusal(context);
    return deps.readOnly ? 'this board is read-only.' : writeRefusal(context, deps.names);
  },

  maskResponse: async (context: HookContext, body: ResponseBody): Promise<ResponseBody> => {
    // Errors are Bull Board's own texts, and the response to a write holds only counts.
    if (context.method !== 'get' || typeof body === 'string' || 'error' in body) return body;
    return READS.get(context.route)?.(body, context) ?? {};
  },
});
