import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { expireLocks } from '../support/expireLocks.ts';
import { onRedis } from '../support/platforms.ts';
import { waitFor } from '../support/waitFor.ts';
import { always, many, useDeadLetters } from './setupDeadLetters.ts';

describe('dead letters on one Redis with several workers', () => {
  const { setup } = useDeadLetters(onRedis);

  it('50 rejected at once and redriven four times → none is lost or sent twice', async () => {
    const { seek, sendAll, call, untilDeadLettered, places, status, until } = await setup({
      answers: always('FORBIDDEN'),
      workers: 3,
    });
    const accepted = await sendAll(many(50));
    const ids = accepted.map(({ signalId }) => signalId);

    for (let redrives = 0; redrives <= 3; redrives += 1) {
      const lookup = await Promise.all(ids.map((id) => untilDeadLettered(id, redrives)));
      expect(lookup.every(({ attempts }) => attempts.length === redrives + 1)).toBe(true);
      expect(await places(ids)).toEqual(ids.map(() => ['dead letter']));
      expect((await status()).counts).toMatchObject({
        waiting: 0,
        active: 0,
        retrying: 0,
        delivered: 0,
        dead: 50,
      });
      expect(seek.requests).toHaveLength(50 * (redrives + 1));
      if (redrives === 3) seek.answerWith([]);
      const answer = await call('POST', '/dead-letters/redrive');
      expect(await answer.json()).toMatchObject({ redriven: 50, more: false });
    }

    for (const id of ids) await until(id, 'delivered');
    expect(seek.requests).toHaveLength(250);
    await waitFor(async () => (await status()).counts.dead === 0);
  });

  it('one call of BullMQ’s retryJobs → redrives all', async () => {
    const { seek, deadLetters, sendAll, untilDeadLettered, until } = await setup({
      answers: always('FORBIDDEN'),
      workers: 2,
    });
    const ids = (await sendAll(many(30))).map(({ signalId }) => signalId);
    for (const id of ids) await untilDeadLettered(id);
    seek.answerWith([]);

    await deadLetters.retryJobs({ state: 'failed' });

    for (const id of ids) expect((await until(id, 'delivered')).redrives).toBe(1);
  });

  it('ten concurrent redrives of one → redrive it once', async () => {
    const { seek, call, sendAll, untilDeadLettered, until } = await setup({
      answers: always('FORBIDDEN'),
      workers: 3,
    });
    const [{ signalId } = { signalId: '' }] = await sendAll(many(1));
    await untilDeadLettered(signalId);
    seek.answerWith([]);

    const answers = await Promise.all(
      Array.from({ length: 10 }, () => call('POST', `/dead-letters/${signalId}/redrive`)),
    );

    expect(answers.some(({ status }) => status === 202)).toBe(true);
    expect(answers.filter(({ status }) => ![202, 404, 409].includes(status))).toEqual([]);
    expect(await until(signalId, 'delivered')).toMatchObject({ redrives: 1 });
    expect(seek.requests).toHaveLength(2);
  });

  it('a crash of the worker during a redrive → another worker completes it', async () => {
    const { backend, seek, deadLetters, sendAll, untilDeadLettered, until, startWorker } =
      await setup({
        answers: always('FORBIDDEN'),
        workers: 0,
      });
    const first = await startWorker();
    const [{ signalId } = { signalId: '' }] = await sendAll(many(1));
    await untilDeadLettered(signalId);
    await first.close();
    seek.answerWith([]);
    await (await deadLetters.getJob(signalId))?.retry('failed');

    // Takes the dead letter with a lock that is never renewed, as a worker that crashes does.
    const { connection, prefix = '' } = deadLetters.opts;
    if (!(connection instanceof Redis)) throw new Error('Expected a connection to Redis');
    const crashed = new Worker(DEAD_LETTERS, null, { connection, prefix, skipLockRenewal: true });
    expect((await crashed.getNextJob('crashed', { block: false }))?.id).toBe(signalId);
    expect(await deadLetters.getActiveCount()).toBe(1);
    await expireLocks(connection, prefix, DEAD_LETTERS);
    await crashed.close();
    await startWorker();

    expect(await until(signalId, 'delivered')).toMatchObject({ redrives: 1 });
    await waitFor(async () => (await deadLetters.getJobState(signalId)) === 'unknown');
    expect(await (await backend.queue(SIGNALS)).getJobCounts('failed')).toEqual({ failed: 0 });
  });
});
