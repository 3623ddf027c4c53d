import { buildSignalJob } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { delivered, html, refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';
import { bullQueues, complete, header, inputOf } from './deliveryPathHelpers.ts';

describe.each(PLATFORMS)('path of a dead letter on $name', ({ start }) => {
  const { setup, stop } = usePlatform(start);

  describe('move to dead letters', () => {
    it('SEEK rejects the signal → dead letter after one attempt, with all details and no secret', async () => {
      const token = newToken();
      const { seek, send, untilDeadLettered, until, find, logs } = await setup({
        answers: [
          refused('BAD_USER_INPUT', {
            message: 'Input validation failed',
            extensions: { invalidFields: { '/input/token': `Is not valid: ${token}` } },
          }),
        ],
      });

      const { signalId } = await send(complete(token));
      const deadLetter = await untilDeadLettered(signalId);

      const [requestId] = header(seek.requests, 'x-request-id');
      const reason = 'Input validation failed; /input/token: Is not valid: [masked]';
      expect(deadLetter).toEqual({
        signalId,
        typeCode: 'ApplicationComplete',
        redrives: 0,
        code: 'BAD_USER_INPUT',
        reason,
        acceptedAt: expect.any(String),
        diedAt: expect.any(String),
        attempts: [
          {
            at: expect.any(String),
            durationMs: expect.any(Number),
            requestId,
            outcome: 'dead',
            code: 'BAD_USER_INPUT',
            reason,
          },
        ],
      });
      await until(signalId, 'dead');
      expect((await find(signalId))?.attempts).toEqual(deadLetter.attempts);
      await stop();
      expect(logs.text()).not.toContain(token);
      expect(logs.lines().filter(({ msg }) => msg === 'signal.deadLettered')).toEqual([
        expect.objectContaining({ level: 'warn', signalId, code: 'BAD_USER_INPUT' }),
      ]);
    });

    it('dead letter → holds the whole signal, so that a redrive can send it', async () => {
      const { backend, send, untilDeadLettered } = await setup({ answers: [refused('FORBIDDEN')] });
      const token = newToken();

      const { signalId } = await send(complete(token));
      await untilDeadLettered(signalId);

      const { deadLetters } = await bullQueues(backend);
      const deadLetter = await deadLetters.getJob(signalId);
      expect(deadLetter?.data.job.signal).toEqual(complete(token));
      expect(deadLetter?.failedReason).toBe('FORBIDDEN: FORBIDDEN');
    });

    it('unknown code at every attempt → dead letter after the last attempt', async () => {
      const { seek, send, untilDeadLettered } = await setup({
        answers: () => refused('SOMETHING_NEW', { message: 'No idea' }),
        env: { RETRY_MAX_ATTEMPTS: '3' },
      });

      const { signalId } = await send(complete());
      const deadLetter = await untilDeadLettered(signalId);

      expect(deadLetter.code).toBe('SOMETHING_NEW');
      expect(deadLetter.reason).toContain('No idea');
      expect(deadLetter.attempts.map(({ outcome }) => outcome)).toEqual(['retry', 'retry', 'dead']);
      expect(deadLetter.attempts.map(({ requestId }) => requestId)).toEqual(
        header(seek.requests, 'x-request-id'),
      );
      expect(seek.requests).toHaveLength(3);
    });

    it('UNAUTHENTICATED at every attempt → dead letter, after growing waits', async () => {
      const { seek, send, untilDeadLettered, logs } = await setup({
        answers: () => refused('UNAUTHENTICATED'),
        env: { RETRY_MAX_ATTEMPTS: '5', RETRY_BASE_MS: '40', RETRY_MAX_MS: '5000' },
      });

      const { signalId } = await send(complete());
      const { code, attempts } = await untilDeadLettered(signalId);

      expect(code).toBe('UNAUTHENTICATED');
      expect(attempts).toHaveLength(5);
      // One repetition within each attempt, with a new token each time.
      expect(seek.requests).toHaveLength(10);
      const waits = logs
        .lines()
        .filter(({ msg }) => msg === 'signal.attempted')
        .flatMap(({ backoffMs }) => (backoffMs === undefined ? [] : [Number(backoffMs)]));
      expect(waits).toHaveLength(4);
      expect(waits).toEqual(waits.toSorted((a, b) => a - b));
      const startedAt = attempts.map(({ at }) => Date.parse(at));
      waits.forEach((wait, n) => {
        expect((startedAt[n + 1] ?? 0) - (startedAt[n] ?? 0)).toBeGreaterThanOrEqual(wait - 2);
      });
    });

    it('maximum age reached → dead letter, although attempts are left', async () => {
      const { send, untilDeadLettered } = await setup({
        answers: () => refused('INTERNAL_SERVER_ERROR'),
        env: { RETRY_MAX_AGE_MS: '60', RETRY_MAX_ATTEMPTS: '1000' },
      });

      const { signalId } = await send(complete());
      const deadLetter = await untilDeadLettered(signalId);

      expect(deadLetter.code).toBe('INTERNAL_SERVER_ERROR');
      expect(deadLetter.reason).toMatch(/given up after \d+ seconds/);
      expect(deadLetter.attempts.length).toBeLessThan(60);
    });

    it('redriven signal → its age counts from the redrive', async () => {
      let broken = true;
      const { send, untilDeadLettered, redrive, until } = await setup({
        answers: (_, number) =>
          broken || number % 2 === 0 ? refused('INTERNAL_SERVER_ERROR') : delivered(),
        env: { RETRY_MAX_AGE_MS: '400', RETRY_BASE_MS: '50', RETRY_MAX_MS: '50' },
      });
      const { signalId } = await send(complete());
      const { attempts } = await untilDeadLettered(signalId);

      broken = attempts.length % 2 !== 0;
      await redrive(signalId);
      broken = false;

      expect((await until(signalId, 'delivered')).redrives).toBe(1);
    });
  });

  describe('jobs that another program added', () => {
    it('unreadable jobs with any id → dead letters, and later signals are delivered', async () => {
      const { seek, backend, deadLetters, send, until, untilDeadLettered } = await setup();
      const { signals } = await bullQueues(backend);

      const anonymous = await signals.add('mail', { to: 'an address' });
      const { id: named = '' } = await signals.add('mail', 'text', { jobId: 'another-program' });
      expect(anonymous.id).toMatch(/^\d+$/);
      const [first] = [
        await untilDeadLettered(`job-${anonymous.id}`),
        await untilDeadLettered(named),
      ];
      const { signalId } = await send(complete());
      await until(signalId, 'delivered');

      expect(first).toMatchObject({ code: 'UNREADABLE', typeCode: 'unknown', attempts: [] });
      expect(first.reason).not.toBe('');
      expect((await deadLetters()).map((deadLetter) => deadLetter.signalId).toSorted()).toEqual(
        [`job-${anonymous.id}`, named].toSorted(),
      );
      expect(await signals.getJobCounts('failed', 'waiting', 'delayed')).toEqual({
        failed: 0,
        waiting: 0,
        delayed: 0,
      });
      expect(seek.requests).toHaveLength(1);
    });

    it('job of a newer version, redriven unchanged → dead letter again', async () => {
      const { backend, redrive, untilDeadLettered, logs } = await setup({
        env: { RETRY_MAX_AGE_MS: '1' },
      });
      const { signals } = await bullQueues(backend);
      const { id } = await signals.add('mail', { version: 99, to: 'an address' });
      const { diedAt } = await untilDeadLettered(`job-${id}`);

      expect(await redrive(`job-${id}`)).toBe(202);

      await waitFor(
        () => logs.lines().filter(({ msg }) => msg === 'signal.deadLettered').length === 2,
      );
      const deadLetter = await untilDeadLettered(`job-${id}`);
      expect(Date.parse(deadLetter.diedAt)).toBeGreaterThanOrEqual(Date.parse(diedAt));
      expect(deadLetter.code).toBe('UNREADABLE');
    });

    it('redrive of an unreadable job → 422, the dead letter stays', async () => {
      const { backend, call, untilDeadLettered } = await setup();
      const { signals } = await bullQueues(backend);
      const { id } = await signals.add('mail', { to: 'an address' });
      const before = await untilDeadLettered(`job-${id}`);

      const answer = await call('POST', `/dead-letters/job-${id}/redrive`);

      expect(answer.status).toBe(422);
      expect(JSON.parse(await answer.text())).toMatchObject({
        invalidFields: { '/signal': expect.any(String) },
      });
      expect(await untilDeadLettered(`job-${id}`)).toEqual(before);
    });

    it('job with attempts: 1 and no backoff → is retried all the same', async () => {
      const { seek, backend, until } = await setup({
        answers: [html(502), refused('INTERNAL_SERVER_ERROR')],
      });
      const { signals } = await bullQueues(backend);
      const token = newToken();
      const job = buildSignalJob({
        signal: complete(token),
        acceptedAt: new Date().toISOString(),
      });

      const id = `foreign-${newToken()}`.replaceAll(/[^a-z0-9-]/g, '-');
      await signals.add('ApplicationComplete', job, { jobId: id, attempts: 1 });
      const { attempts } = await until(id, 'delivered');

      expect(attempts.map(({ outcome }) => outcome)).toEqual(['retry', 'retry', 'delivered']);
      expect(seek.requests.map(inputOf)).toEqual(Array(3).fill(complete(token)));
    });

    it('readable job with a number as its id → dead letter, then redriven and delivered', async () => {
      const { seek, backend, redrive, until, untilDeadLettered } = await setup({
        answers: [refused('FORBIDDEN')],
      });
      const { signals } = await bullQueues(backend);
      const signal = complete();
      const job = buildSignalJob({ signal, acceptedAt: new Date().toISOString() });

      const { id } = await signals.add('ApplicationComplete', job);
      await untilDeadLettered(`job-${id}`);
      expect(await redrive(`job-${id}`)).toBe(202);
      await until(`job-${id}`, 'delivered');

      expect(seek.requests.map(inputOf)).toEqual([signal, signal]);
    });
  });

  describe('redrive', () => {
    const setupDead = async (signals = 1) => {
      const dispatcher = await setup({ answers: () => refused('FORBIDDEN') });
      const accepted = await dispatcher.sendAll(Array.from({ length: signals }, () => complete()));
      const ids = accepted.map(({ signalId }) => signalId);
      for (const id of ids) await dispatcher.untilDeadLettered(id);
      dispatcher.seek.answerWith([]);
      return { ...dispatcher, ids, id: ids[0] ?? '', ...(await bullQueues(dispatcher.backend)) };
    };

    it('over the API → delivered under the same id', async () => {
      const { seek, redrive, until, id, deadLetters, call } = await setupDead();

      expect(await redrive(id)).toBe(202);
      const record = await until(id, 'delivered');

      expect(record.redrives).toBe(1);
      expect(seek.requests).toHaveLength(2);
      await waitFor(async () => (await deadLetters.getJobState(id)) === 'unknown');
      expect((await call('GET', `/dead-letters/${id}`)).status).toBe(404);
      expect(await redrive(id)).toBe(404);
    });

    it("the board's Retry of one dead letter → delivered", async () => {
      const { until, id, deadLetters } = await setupDead();

      await (await deadLetters.getJob(id))?.retry('failed');

      expect((await until(id, 'delivered')).redrives).toBe(1);
    });

    it("the board's Retry all → all delivered", async () => {
      const { seek, until, ids, deadLetters } = await setupDead(30);

      for (const deadLetter of await deadLetters.getJobs(['failed']))
        await deadLetter.retry('failed');

      for (const id of ids) expect((await until(id, 'delivered')).redrives).toBe(1);
      expect(seek.requests).toHaveLength(60);
      await waitFor(async () => (await deadLetters.getJobCountByTypes('failed', 'active')) === 0);
    });

    it('by a filter → delivers the dead letters that match', async () => {
      const { call, until: waitForState, ids } = await setupDead(5);

      const none = await call('POST', '/dead-letters/redrive', { code: 'BAD_USER_INPUT' });
      const all = await call('POST', '/dead-letters/redrive?code=FORBIDDEN');

      const until = expect.any(String);
      expect(await none.json()).toEqual({ redriven: 0, invalid: 0, more: false, until });
      expect([all.status, await all.json()]).toEqual([
        202,
        { redriven: 5, invalid: 0, more: false, until },
      ]);
      for (const id of ids) await waitForState(id, 'delivered');
    });

    it('several redrives → the attempts before each of them are kept', async () => {
      const { seek, redrive, until, untilDeadLettered, id } = await setupDead();
      seek.answerWith([refused('BAD_USER_INPUT'), html(502)]);

      await redrive(id);
      const deadLetter = await untilDeadLettered(id, 1);
      await redrive(id);
      const record = await until(id, 'delivered');

      expect(deadLetter).toMatchObject({ code: 'BAD_USER_INPUT', redrives: 1 });
      expect(deadLetter.attempts.map(({ code }) => code)).toEqual(['FORBIDDEN', 'BAD_USER_INPUT']);
      expect(record.redrives).toBe(2);
      expect(record.attempts.map(({ outcome }) => outcome)).toEqual([
        'dead',
        'dead',
        'retry',
        'delivered',
      ]);
      expect(record.attempts.map(({ requestId }) => requestId)).toEqual(
        header(seek.requests, 'x-request-id'),
      );
    });

    it('discarded dead letter → skipped, with the reason', async () => {
      const { call, find, id, status } = await setupDead();
      const { counts } = await status();

      const answer = await call('DELETE', `/dead-letters/${id}?reason=hirer%20left`);

      expect(answer.status).toBe(204);
      const record = await find(id);
      expect(record).toMatchObject({ state: 'skipped', redrives: 0 });
      expect(record?.reason).toMatch(/^discarded at \S+ by ats: hirer left$/);
      expect(record?.attempts).toHaveLength(1);
      expect((await status()).counts).toEqual({
        ...counts,
        dead: counts.dead - 1,
        skipped: counts.skipped + 1,
      });
      expect((await call('DELETE', `/dead-letters/${id}`)).status).toBe(404);
    });
  });
});
