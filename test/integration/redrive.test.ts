import type { Queue } from 'bullmq';
import { createDeadLetters } from '../../src/deadLetters/deadLetters.ts';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { listDeadLetters, scanDeadLetters } from '../../src/queue/readDeadLetters.ts';

import {
  buildApplicationComplete,
  buildDeadLetter,
  buildSignalJob,
} from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { refused } from '../support/scriptedSeek.ts';
import { API_KEY, newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const complete = () => buildApplicationComplete({ token: newToken() });
const TIME = expect.any(String);

// Each call of a redrive may work for 20 seconds, and a busy machine needs several.
const BUSY = { timeoutMs: 120_000 };

describe.each(PLATFORMS)('redrive on $name', ({ start }) => {
  const { setup, stop } = usePlatform(start);

  /** Signals that SEEK has rejected, and would accept now. */
  const setupDead = async (count = 1, options: Parameters<typeof setup>[0] = {}) => {
    const dispatcher = await setup({ answers: () => refused('FORBIDDEN'), ...options });
    const accepted = await dispatcher.sendAll(Array.from({ length: count }, complete));
    const ids = accepted.map(({ signalId }) => signalId);
    for (const id of ids) await dispatcher.untilDeadLettered(id);
    dispatcher.seek.answerWith([]);
    const { backend } = dispatcher;
    return {
      ...dispatcher,
      ids,
      id: ids[0] ?? '',
      deadLetters: createDeadLetters({ backend }),
      signals: await backend.bullQueue(SIGNALS),
      deadLetterQueue: await backend.bullQueue(DEAD_LETTERS),
    };
  };

  describe('the redrive log', () => {
    it('after several redrives → holds time and name of each, as dead letter and as signal', async () => {
      const { id, seek, redrive, deadLetters, untilDeadLettered, until, call, logs } =
        await setupDead();
      seek.answerWith(() => refused('BAD_USER_INPUT'));

      await redrive(id);
      const deadLetter = await untilDeadLettered(id, 1);
      await deadLetters.redriveMany({ code: 'BAD_USER_INPUT' }, 'board:operator');
      await untilDeadLettered(id, 2);
      seek.answerWith([]);
      await redrive(id);
      const record = await until(id, 'delivered');

      const log = [
        { at: TIME, by: 'ats' },
        { at: TIME, by: 'board:operator' },
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

    it('after a retry in the board → holds a name only if it was noted before', async () => {
      const { ids, deadLetters, deadLetterQueue, until } = await setupDead(2);
      const [noted = '', nameless = ''] = ids;

      await deadLetters.noteRedriver(noted, 'board:operator');
      for (const deadLetter of await deadLetterQueue.getFailed()) await deadLetter.retry('failed');

      expect((await until(noted, 'delivered')).redriveLog).toEqual([
        { at: TIME, by: 'board:operator' },
      ]);
      expect((await until(nameless, 'delivered')).redriveLog).toEqual([{ at: TIME }]);
    });

    it('of a dead letter with a noted name → changes nothing else', async () => {
      const { id, deadLetters, deadLetterQueue, find } = await setupDead();
      const before = await deadLetterQueue.getJob(id);
      const record = await find(id);

      await deadLetters.noteRedriver('no-such-dead-letter', 'board:operator');
      await deadLetters.noteRedriver(id, 'board:operator');

      const after = await deadLetterQueue.getJob(id);
      expect(after?.data).toEqual({
        ...before?.data,
        redriveBy: { at: TIME, by: 'board:operator' },
      });
      expect([after?.finishedOn, await deadLetterQueue.getJobState(id)]).toEqual([
        before?.finishedOn,
        'failed',
      ]);
      expect(await find(id)).toEqual(record);
    });

    it('after three concurrent requests for each dead letter → holds one of them, and it is sent once', async () => {
      const { ids, deadLetters, seek, until } = await setupDead(20);
      const names = ['one', 'two', 'three'];

      const outcomes = await Promise.all(
        ids.flatMap((id) => names.map((by) => deadLetters.redrive(id, by))),
      );

      expect(outcomes.filter(({ kind }) => kind === 'busy')).toEqual([]);
      for (const id of ids) {
        const { redriveLog, redrives } = await until(id, 'delivered');
        expect([redrives, redriveLog?.length]).toEqual([1, 1]);
        expect(names).toContain(redriveLog?.[0]?.by);
      }
      expect(seek.requests).toHaveLength(2 * ids.length);
    });

    it('of a dead letter that no worker failed yet → holds the redrive', async () => {
      const { id, deadLetters, deadLetterQueue, until, startWorker } = await setupDead();
      const deadLetter = await deadLetterQueue.getJob(id);
      await deadLetter?.remove();
      await deadLetterQueue.add('ApplicationComplete', deadLetter?.data, {
        jobId: id,
        removeOnComplete: true,
      });

      expect(await deadLetters.redrive(id, 'operator')).toEqual({ kind: 'redriven' });
      await startWorker();

      expect((await until(id, 'delivered')).redriveLog).toEqual([{ at: TIME, by: 'operator' }]);
    });

    it('after a discard → stays with the signal', async () => {
      const { id, seek, redrive, untilDeadLettered, call, until } = await setupDead();
      seek.answerWith([refused('FORBIDDEN')]);
      await redrive(id);
      await untilDeadLettered(id, 1);

      expect((await call('DELETE', `/dead-letters/${id}`)).status).toBe(204);

      expect((await until(id, 'skipped')).redriveLog).toEqual([{ at: TIME, by: 'ats' }]);
    });

    it('with invalid data → does not prevent a redrive', async () => {
      const { id, deadLetterQueue, redrive, until } = await setupDead();
      const deadLetter = await deadLetterQueue.getJob(id);
      const job = { ...deadLetter?.data.job, redriveLog: 'invalid' };
      await deadLetter?.updateData({ ...deadLetter.data, redriveBy: 7, job });

      expect(await redrive(id)).toBe(202);

      expect(await until(id, 'delivered')).toMatchObject({
        redrives: 1,
        redriveLog: [{ at: TIME, by: 'ats' }],
      });
      await waitFor(async () => (await deadLetterQueue.getJobState(id)) === 'unknown');
    });
  });

  describe('of a signal that is invalid today', () => {
    /** Two dead letters. One is an `ApplicationComplete` without a token, which an older version accepted. */
    const setupInvalid = async () => {
      const subject = await setupDead();
      subject.seek.answerWith(() => refused('BAD_USER_INPUT', { message: 'Is not valid' }));
      const id = `invalid-${newToken()}`.replaceAll(/[^a-z0-9-]/g, '-');
      const job = buildSignalJob({
        signal: { typeCode: 'ApplicationComplete' },
        acceptedAt: new Date().toISOString(),
      });
      await subject.signals.add('ApplicationComplete', job, { jobId: id });
      const deadLetter = await subject.untilDeadLettered(id);
      subject.seek.answerWith([]);
      return { ...subject, id, deadLetter, valid: subject.id };
    };
    const invalidFields = { '/token': expect.stringMatching(/^Is required/) };

    it('is answered with 422 with the invalid fields, and the dead letter stays', async () => {
      const { id, deadLetter, call, seek, untilDeadLettered } = await setupInvalid();
      const sent = seek.requests.length;

      const answer = await call('POST', `/dead-letters/${id}/redrive`);

      expect([answer.status, await answer.json()]).toEqual([
        422,
        { message: 'The signal fails validation today', invalidFields },
      ]);
      expect(await untilDeadLettered(id)).toEqual(deadLetter);
      expect(seek.requests).toHaveLength(sent);
    });

    it('among others → the others are redriven', async () => {
      const { valid, id, call, until, find } = await setupInvalid();

      const answer = await call('POST', '/dead-letters/redrive');

      expect(await answer.json()).toMatchObject({ redriven: 1, invalid: 1 });
      await until(valid, 'delivered');
      expect(await find(id)).toMatchObject({ state: 'dead', redrives: 0 });
    });

    it('by the board’s own Retry → fails again with the old reason and the problem', async () => {
      const { id, deadLetter, deadLetters, deadLetterQueue, untilDeadLettered, seek } =
        await setupInvalid();
      const sent = seek.requests.length;
      await deadLetters.noteRedriver(id, 'board:operator');

      await (await deadLetterQueue.getJob(id))?.retry('failed');

      const failed = await waitFor(async () => {
        const job = await deadLetterQueue.getJob(id);
        return job?.failedReason?.includes('not sent again') && job;
      });
      expect(failed.failedReason).toMatch(
        /^BAD_USER_INPUT: .*Is not valid.*; not sent again: \/token: Is required/,
      );
      expect(await untilDeadLettered(id)).toEqual(deadLetter);
      expect(failed.data.redriveBy).toBeUndefined();
      expect(seek.requests).toHaveLength(sent);
    });

    it('as a dry run → is reported, and nothing changes', async () => {
      const { valid, id, call, find } = await setupInvalid();

      const [all, none] = [
        await call('POST', '/dead-letters/redrive?dryRun=true'),
        await call('POST', '/dead-letters/redrive', { dryRun: true, code: 'NONE' }),
      ];
      const [one, other] = [
        await call('POST', `/dead-letters/${valid}/redrive?dryRun=true`),
        await call('POST', `/dead-letters/${id}/redrive?dryRun=true`),
      ];

      expect([all.status, await all.json()]).toEqual([
        200,
        {
          wouldRedrive: 1,
          invalid: 1,
          refusals: [{ pointer: '/token', message: TIME, count: 1, example: id }],
          samples: [expect.objectContaining({ signalId: valid, code: 'FORBIDDEN', diedAt: TIME })],
        },
      ]);
      expect(await none.json()).toEqual({
        wouldRedrive: 0,
        invalid: 0,
        refusals: [],
        samples: [],
      });
      expect([one.status, other.status]).toEqual([200, 422]);
      expect([await find(valid), await find(id)]).toMatchObject([
        { state: 'dead', redrives: 0 },
        { state: 'dead', redrives: 0 },
      ]);
      expect((await call('POST', '/dead-letters/redrive?dryRun=1')).status).toBe(422);
      expect((await call('POST', `/dead-letters/${valid}/redrive?dry=true`)).status).toBe(422);
    });
  });

  it('of a valid signal that SEEK rejected as invalid → is sent again', async () => {
    const { id, seek, redrive, until, untilDeadLettered } = await setupDead();
    seek.answerWith([refused('BAD_USER_INPUT', { message: 'Is not valid' })]);
    await redrive(id);
    await untilDeadLettered(id, 1);

    expect(await redrive(id)).toBe(202);

    expect(await until(id, 'delivered')).toMatchObject({ redrives: 2 });
  });

  it('of a signal with an encrypted token → is sent again', async () => {
    const env = { TOKEN_ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString('base64') };
    const { id, redrive, until } = await setupDead(1, { env });

    expect(await redrive(id)).toBe(202);
    expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
  });

  describe('of many dead letters', () => {
    /** Adds failed dead letters directly, without sending signals. */
    const addDeadLetters = async (queue: Queue, code: string, count: number): Promise<string[]> => {
      const name = newToken().replaceAll(/[^\w-]/g, '-');
      const ids = Array.from({ length: count }, (_, n) => `${code}-${n}-of-${name}`);
      const before = await queue.getFailedCount();
      await queue.addBulk(
        ids.map((signalId) => {
          const acceptedAt = new Date().toISOString();
          const job = buildSignalJob({ signal: complete(), acceptedAt, contentId: signalId });
          const failedJob = { jobId: signalId, finishedAt: 1 };
          const data = buildDeadLetter({ signalId, code, failedJob, job });
          return { name: 'x', data, opts: { jobId: signalId, removeOnComplete: true } };
        }),
      );
      await waitFor(async () => (await queue.getFailedCount()) === before + count, BUSY);
      return ids;
    };

    it('while other callers remove some → reads each of the rest', async () => {
      const { backend, deadLetterQueue } = await setupDead(0);
      const ids = await addDeadLetters(deadLetterQueue, 'WANTED', 250);
      const seen: string[] = [];

      for await (const { deadLetter } of scanDeadLetters(await backend.queue(DEAD_LETTERS))) {
        seen.push(deadLetter.signalId);
        if (seen.length !== 150) continue;
        for (const id of seen.slice(0, 120)) await deadLetterQueue.remove(id);
      }

      expect(seen.toSorted()).toEqual(ids.toSorted());
    }, 60_000);

    it('listed while signals die → lists each of the earlier ones once', async () => {
      const { backend, deadLetterQueue } = await setupDead(0);
      const ids = await addDeadLetters(deadLetterQueue, 'LISTED', 150);
      const seen: string[] = [];

      for await (const { deadLetter } of listDeadLetters(await backend.queue(DEAD_LETTERS))) {
        seen.push(deadLetter.signalId);
        if (seen.length === 50) await addDeadLetters(deadLetterQueue, 'LATER', 20);
      }

      expect(seen.toSorted()).toEqual(ids.toSorted());
    }, 60_000);

    it('by code → redrives each match once, and no other', async () => {
      const { deadLetterQueue, call, until } = await setupDead();
      const wanted = await addDeadLetters(deadLetterQueue, 'WANTED', 250);
      await addDeadLetters(deadLetterQueue, 'OTHER', 150);

      // On a busy machine one call may run out of time.
      let redriven = 0;
      await waitFor(async () => {
        const answer = await call('POST', '/dead-letters/redrive', { code: 'WANTED' });
        const run = JSON.parse(await answer.text());
        redriven += run.redriven;
        return !run.more;
      }, BUSY);

      expect(redriven).toBe(wanted.length);
      for (const id of wanted) await until(id, 'delivered');
      await waitFor(async () => (await deadLetterQueue.getFailedCount()) === 151, BUSY);
    }, 240_000);

    /** A rate-limited run that has redriven one and waits before the next. */
    const setupRateLimited = async (signal?: AbortSignal) => {
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

    it('when the client disconnects → stops, and the same call again continues', async () => {
      const client = new AbortController();
      const { answer, left, requested, call } = await setupRateLimited(client.signal);

      client.abort();
      await expect(answer).rejects.toThrow();
      await waitFor(() => requested().length === 1);

      expect([requested()[0], await left()]).toMatchObject([{ redriven: 1, more: true }, 3]);
      const again = await call('POST', '/dead-letters/redrive');
      expect(await again.json()).toMatchObject({ redriven: 3, more: false });
    });

    it('when the process stops → stops and answers', async () => {
      const { answer } = await setupRateLimited();

      const stopped = stop();

      expect(await (await answer).json()).toMatchObject({ redriven: 1, more: true });
      await stopped;
    });

    it.each(['rate=0', 'rate=x', 'rate=-1', 'rate=1e9'])('with %s → 422', async (query) => {
      const { call } = await setup();

      expect((await call('POST', `/dead-letters/redrive?${query}`)).status).toBe(422);
    });
  });
});
