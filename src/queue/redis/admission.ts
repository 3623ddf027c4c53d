import type { Redis } from 'ioredis';
import { createMicroBatch } from '../../runtime/async.ts';
import type { Backend, EnqueueIfAbsentResult, NewJob } from '../backend.ts';
import { RETRY_OPTIONS } from '../bullWorker.ts';
import { readDedupeText } from '../dedupeWindow.ts';
import { defineScript } from './commands.ts';
import { redisKeys } from './keys.ts';

// Redis serves no other client while a script runs. Short scripts also let producer and Redis overlap.
const MAX_SIGNALS_PER_SCRIPT = 50;

const { attempts, backoff } = RETRY_OPTIONS;
// Workers set the other options themselves, so they are not stored with each job.
const OPTIONS = JSON.stringify({ attempts, backoff });

/** Adds jobs as BullMQ 6.7.0 stores them, together with the checks for duplicates, in one script. */
export const createRedisEnqueue = (client: Redis, prefix: string): Backend['enqueueIfAbsent'] => {
  const keysOf = redisKeys(prefix);
  const queueKeys = ['wait', 'active', 'meta', 'marker'].map(keysOf.list);
  const enqueueIfAbsent = defineScript(client, 'enqueueIfAbsent');

  const enqueueBatch = async (jobs: NewJob[]): Promise<EnqueueIfAbsentResult[]> => {
    const keys = jobs.flatMap(({ signalId }) => [
      keysOf.dedupe(signalId),
      keysOf.job(signalId),
      keysOf.deadLetter(signalId),
    ]);
    const values = jobs.flatMap(({ signalId, data }) => [
      signalId,
      data.signal.typeCode,
      JSON.stringify(data),
      Date.parse(data.acceptedAt),
    ]);
    const answers = await enqueueIfAbsent([...queueKeys, ...keys], [OPTIONS, ...values]);
    return jobs.map(({ signalId }, index) =>
      toResult(signalId, Array.isArray(answers) ? answers[index] : undefined),
    );
  };
  const enqueueOne = createMicroBatch(enqueueBatch, MAX_SIGNALS_PER_SCRIPT);

  return (jobs) => Promise.all(jobs.map(enqueueOne));
};

const toResult = (signalId: string, answer: unknown): EnqueueIfAbsentResult => {
  if (answer === 1) return { kind: 'added' };
  if (!Array.isArray(answer)) {
    throw new Error(`Redis did not say whether it added signal ${signalId}. Enqueue it again.`);
  }
  const [dedupe, queued] = answer;
  const recordedContentId = readDedupeText(signalId, String(dedupe));
  return {
    kind: 'known',
    ...(recordedContentId === undefined ? {} : { recordedContentId }),
    queued: queued === 1,
  };
};
