import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { createMoveToDeadLetters } from '../../src/deadLetters/moveToDeadLetters.ts';
import { createRedriveProcessor } from '../../src/deadLetters/redriveWorker.ts';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';

import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../support/buildSignal.ts';
import { onRedis, PLATFORMS, type Platform } from '../support/platforms.ts';
import { runOutLocks } from '../support/runOutLocks.ts';
import { refused, type Script } from '../support/scriptedSeek.ts';
import { newToken, startDispatcher } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const complete = () => buildApplicationComplete({ token: newToken() });
const many = (count: number) => Array.from({ length: count }, complete);
const always =
  (code: string): Script =>
  () =>
    refused(code);
const metrics = { redriven: { inc: () => {} } };

let platform: Platform;
let stop = async () => {};
afterEach(() => stop());

const setup = async (options: Parameters<typeof startDispatcher>[1] = {}) => {
  const dispatcher = await startDispatcher(platform, options);
  stop = dispatcher.stop;
  const backend = dispatcher.openBackend();
  const signals = await backend.bullQueue(SIGNALS);
  const deadLetters = await backend.bullQueue(DEAD_LETTERS);

  /** Where each of these is, in both queues. */
  const places = async (ids: string[]) =>
    Promise.all(
      ids.map(async (id) => {
        const [signal, deadLetter] = [
          await signals.getJobState(id),
          await deadLetters.getJobState(id),
        ];
        return [
          ...(signal === 'unknown' ? [] : [signal]),
          ...(deadLetter === 'failed' ? ['letter'] : []),
        ];
      }),
    );

  return {
    ...dispatcher,
    ...{ backend, signals, deadLetters, places },
    moveToDeadLetters: createMoveToDeadLetters(backend),
    /** Signals that a worker failed, and died over: the burial is up to whoever comes next. */
    fail: async (count: number): Promise<string[]> => {
      const accepted = await dispatcher.sendAll(many(count));
      const ids = accepted.map(({ signalId }) => signalId);
      const worker = await backend.work(
        SIGNALS,
        async (job) => {
          Object.assign(job.opts, { attempts: 1 });
          throw new Error('FORBIDDEN: no relationship');
        },
        { concurrency: 10 },
      );
      await waitFor(async () => (await signals.getFailedCount()) === count);
      await worker.close();
      return ids;
    },
  };
};

