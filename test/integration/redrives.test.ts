import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { createDeadLetters } from '../../src/queue/deadLetters.ts';

import { buildApplicationComplete } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const complete = () => buildApplicationComplete({ token: newToken() });
const TIME = expect.any(String);

describe.each(PLATFORMS)('redrives on $name', ({ start }) => {
  const { setup } = usePlatform(start);

  /** Signals that SEEK has refused, and would take now. */
  const setupDead = async (count = 1, options: Parameters<typeof setup>[0] = {}) => {
    const dispatcher = await setup({ answers: () => refused('FORBIDDEN'), ...options });
    const accepted = await dispatcher.sendAll(Array.from({ length: count }, complete));
    const ids = accepted.map(({ signalId }) => signalId);
    for (const id of ids) await dispatcher.untilBuried(id);
    dispatcher.seek.answerWith([]);
    const { backend } = dispatcher;
    return {
      ...dispatcher,
      ...{ ids, id: ids[0] ?? '' },
      deadLetters: createDeadLetters({ backend }),
      signals: await backend.bullQueue(SIGNALS),
      letters: await backend.bullQueue(DEAD_LETTERS),
    };
  };

  describe('are recorded', () => {
    it('with who asked and when, over all lives, wherever the signal is', async () => {
      const { id, seek, redrive, deadLetters, untilBuried, until, call, logs } = await setupDead();
      seek.answerWith(() => refused('BAD_USER_INPUT'));

      await redrive(id);
      const letter = await untilBuried(id, 1);
      await deadLetters.redriveMatching({ code: 'BAD_USER_INPUT' }, 'board:somebody');
      await untilBuried(id, 2);
      seek.answerWith([]);
      await redrive(id);
      const life = await until(id, 'delivered');

      const log = [
        { at: TIME, by: 'ats' },
        { at: TIME, by: 'board:somebody' },
        { at: TIME, by: 'ats' },
      ];
      expect(letter.redriveLog).toEqual(log.slice(0, 1));
      expect(life.redriveLog).toEqual(log);
      const times = life.redriveLog?.map(({ at }) => at) ?? [];
      expect(times.toSorted()).toEqual(times);
      expect(logs.lines().filter(({ msg }) => msg === 'signal.redriven')).toEqual(
        log.map(({ by }) => expect.objectContaining({ by })),
      );
      expect((await call('GET', `/dead-letters/${id}`)).status).toBe(404);
    });

    it('without a name where all were retried in the board, and with the one that was noted', async () => {
      const { ids, deadLetters, letters, until } = await setupDead(2);
      const [noted = '', nameless = ''] = ids;

      await deadLetters.noteRedriver(noted, 'board:somebody');
      for (const letter of await letters.getFailed()) await letter.retry('failed');

      expect((await until(noted, 'delivered')).redriveLog).toEqual([
        { at: TIME, by: 'board:somebody' },
      ]);
      expect((await until(nameless, 'delivered')).redriveLog).toEqual([{ at: TIME }]);
    });

    it('and a name that is noted changes nothing else', async () => {
      const { id, deadLetters, letters, find } = await setupDead();
      const before = await letters.getJob(id);
      const life = await find(id);

      await deadLetters.noteRedriver('no such letter', 'board:somebody');
      await deadLetters.noteRedriver(id, 'board:somebody');

      const after = await letters.getJob(id);
      expect(after?.data).toEqual({
        ...before?.data,
        redriveBy: { at: TIME, by: 'board:somebody' },
      });
      expect([after?.finishedOn, await letters.getJobState(id)]).toEqual([
        ...[before?.finishedOn, 'failed'],
      ]);
      expect(await find(id)).toEqual(life);
    });

    it('once, whichever of those who ask at the same time it is', async () => {
      const { ids, deadLetters, seek, until } = await setupDead(20);
      const names = ['one', 'two', 'three'];

      const asked = await Promise.all(
        ids.flatMap((id) => names.map((by) => deadLetters.redrive(id, by))),
      );

      expect(asked.filter((outcome) => outcome === 'busy')).toEqual([]);
      for (const id of ids) {
        const { redriveLog, redrives } = await until(id, 'delivered');
        expect([redrives, redriveLog?.length]).toEqual([1, 1]);
        expect(names).toContain(redriveLog?.[0]?.by);
      }
      expect(seek.requests).toHaveLength(2 * ids.length);
    });

    it('where no worker had failed the letter yet, too', async () => {
      const { id, deadLetters, letters, until, startWorker } = await setupDead();
      const letter = await letters.getJob(id);
      await letter?.remove();
      await letters.add('ApplicationComplete', letter?.data, { jobId: id, removeOnComplete: true });

      expect(await deadLetters.redrive(id, 'somebody')).toBe('redriven');
      await startWorker();

      expect((await until(id, 'delivered')).redriveLog).toEqual([{ at: TIME, by: 'somebody' }]);
    });

    it('and the discarded signal keeps them', async () => {
      const { id, seek, redrive, untilBuried, call, until } = await setupDead();
      seek.answerWith([refused('FORBIDDEN')]);
      await redrive(id);
      await untilBuried(id, 1);

      expect((await call('DELETE', `/dead-letters/${id}`)).status).toBe(204);

      expect((await until(id, 'skipped')).redriveLog).toEqual([{ at: TIME, by: 'ats' }]);
    });

    it('and anything that stands in their place is no reason to keep a signal back', async () => {
      const { id, letters, redrive, until } = await setupDead();
      const letter = await letters.getJob(id);
      const job = { ...letter?.data.job, redriveLog: 'spoilt' };
      await letter?.updateData({ ...letter.data, redriveBy: 7, job });

      expect(await redrive(id)).toBe(202);

      expect(await until(id, 'delivered')).toMatchObject({
        ...{ redrives: 1, redriveLog: [{ at: TIME, by: 'ats' }] },
      });
      await waitFor(async () => (await letters.getJobState(id)) === 'unknown');
    });
  });
});
