import type { Redis } from 'ioredis';
import { createMicroBatch } from '../../runtime/async.ts';
import type { Backend, EnqueueIfAbsentResult, NewJob } from '../backend.ts';
import { RETRY_OPTIONS } from '../bullWorker.ts';
import { readDedupeText } from '../dedupeWindow.ts';
import { defineScript } from './commands.ts';
import { redisKeys } from './keys.ts';

// Nobody else is served while a script runs. Shorter ones let producer and Redis work at the same time.
const AT_ONCE = 50;

const { attempts, backoff } = RETRY_OPTIONS;
// What else RETRY_OPTIONS says, workers bring along.
const OPTIONS = JSON.stringify({ attempts, backoff });

export const createRedisEnqueue = (client: Redis, prefix: string): Backend['enqueueIfAbsent'] => {
  const of = redisKeys(prefix);
  const queue = ['wait', 'active', 'meta', 'marker'].map(of.list);
  const enqueueIfAbsent = defineScript(client, 'enqueueIfAbsent');

  const admitSome = async (jobs: NewJob[]): Promise<EnqueueIfAbsentResult[]> => {
    const keys = jobs.flatMap(({ signalId }) => [
      ...[of.dedupe(signalId), of.job(signalId), of.deadLetter(signalId)],
    ]);
    const values = jobs.flatMap(({ signalId, data }) => [
      ...[signalId, data.signal.typeCode, JSON.stringify(data), Date.parse(data.acceptedAt)],
    ]);
    const answers = await enqueueIfAbsent([...queue, ...keys], [OPTIONS, ...values]);
    return jobs.map(({ signalId }, index) =>
      toAdmission(signalId, Array.isArray(answers) ? answers[index] : undefined),
    );
  };
  const enqueueTogether = createMicroBatch(admitSome, AT_ONCE);

  return (jobs) => Promise.all(jobs.map(enqueueTogether));
};

const toAdmission = (signalId: string, answer: unknown): EnqueueIfAbsentResult => {
  if (answer === 1) return { kind: 'added' };
  if (!Array.isArray(answer)) throw new Error('The queue does not say whether it took a signal');
  const [dedupe, queued] = answer;
  const remembered = readDedupeText(signalId, String(dedupe));
  return {
    kind: 'known',
    ...(remembered === undefined ? {} : { remembered }),
    queued: queued === 1,
  };
};
