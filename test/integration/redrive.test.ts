import type { Queue } from 'bullmq';
import { createDeadLetters } from '../../src/deadLetters/deadLetters.ts';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { allDeadLetters, allDeadLettersOnce } from '../../src/queue/readDeadLetters.ts';

import { buildApplicationComplete, buildLetter, buildSignalJob } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { API_KEY, newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const complete = () => buildApplicationComplete({ token: newToken() });
const TIME = expect.any(String);

describe.each(PLATFORMS)('redrives on $name', ({ start }) => {
  const { setup, stop } = usePlatform(start);

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
      deadLetterQueue: await backend.bullQueue(DEAD_LETTERS),
    };
  };

  describe('are recorded', () => {
    it('with who asked and when, over all lives, wherever the signal is', async () => {
      const { id, seek, redrive, deadLetters, untilBuried, until, call, logs } = await setupDead();
      seek.answerWith(() => refused('BAD_USER_INPUT'));

      await redrive(id);
      const deadLetter = await untilBuried(id, 1);
      await deadLetters.redriveMany({ code: 'BAD_USER_INPUT' }, 'board:somebody');
      await untilBuried(id, 2);
      seek.answerWith([]);
      await redrive(id);
      const record = await until(id, 'delivered');

      const log = [
        { at: TIME, by: 'ats' },
        { at: TIME, by: 'board:somebody' },
        { at: TIME, by: 'ats' },
      ];
      expect(deadLetter.redriveLog).toEqual(log.slice(0, 1));
      expect(record.redriveLog).toEqual(log);
      const times = record.redriveLog?.map(({ at }) => at) ?? [];
      expect(times.toSorted()).toEqual(times);
      expect(logs.lines().filter(({ msg }) => msg === 'signal.redriven')).toEqual(
        log.map(({ by }) => expect.objectContaining({ by })),
      );
      expect((await call('GET', `/dead-letters/${id}`)).status).toBe(404);
    });

    it('without a name where all were retried in the board, and with the one that was noted', async () => {
      const { ids, deadLetters, deadLetterQueue, until } = await setupDead(2);
      const [noted = '', nameless = ''] = ids;

      await deadLetters.noteRedriver(noted, 'board:somebody');
      for (const deadLetter of await deadLetterQueue.getFailed()) await deadLetter.retry('failed');

      expect((await until(noted, 'delivered')).redriveLog).toEqual([
        { at: TIME, by: 'board:somebody' },
      ]);
      expect((await until(nameless, 'delivered')).redriveLog).toEqual([{ at: TIME }]);
    });

    it('and a name that is noted changes nothing else', async () => {
      const { id, deadLetters, deadLetterQueue, find } = await setupDead();
      const before = await deadLetterQueue.getJob(id);
      const record = await find(id);

      await deadLetters.noteRedriver('no such letter', 'board:somebody');
      await deadLetters.noteRedriver(id, 'board:somebody');

      const after = await deadLetterQueue.getJob(id);
      expect(after?.data).toEqual({
        ...before?.data,
        redriveBy: { at: TIME, by: 'board:somebody' },
      });
      expect([after?.finishedOn, await deadLetterQueue.getJobState(id)]).toEqual([
        ...[before?.finishedOn, 'failed'],
      ]);
      expect(await find(id)).toEqual(record);
    });

    it('once, whichever of those who ask at the same time it is', async () => {
      const { ids, deadLetters, seek, until } = await setupDead(20);
      const names = ['one', 'two', 'three'];

      const asked = await Promise.all(
        ids.flatMap((id) => names.map((by) => deadLetters.redrive(id, by))),
      );

      expect(asked.filter(({ kind }) => kind === 'busy')).toEqual([]);
      for (const id of ids) {
        const { redriveLog, redrives } = await until(id, 'delivered');
        expect([redrives, redriveLog?.length]).toEqual([1, 1]);
        expect(names).toContain(redriveLog?.[0]?.by);
      }
      expect(seek.requests).toHaveLength(2 * ids.length);
    });

    it('where no worker had failed the letter yet, too', async () => {
      const { id, deadLetters, deadLetterQueue, until, startWorker } = await setupDead();
      const deadLetter = await deadLetterQueue.getJob(id);
      await deadLetter?.remove();
      await deadLetterQueue.add('ApplicationComplete', deadLetter?.data, {
        jobId: id,
        removeOnComplete: true,
      });

      expect(await deadLetters.redrive(id, 'somebody')).toEqual({ kind: 'redriven' });
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
      const { id, deadLetterQueue, redrive, until } = await setupDead();
      const deadLetter = await deadLetterQueue.getJob(id);
      const job = { ...deadLetter?.data.job, redriveLog: 'spoilt' };
      await deadLetter?.updateData({ ...deadLetter.data, redriveBy: 7, job });

      expect(await redrive(id)).toBe(202);

      expect(await until(id, 'delivered')).toMatchObject({
        ...{ redrives: 1, redriveLog: [{ at: TIME, by: 'ats' }] },
      });
      await waitFor(async () => (await deadLetterQueue.getJobState(id)) === 'unknown');
    });
  });

  describe('of what would not be accepted today', () => {
    /** Beside one that would: an `ApplicationComplete` of nobody, as an older version let it in, say. */
    const setupInvalid = async () => {
      const subject = await setupDead();
      subject.seek.answerWith(() => refused('BAD_USER_INPUT', { message: 'Is not valid' }));
      const id = `of-nobody-${newToken()}`.replaceAll(/[^a-z0-9-]/g, '-');
      const job = buildSignalJob({
        signal: { typeCode: 'ApplicationComplete' },
        acceptedAt: new Date().toISOString(),
      });
      await subject.signals.add('ApplicationComplete', job, { jobId: id });
      const deadLetter = await subject.untilBuried(id);
      subject.seek.answerWith([]);
      return { ...subject, id, deadLetter, good: subject.id };
    };
    const invalidFields = { '/token': expect.stringMatching(/^Is required/) };

    it('are refused, and say why', async () => {
      const { id, deadLetter, call, seek, untilBuried } = await setupInvalid();
      const sent = seek.requests.length;

      const answer = await call('POST', `/dead-letters/${id}/redrive`);

      expect([answer.status, await answer.json()]).toEqual([
        ...[422, { message: 'The signal fails validation today', invalidFields }],
      ]);
      expect(await untilBuried(id)).toEqual(deadLetter);
      expect(seek.requests).toHaveLength(sent);
    });

    it('do not keep the others back', async () => {
      const { good, id, call, until, find } = await setupInvalid();

      const answer = await call('POST', '/dead-letters/redrive');

      expect(await answer.json()).toMatchObject({ redriven: 1, invalid: 1 });
      await until(good, 'delivered');
      expect(await find(id)).toMatchObject({ state: 'dead', redrives: 0 });
    });

    it('fail again in the board, with a reason that says so, and keep the old one', async () => {
      const { id, deadLetter, deadLetters, deadLetterQueue, untilBuried, seek } =
        await setupInvalid();
      const sent = seek.requests.length;
      await deadLetters.noteRedriver(id, 'board:somebody');

      await (await deadLetterQueue.getJob(id))?.retry('failed');

      const failed = await waitFor(async () => {
        const job = await deadLetterQueue.getJob(id);
        return job?.failedReason?.includes('not sent again') && job;
      });
      expect(failed.failedReason).toMatch(
        /^BAD_USER_INPUT: .*Is not valid.*; not sent again: \/token: Is required/,
      );
      expect(await untilBuried(id)).toEqual(deadLetter);
      expect(failed.data.redriveBy).toBeUndefined();
      expect(seek.requests).toHaveLength(sent);
    });

    it('are known beforehand, with nothing done', async () => {
      const { good, id, call, find } = await setupInvalid();

      const [all, none] = [
        await call('POST', '/dead-letters/redrive?dryRun=true'),
        await call('POST', '/dead-letters/redrive', { dryRun: true, code: 'NONE' }),
      ];
      const [one, other] = [
        await call('POST', `/dead-letters/${good}/redrive?dryRun=true`),
        await call('POST', `/dead-letters/${id}/redrive?dryRun=true`),
      ];

      expect([all.status, await all.json()]).toEqual([
        200,
        {
          ...{ wouldRedrive: 1, invalid: 1 },
          refusals: [{ pointer: '/token', message: TIME, count: 1, example: id }],
          samples: [expect.objectContaining({ signalId: good, code: 'FORBIDDEN', diedAt: TIME })],
        },
      ]);
      expect(await none.json()).toEqual({
        ...{ wouldRedrive: 0, invalid: 0, refusals: [], samples: [] },
      });
      expect([one.status, other.status]).toEqual([200, 422]);
      expect([await find(good), await find(id)]).toMatchObject([
        ...[
          { state: 'dead', redrives: 0 },
          { state: 'dead', redrives: 0 },
        ],
      ]);
      expect((await call('POST', '/dead-letters/redrive?dryRun=1')).status).toBe(422);
      expect((await call('POST', `/dead-letters/${good}/redrive?dry=true`)).status).toBe(422);
    });
  });

  it('go, although SEEK said no, where our rules have nothing against it', async () => {
    const { id, seek, redrive, until, untilBuried } = await setupDead();
    seek.answerWith([refused('BAD_USER_INPUT', { message: 'Is not valid' })]);
    await redrive(id);
    await untilBuried(id, 1);

    expect(await redrive(id)).toBe(202);

    expect(await until(id, 'delivered')).toMatchObject({ redrives: 2 });
  });

  it('do not look at a token that is sealed', async () => {
    const env = { TOKEN_ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString('base64') };
    const { id, redrive, until } = await setupDead(1, { env });

    expect(await redrive(id)).toBe(202);
    expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
  });

  describe('of many over HTTP', () => {
    /** Dead letters that a worker has failed, without the signals that they would be of. */
    const addLetters = async (queue: Queue, code: string, count: number): Promise<string[]> => {
      const name = newToken().replaceAll(/[^\w-]/g, '-');
      const ids = Array.from({ length: count }, (_, n) => `${code}-${n}-of-${name}`);
      const before = await queue.getFailedCount();
      await queue.addBulk(
        ids.map((signalId) => {
          const acceptedAt = new Date().toISOString();
          const job = buildSignalJob({ signal: complete(), acceptedAt, contentId: signalId });
          const failedJob = { jobId: signalId, finishedAt: 1 };
          const data = buildLetter({ signalId, code, failedJob, job });
          return { name: 'x', data, opts: { jobId: signalId, removeOnComplete: true } };
        }),
      );
      await waitFor(async () => (await queue.getFailedCount()) === before + count);
      return ids;
    };

    it('pass none over where others take letters away meanwhile', async () => {
      const { backend, deadLetterQueue } = await setupDead(0);
      const ids = await addLetters(deadLetterQueue, 'MEANT', 250);
      const seen: string[] = [];

      for await (const { deadLetter } of allDeadLettersOnce(await backend.queue(DEAD_LETTERS))) {
        seen.push(deadLetter.signalId);
        if (seen.length !== 150) continue;
        for (const id of seen.slice(0, 120)) await deadLetterQueue.remove(id);
      }

      expect(seen.toSorted()).toEqual(ids.toSorted());
    }, 60_000);

    it('are listed once each, though others die meanwhile', async () => {
      const { backend, deadLetterQueue } = await setupDead(0);
      const ids = await addLetters(deadLetterQueue, 'LISTED', 150);
      const seen: string[] = [];

      for await (const { deadLetter } of allDeadLetters(await backend.queue(DEAD_LETTERS))) {
        seen.push(deadLetter.signalId);
        if (seen.length === 50) await addLetters(deadLetterQueue, 'LATER', 20);
      }

      expect(seen.toSorted()).toEqual(ids.toSorted());
    }, 60_000);

    it('take every letter that is meant once, and none else, however many there are', async () => {
      const { deadLetterQueue, call, until } = await setupDead();
      const meant = await addLetters(deadLetterQueue, 'MEANT', 250);
      await addLetters(deadLetterQueue, 'OTHER', 150);

      // On a busy machine one call may not come to the end of them in its time.
      let redriven = 0;
      await waitFor(async () => {
        const answer = await call('POST', '/dead-letters/redrive', { code: 'MEANT' });
        const run = JSON.parse(await answer.text());
        redriven += run.redriven;
        return !run.more;
      });

      expect(redriven).toBe(meant.length);
      for (const id of meant) await until(id, 'delivered');
      await waitFor(async () => (await deadLetterQueue.getFailedCount()) === 151);
    }, 60_000);

    /** One has gone, and the next is waited for. */
    const setupPaced = async (signal?: AbortSignal) => {
      const subject = await setupDead(4, { env: { SHUTDOWN_TIMEOUT_MS: '5000' } });
      const answer = fetch(`${subject.url}/dead-letters/redrive?rate=0.1`, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}` },
        ...(signal && { signal }),
      });
      const left = () => subject.deadLetterQueue.getFailedCount();
      const requested = () => subject.logs.lines().filter(({ msg }) => msg === 'Redrive requested');
      await waitFor(async () => (await left()) === 3);
      return { ...subject, answer, left, requested };
    };

    it('end when the client hangs up, and the same call again goes on', async () => {
      const client = new AbortController();
      const { answer, left, requested, call } = await setupPaced(client.signal);

      client.abort();
      await expect(answer).rejects.toThrow();
      await waitFor(() => requested().length === 1);

      expect([requested()[0], await left()]).toMatchObject([{ redriven: 1, more: true }, 3]);
      const again = await call('POST', '/dead-letters/redrive');
      expect(await again.json()).toMatchObject({ redriven: 3, more: false });
    });

    it('end with an answer when the process is told to stop', async () => {
      const { answer } = await setupPaced();

      const stopped = stop();

      expect(await (await answer).json()).toMatchObject({ redriven: 1, more: true });
      await stopped;
    });

    it.each(['rate=0', 'rate=x', 'rate=-1', 'rate=1e9'])('have no %s', async (query) => {
      const { call } = await setup();

      expect((await call('POST', `/dead-letters/redrive?${query}`)).status).toBe(422);
    });
  });
});