describe.each(PLATFORMS)('dead letters on $name', ({ start }) => {
  beforeAll(async () => {
    platform = await start();
  });
  afterAll(() => platform.stop());

  describe('that no worker has failed yet', () => {
    const setupLetters = async () => {
      const subject = await setup({ workers: 0 });
      const ids = await subject.fail(3);
      for (const job of await subject.signals.getFailed()) await subject.moveToDeadLetters(job);
      expect(await subject.deadLetters.getWaitingCount()).toBe(3);
      return { ...subject, ids };
    };

    it('count as dead, and are listed', async () => {
      const { status, deadLetters, ids, find, get } = await setupLetters();

      expect((await status()).counts).toMatchObject({ waiting: 0, dead: 3 });
      const page = await get<{ deadLetters: { signalId: string }[] }>('/dead-letters');
      expect(page.deadLetters.map(({ signalId }) => signalId).toSorted()).toEqual(ids.toSorted());
      expect(await find(ids[0] ?? '')).toMatchObject({ state: 'dead' });
      expect(await deadLetters.getFailedCount()).toBe(0);
    });

    it('are redriven once a worker comes, and the others failed', async () => {
      const { ids, redrive, startWorker, until, untilBuried } = await setupLetters();
      const [redriven = '', ...others] = ids;

      expect(await redrive(redriven)).toBe(202);
      await startWorker();

      expect(await until(redriven, 'delivered')).toMatchObject({ redrives: 1 });
      for (const id of others) await untilBuried(id);
    });

    it('are counted as redriven once, however often that is asked', async () => {
      const { call, deadLetters } = await setupLetters();
      const redriveAll = async () => (await call('POST', '/dead-letters/redrive')).json();

      expect(await redriveAll()).toMatchObject({ redriven: 3 });
      expect(await redriveAll()).toMatchObject({ redriven: 0 });
      expect(await deadLetters.getWaitingCount()).toBe(3);
    });

    it('are discarded', async () => {
      const { ids, call, find, startWorker, untilBuried, deadLetters } = await setupLetters();
      const [discarded = '', ...others] = ids;

      expect((await call('DELETE', `/dead-letters/${discarded}?reason=test`)).status).toBe(204);
      await startWorker();
      for (const id of others) await untilBuried(id);

      expect(await find(discarded)).toMatchObject({ state: 'skipped' });
      expect(await deadLetters.getJobState(discarded)).toBe('unknown');
    });
  });

  describe('of several kinds', () => {
    const setupKinds = async () => {
      const noRelationship = refused('FORBIDDEN', { message: 'No Relationship with the hirer' });
      const subject = await setup({
        answers: [
          noRelationship,
          noRelationship,
          refused('BAD_USER_INPUT', { message: 'Not valid' }),
        ],
      });
      const { send, call, untilBuried } = subject;
      const applicationId = `application of ${newToken()}`;
      const path = `/applications/${encodeURIComponent(applicationId)}/seek-token`;
      await call('PUT', path, { token: newToken(), source: 'linkOut' });
      const moveToDeadLetters = async (signal: object): Promise<string> => {
        const { signalId } = await send(signal);
        await untilBuried(signalId);
        return signalId;
      };
      const one = await moveToDeadLetters(
        buildApplicationComplete({ token: undefined, applicationId }),
      );
      const two = await moveToDeadLetters(complete());
      const three = await moveToDeadLetters(buildSignal({ token: newToken() }));
      return { ...subject, applicationId, one, two, three };
    };

    it('are listed by what they have in common', async () => {
      const { applicationId, one, two, three, get } = await setupKinds();
      const list = async (query: Record<string, string>) => {
        const path = `/dead-letters?${new URLSearchParams(query)}`;
        const page = await get<{ deadLetters: { signalId: string }[] }>(path);
        return page.deadLetters.map(({ signalId }) => signalId).toSorted();
      };

      expect(await list({ applicationId })).toEqual([one]);
      expect(await list({ applicationId: 'another' })).toEqual([]);
      expect(await list({ text: 'no relationship' })).toEqual([one, two].toSorted());
      expect(await list({ text: 'bad_user' })).toEqual([three]);
      expect(await list({ text: three.slice(3, 12).toUpperCase() })).toEqual([three]);
      expect(await list({ text: 'STATUSUPDATE', code: 'FORBIDDEN' })).toEqual([]);
    });

    it('are counted by code and type, the most first', async () => {
      const { get } = await setupKinds();
      const forbidden = {
        ...{ code: 'FORBIDDEN', typeCode: 'ApplicationComplete', count: 2 },
        reason: expect.stringContaining('No Relationship'),
        ...{ firstAt: expect.any(String), lastAt: expect.any(String) },
      };

      const all = await get<{ counts: { firstAt: string; lastAt: string }[] }>(
        '/dead-letters/counts',
      );

      expect(all.counts).toEqual([
        forbidden,
        expect.objectContaining({
          code: 'BAD_USER_INPUT',
          typeCode: 'ApplicationStatusUpdate',
          count: 1,
        }),
      ]);
      expect(all.counts.every(({ firstAt, lastAt }) => firstAt <= lastAt)).toBe(true);
      expect(await get('/dead-letters/counts?code=FORBIDDEN')).toEqual({ counts: [forbidden] });
    });

    it('are redriven by what they have in common', async () => {
      const { call, seek, until, one, two, three, find } = await setupKinds();
      seek.answerWith([]);

      const answer = await call('POST', '/dead-letters/redrive', { text: 'relationship' });

      expect(await answer.json()).toMatchObject({ redriven: 2 });
      for (const id of [one, two])
        expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
      expect(await find(three)).toMatchObject({ state: 'dead', redrives: 0 });
    });
  });

  describe('after an undertaker was killed', () => {
    /** The dead letter is there, the failed job too: killed between its two steps. */
    const setupHalfBuried = async (workers = 0) => {
      const subject = await setup({ workers: 0 });
      const ids = await subject.fail(5);
      const killed = createMoveToDeadLetters({
        ...subject.backend,
        jobs: {
          ...subject.backend.jobs,
          removeFinished: () => Promise.reject(new Error('killed')),
        },
      });
      for (const job of await subject.signals.getFailed()) {
        await expect(killed(job)).rejects.toThrow('killed');
      }
      for (let started = 0; started < workers; started += 1) await subject.startWorker();
      return { ...subject, ids, id: ids[0] ?? '' };
    };

    it('counts a signal that lies in both queues no less than once', async () => {
      const { status, find, id } = await setupHalfBuried();

      expect((await status()).counts.dead).toBeGreaterThanOrEqual(5);
      expect(await find(id)).toMatchObject({ state: 'dead' });
    });

    it('the next sweep finishes the burials, and buries nothing twice', async () => {
      const { startWorker, untilBuried, ids, places, status } = await setupHalfBuried();

      await startWorker();
      for (const id of ids) await untilBuried(id);

      expect(await places(ids)).toEqual(ids.map(() => ['letter']));
      expect((await status()).counts).toMatchObject({ waiting: 0, active: 0, dead: 5 });
    });

    it('a redrive in that state is not lost', async () => {
      const { seek, startWorker, redrive, until, untilBuried, ids, id } = await setupHalfBuried();

      expect(await redrive(id)).toBe(202);
      await startWorker();

      expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
      for (const other of ids.slice(1)) await untilBuried(other);
      expect(seek.requests).toHaveLength(1);
    });

    it('a redrive is not lost when the letter had been failed before the sweep came', async () => {
      const { backend, logs, deadLetters, signals, startWorker, ids, id, until } =
        await setupHalfBuried();
      const worker = await backend.work(
        DEAD_LETTERS,
        createRedriveProcessor({ backend, logger: logs.logger, metrics }),
        { concurrency: 1 },
      );
      await waitFor(async () => (await deadLetters.getFailedCount()) === ids.length);
      await worker.close();
      expect(await signals.getFailedCount()).toBe(ids.length);

      await (await deadLetters.getJob(id))?.retry('failed');
      await startWorker();

      expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
    });

    it('a letter that is discarded in that state does not come back', async () => {
      const { call, find, startWorker, untilBuried, deadLetters, ids, id } =
        await setupHalfBuried();

      expect((await call('DELETE', `/dead-letters/${id}?reason=test`)).status).toBe(204);
      await startWorker();
      for (const other of ids.slice(1)) await untilBuried(other);

      expect(await find(id)).toMatchObject({ state: 'skipped' });
      expect(await deadLetters.getJobState(id)).toBe('unknown');
    });

    it('the next sweep buries what had not even a letter', async () => {
      const { fail, startWorker, untilBuried, places } = await setup({ workers: 0 });
      const ids = await fail(5);

      await startWorker();
      for (const id of ids) await untilBuried(id);

      expect(await places(ids)).toEqual(ids.map(() => ['letter']));
    });
  });

  describe('after a redrive was killed', () => {
    /** The signal is back in the queue, its dead letter still lies there as failed. */
    const setupHalfRedriven = async (answers: Script = []) => {
      const subject = await setup({ workers: 0 });
      const { backend, logs, startWorker, untilBuried, deadLetters } = subject;
      const [id = ''] = await subject.fail(1);
      const first = await startWorker();
      await untilBuried(id);
      await first.close();
      subject.seek.answerWith(answers);

      const deadLetter = await deadLetters.getJob(id);
      if (deadLetter === undefined) throw new Error('no letter');
      const process = createRedriveProcessor({ backend, logger: logs.logger, metrics });
      await process(deadLetter);
      expect(await subject.signals.getJobState(id)).toBe('waiting');
      expect(await deadLetters.getJobState(id)).toBe('failed');
      return { ...subject, id };
    };

    it('the signal is delivered once, and its letter goes with the next redrive', async () => {
      const { seek, id, startWorker, until, redrive, deadLetters } = await setupHalfRedriven();

      await startWorker();
      await until(id, 'delivered');
      expect(await redrive(id)).toBe(202);
      await waitFor(async () => (await deadLetters.getJobState(id)) === 'unknown');

      expect(await until(id, 'delivered')).toMatchObject({ redrives: 1 });
      expect(seek.requests).toHaveLength(1);
    });

    it('the letter takes up a newer refusal of its signal', async () => {
      const { id, startWorker, untilBuried, places } = await setupHalfRedriven([
        refused('BAD_USER_INPUT'),
      ]);

      await startWorker();
      const deadLetter = await untilBuried(id, 1);

      expect(deadLetter).toMatchObject({ code: 'BAD_USER_INPUT', redrives: 1 });
      expect(await places([id])).toEqual([['letter']]);
    });

    it('redriving the letter again while the signal waits sends it once', async () => {
      const { seek, id, redrive, startWorker, until, deadLetters } = await setupHalfRedriven();

      await redrive(id);
      await startWorker();
      await until(id, 'delivered');
      await waitFor(async () => (await deadLetters.getJobState(id)) === 'unknown');

      expect(seek.requests).toHaveLength(1);
    });
  });

  it('lists 120 letters page by page, without holes or repeats', async () => {
    const { sendAll, get, deadLetters } = await setup({ answers: always('FORBIDDEN') });
    const accepted = await sendAll(many(120));
    await waitFor(async () => (await deadLetters.getFailedCount()) === 120);

    const pages: { signalId: string }[][] = [];
    let cursor: string | undefined;
    do {
      type Page = { deadLetters: { signalId: string }[]; nextCursor?: string };
      const after: string = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: Page = await get<Page>(`/dead-letters?limit=7${after}`);
      pages.push(page.deadLetters);
      cursor = page.nextCursor;
    } while (cursor !== undefined);

    expect(pages.map(({ length }) => length)).toEqual([...Array(17).fill(7), 1]);
    expect(
      pages
        .flat()
        .map(({ signalId }) => signalId)
        .toSorted(),
    ).toEqual(accepted.map(({ signalId }) => signalId).toSorted());
  });

  it('lists by code, type and time', async () => {
    const { seek, send, untilBuried, deadLetters: _, get } = await setup();
    const list = async (query: Record<string, string>) => {
      const path = `/dead-letters?${new URLSearchParams(query)}`;
      const { deadLetters } = await get<{ deadLetters: { signalId: string }[] }>(path);
      return deadLetters.map(({ signalId }) => signalId);
    };
    const moveToDeadLetters = async (code: string, signal: object) => {
      seek.answerWith([refused(code)]);
      const { signalId } = await send(signal);
      return untilBuried(signalId);
    };
    const a = await moveToDeadLetters('FORBIDDEN', complete());
    const b = await moveToDeadLetters('BAD_USER_INPUT', buildSignal({ token: newToken() }));
    await waitFor(() => Date.now() > Date.parse(b.diedAt));
    const positionProfileIds = [newToken()];
    const c = await moveToDeadLetters(
      'FORBIDDEN',
      buildPositionStatusUpdate({ positionProfileIds }),
    );

    expect(await list({})).toEqual([c.signalId, b.signalId, a.signalId]);
    expect(await list({ code: 'FORBIDDEN' })).toEqual([c.signalId, a.signalId]);
    expect(await list({ type: 'ApplicationStatusUpdate' })).toEqual([b.signalId]);
    expect(await list({ code: 'FORBIDDEN', type: 'ApplicationComplete' })).toEqual([a.signalId]);
    expect(await list({ since: c.diedAt })).toEqual([c.signalId]);
    expect(await list({ until: c.diedAt })).toEqual([b.signalId, a.signalId]);
    expect(await list({ limit: '1' })).toEqual([c.signalId]);
    expect(await list({ code: 'NOBODY' })).toEqual([]);
  });
});

