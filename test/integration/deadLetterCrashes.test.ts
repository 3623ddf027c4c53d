import { createMoveToDeadLetters } from '../../src/deadLetters/moveToDeadLetters.ts';
import { createRedrive, startRedriveWorker } from '../../src/deadLetters/redriveWorker.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { refused, type Script } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';
import { useDeadLetters } from './setupDeadLetters.ts';

const metrics = { redriven: { inc: () => {} } };

describe.each(PLATFORMS)('dead letters on $name', ({ start }) => {
  const { setup } = useDeadLetters(start);

  describe('after a crash of the sweeper between its two steps', () => {
    /** Both the dead letter and the failed job exist. */
    const setupHalfMoved = async () => {
      const subject = await setup({ workers: 0 });
      const ids = await subject.fail(5);
      const crashing = createMoveToDeadLetters({
        ...subject.backend,
        jobs: {
          ...subject.backend.jobs,
          removeFinished: () => Promise.reject(new Error('crashed')),
        },
      });
      for (const job of await subject.signals.getFailed()) {
        await expect(crashing(job)).rejects.toThrow('crashed');
      }
      return { ...subject, ids, id: ids[0] ?? '' };
    };

    it('a signal in both queues → is counted at least once and found as dead', async () => {
      const { status, find, id } = await setupHalfMoved();

      expect((await status()).counts.dead).toBeGreaterThanOrEqual(5);
      expect(await find(id)).toMatchObject({ state: 'dead' });
    });

    it('the next sweep → completes every move and repeats none', async () => {
      const { startWorker, untilDeadLettered, ids, places, status } = await setupHalfMoved();

      await startWorker();
      for (const id of ids) await untilDeadLettered(id);

      expect(await places(ids)).toEqual(ids.map(() => ['dead letter']));
      expect((await status()).counts).toMatchObject({ waiting: 0, active: 0, dead: 5 });
    });

    it('a redrive → is delivered once', async () => {
      const { seek, startWorker, redrive, until, untilDeadLettered, ids, id } =
        await setupHalfMoved();

      expect(await redrive(id)).toBe(202);
      await startWorker();

      expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
      for (const other of ids.slice(1)) await untilDeadLettered(other);
      expect(seek.requests).toHaveLength(1);
    });

    it('a redrive of a dead letter that was failed before the sweep → is delivered', async () => {
      const { backend, logs, deadLetters, signals, startWorker, ids, id, until } =
        await setupHalfMoved();
      const { logger } = logs;
      const worker = startRedriveWorker({ backend, logger, metrics, onRedriven: () => {} });
      await waitFor(async () => (await deadLetters.getFailedCount()) === ids.length);
      await worker.close();
      expect(await signals.getFailedCount()).toBe(ids.length);

      await (await deadLetters.getJob(id))?.retry('failed');
      await startWorker();

      expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
    });

    it('a discard → the dead letter does not come back', async () => {
      const { call, find, startWorker, untilDeadLettered, deadLetters, ids, id } =
        await setupHalfMoved();

      expect((await call('DELETE', `/dead-letters/${id}?reason=test`)).status).toBe(204);
      await startWorker();
      for (const other of ids.slice(1)) await untilDeadLettered(other);

      expect(await find(id)).toMatchObject({ state: 'skipped' });
      expect(await deadLetters.getJobState(id)).toBe('unknown');
    });

    it('failed jobs without dead letters → the next sweep moves them', async () => {
      const { fail, startWorker, untilDeadLettered, places } = await setup({ workers: 0 });
      const ids = await fail(5);

      await startWorker();
      for (const id of ids) await untilDeadLettered(id);

      expect(await places(ids)).toEqual(ids.map(() => ['dead letter']));
    });
  });

  describe('after a crash of a redrive', () => {
    /** The signal is back in the queue, and its failed dead letter still exists. */
    const setupHalfRedriven = async (answers: Script = []) => {
      const subject = await setup({ workers: 0 });
      const { backend, logs, startWorker, untilDeadLettered, deadLetters } = subject;
      const [id = ''] = await subject.fail(1);
      const first = await startWorker();
      await untilDeadLettered(id);
      await first.close();
      subject.seek.answerWith(answers);

      const deadLetter = await deadLetters.getJob(id);
      if (deadLetter === undefined) throw new Error('no dead letter');
      const redrive = createRedrive({ backend, logger: logs.logger, metrics });
      const { data, attemptsMade } = deadLetter;
      const ended = await redrive(buildTakenJob({ id, data, attemptsMade }));
      expect(ended).toEqual({ kind: 'redriven' });
      expect(await subject.signals.getJobState(id)).toBe('waiting');
      expect(await deadLetters.getJobState(id)).toBe('failed');
      return { ...subject, id };
    };

    it('the next redrive, after the delivery → removes the dead letter and sends nothing', async () => {
      const { seek, id, startWorker, until, redrive, deadLetters } = await setupHalfRedriven();

      await startWorker();
      await until(id, 'delivered');
      expect(await redrive(id)).toBe(202);
      await waitFor(async () => (await deadLetters.getJobState(id)) === 'unknown');

      expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
      expect(seek.requests).toHaveLength(1);
    });

    it('a newer rejection of the signal → replaces the old one in the dead letter', async () => {
      const { id, startWorker, untilDeadLettered, places } = await setupHalfRedriven([
        refused('BAD_USER_INPUT'),
      ]);

      await startWorker();
      const deadLetter = await untilDeadLettered(id, 1);

      expect(deadLetter).toMatchObject({ code: 'BAD_USER_INPUT', redrives: 1 });
      expect(await places([id])).toEqual([['dead letter']]);
    });

    it('a second redrive while the signal waits → is sent once', async () => {
      const { seek, id, redrive, startWorker, until, deadLetters } = await setupHalfRedriven();

      await redrive(id);
      await startWorker();
      await until(id, 'delivered');
      await waitFor(async () => (await deadLetters.getJobState(id)) === 'unknown');

      expect(seek.requests).toHaveLength(1);
    });
  });
});
