import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { createMicroBatch } from '../../runtime/async.ts';
import type { Backend, EnqueueIfAbsentResult, NewJob } from '../backend.ts';
import { readDedupeText } from '../dedupeWindow.ts';
import { RETRY_OPTIONS } from '../jobOptions.ts';
import { defineScript } from './commands.ts';
import { redisKeys } from './keys.ts';

// Redis serves no other client while a script runs. Short scripts also let producer and Redis overlap.
const MAX_SIGNALS_PER_SCRIPT = 50;

const { attempts, backoff } = RETRY_OPTIONS;
// Workers set the other options themselves, so they are not stored with each job.
const OPTIONS = JSON.stringify({ attempts, backoff });

type Options = { client: Redis; prefix: string; random?: (bytes: number) => Buffer };

/** Adds jobs as BullMQ 6.7.0 stores them, together with the checks for duplicates, in one script. */
export const createRedisEnqueue = ({
  client,
  prefix,
  random = randomBytes,
}: Options): Pick<Backend, 'enqueueIfAbsent' | 'takeBack'> => {
  const keysOf = redisKeys(prefix);
  const queueKeys = ['wait', 'active', 'meta', 'marker'].map(keysOf.list);
  const enqueueIfAbsent = defineScript(client, 'enqueueIfAbsent');
  const takeBack = defineScript(client, 'takeBack');
  const nextCall = createCallNames(random);
  /** The nonces of the jobs that this process added. */
  const nonces = new WeakMap<NewJob, string>();

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
    const call = nextCall();
    const answers = await enqueueIfAbsent([...queueKeys, ...keys], [OPTIONS, call, ...values]);
    return jobs.map((job, index) => {
      const result = toResult(job.signalId, Array.isArray(answers) ? answers[index] : undefined);
      if (result.kind === 'added') nonces.set(job, `${call}:${index + 1}`);
      return result;
    });
  };
  const enqueueOne = createMicroBatch(enqueueBatch, MAX_SIGNALS_PER_SCRIPT);

  return {
    enqueueIfAbsent: (jobs) => Promise.all(jobs.map(enqueueOne)),
    takeBack: async (jobs) => {
      const added = jobs.filter((job) => nonces.has(job));
      if (added.length === 0) return;
      await takeBack(
        [
          ...['wait', 'paused'].map(keysOf.list),
          ...added.map(({ signalId }) => keysOf.job(signalId)),
        ],
        added.flatMap((job) => [job.signalId, nonces.get(job) ?? '']),
      );
    },
  };
};

/** Names that differ between the calls of all processes. Short: one is stored with each job. */
const createCallNames = (random: (bytes: number) => Buffer) => {
  const run = random(6).toString('base64url');
  let calls = 0;
  return (): string => {
    calls += 1;
    return `${run}${calls.toString(36)}`;
  };
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