describe('dead letters on one Redis with several workers', () => {
  beforeAll(async () => {
    platform = await onRedis();
  });
  afterAll(() => platform.stop());

  it('lose and double none of 50 that SEEK refuses at once, three redrives over', async () => {
    const { seek, sendAll, call, untilBuried, places, status, until } = await setup({
      answers: always('FORBIDDEN'),
      workers: 3,
    });
    const accepted = await sendAll(many(50));
    const ids = accepted.map(({ signalId }) => signalId);

    for (let redrives = 0; redrives <= 3; redrives += 1) {
      const lookup = await Promise.all(ids.map((id) => untilBuried(id, redrives)));
      expect(lookup.every(({ attempts }) => attempts.length === redrives + 1)).toBe(true);
      expect(await places(ids)).toEqual(ids.map(() => ['letter']));
      expect((await status()).counts).toMatchObject({
        ...{ waiting: 0, active: 0, retrying: 0, delivered: 0, dead: 50 },
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

  it('are all redriven by one call of BullMQ’s own retryJobs', async () => {
    const { seek, deadLetters, sendAll, untilBuried, until } = await setup({
      answers: always('FORBIDDEN'),
      workers: 2,
    });
    const ids = (await sendAll(many(30))).map(({ signalId }) => signalId);
    for (const id of ids) await untilBuried(id);
    seek.answerWith([]);

    await deadLetters.retryJobs({ state: 'failed' });

    for (const id of ids) expect((await until(id, 'delivered')).redrives).toBe(1);
  });

  it('are redriven once when many ask at the same moment', async () => {
    const { seek, call, sendAll, untilBuried, until } = await setup({
      answers: always('FORBIDDEN'),
      workers: 3,
    });
    const [{ signalId } = { signalId: '' }] = await sendAll(many(1));
    await untilBuried(signalId);
    seek.answerWith([]);

    const answers = await Promise.all(
      Array.from({ length: 10 }, () => call('POST', `/dead-letters/${signalId}/redrive`)),
    );

    expect(answers.some(({ status }) => status === 202)).toBe(true);
    expect(answers.filter(({ status }) => ![202, 404, 409].includes(status))).toEqual([]);
    expect(await until(signalId, 'delivered')).toMatchObject({ redrives: 1 });
    expect(seek.requests).toHaveLength(2);
  });

  it('are redriven all the same when the worker that took one up died over it', async () => {
    const { backend, seek, deadLetters, sendAll, untilBuried, until, startWorker } = await setup({
      answers: always('FORBIDDEN'),
      workers: 0,
    });
    const first = await startWorker();
    const [{ signalId } = { signalId: '' }] = await sendAll(many(1));
    await untilBuried(signalId);
    await first.close();
    seek.answerWith([]);
    await (await deadLetters.getJob(signalId))?.retry('failed');

    // Takes the dead letter with a lock that nobody renews, and is never heard of again.
    const { connection, prefix = '' } = deadLetters.opts;
    if (!(connection instanceof Redis)) throw new Error('not a connection to Redis');
    const dead = new Worker(DEAD_LETTERS, null, { connection, prefix, skipLockRenewal: true });
    expect((await dead.getNextJob('dead', { block: false }))?.id).toBe(signalId);
    expect(await deadLetters.getActiveCount()).toBe(1);
    await runOutLocks(connection, prefix, DEAD_LETTERS);
    await dead.close();
    await startWorker();

    expect(await until(signalId, 'delivered')).toMatchObject({ redrives: 1 });
    await waitFor(async () => (await deadLetters.getJobState(signalId)) === 'unknown');
    expect(await (await backend.queue(SIGNALS)).getJobCounts('failed')).toEqual({ failed: 0 });
  });
});
