import { type Backend, DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';

import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSeekSample,
  buildSignal,
  buildSignalJob,
} from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import {
  after,
  cutOff,
  delivered,
  hang,
  html,
  type RecordedRequest,
  raw,
  refused,
  reset,
} from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const FOREVER = '3600000';

const header = (requests: RecordedRequest[], name: string) =>
  requests.map(({ headers }) => headers[name]);
const inputOf = ({ text }: RecordedRequest): Record<string, unknown> =>
  JSON.parse(text).variables.input;
const complete = (token = newToken()) => buildApplicationComplete({ token });
const gate = () => {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
};

/** In BullMQ's own words, as the board or anybody else's program would. */
const bullQueues = async (backend: Backend) => ({
  signals: await backend.bullQueue(SIGNALS),
  deadLetters: await backend.bullQueue(DEAD_LETTERS),
});

describe.each(PLATFORMS)('the path of a signal on $name', ({ start }) => {
  const { setup, stop } = usePlatform(start);

  describe('delivery', () => {
    it('delivers every type at once, with the variables as they came and one partner token', async () => {
      const { seek, send, until, tokenOf } = { ...(await setup()), tokenOf: newToken() };
      const sample = { ...buildSeekSample(), token: newToken() };
      const sent = [
        complete(tokenOf),
        buildSignal({ token: newToken() }),
        sample,
        buildPositionStatusUpdate({ positionProfileIds: ['position-a', 'position-b'] }),
      ];

      const accepted = await Promise.all(sent.map((signal) => send(signal)));
      for (const { signalId } of accepted) await until(signalId, 'delivered');

      expect(accepted.every(({ duplicate }) => !duplicate)).toBe(true);
      const inputs = seek.requests.map(inputOf);
      expect(inputs).toHaveLength(4);
      expect(inputs).toEqual(
        expect.arrayContaining([
          ...[sent[0], sent[1], sent[3]],
          { ...sample, positionProfileIds: [sample.positionProfileIds] },
        ]),
      );
      const requestIds = header(seek.requests, 'x-request-id');
      expect(new Set(requestIds).size).toBe(4);
      for (const id of requestIds) expect(id).toMatch(UUID);
      expect(seek.tokenRequests).toHaveLength(1);
      expect(new Set(header(seek.requests, 'authorization'))).toEqual(
        new Set(['Bearer partner-token-1']),
      );
    });

    it('tells the life of a delivered signal, without its token', async () => {
      const { seek, send, until, logs } = await setup();
      const token = newToken();

      const { signalId } = await send(complete(token));
      const record = await until(signalId, 'delivered');

      expect(record).toEqual({
        ...{ signalId, typeCode: 'ApplicationComplete', state: 'delivered', redrives: 0 },
        acceptedAt: expect.any(String),
        acceptedFrom: 'ats',
        attempts: [
          {
            at: expect.any(String),
            requestId: header(seek.requests, 'x-request-id')[0],
            outcome: 'delivered',
            durationMs: expect.any(Number),
          },
        ],
      });
      await stop();
      expect(logs.text()).not.toContain(token);
      expect(logs.text()).not.toContain('partner-token-1');
      expect(logs.text()).not.toContain('scripted-client-secret');
    });

    it.each([
      ['an internal error', refused('INTERNAL_SERVER_ERROR', { status: 500 })],
      ['a reset connection', reset()],
      ['a page of HTML', html(502)],
      ['an answer cut off', cutOff()],
      ['an empty 200', raw('')],
    ])('delivers after two attempts that ended in %s', async (_, failure) => {
      const { seek, send, until } = await setup({ answers: [failure, failure] });

      const { signalId } = await send(complete());
      const { attempts } = await until(signalId, 'delivered');

      expect(attempts.map(({ outcome }) => outcome)).toEqual(['retry', 'retry', 'delivered']);
      expect(attempts.map(({ requestId }) => requestId)).toEqual(
        header(seek.requests, 'x-request-id'),
      );
      expect(new Set(header(seek.requests, 'x-request-id')).size).toBe(3);
    });

    it('renews a partner token that SEEK no longer takes, and repeats within the attempt', async () => {
      const { seek, send, until } = await setup({ answers: [refused('UNAUTHENTICATED')] });

      const { signalId } = await send(complete());
      const { attempts } = await until(signalId, 'delivered');

      expect(attempts).toHaveLength(1);
      expect(header(seek.requests, 'authorization')).toEqual([
        'Bearer partner-token-1',
        'Bearer partner-token-2',
      ]);
      expect(seek.tokenRequests).toHaveLength(2);
    });

    it('sends twenty signals whose token has expired with one new token', async () => {
      const { seek, sendAll, until } = await setup({
        answers: ({ headers }) =>
          headers.authorization === 'Bearer partner-token-1'
            ? refused('UNAUTHENTICATED')
            : delivered(),
      });

      const accepted = await sendAll(Array.from({ length: 20 }, () => complete()));
      const lookup = await Promise.all(
        accepted.map(({ signalId }) => until(signalId, 'delivered')),
      );

      expect(lookup.map(({ attempts }) => attempts.length)).toEqual(Array(20).fill(1));
      expect(seek.tokenRequests).toHaveLength(2);
    });
  });

  describe('burial', () => {
    it('buries what SEEK refuses after one attempt, with all that there is to know', async () => {
      const token = newToken();
      const { seek, send, untilBuried, until, find, logs } = await setup({
        answers: [
          refused('BAD_USER_INPUT', {
            message: 'Input validation failed',
            extensions: { invalidFields: { '/input/token': `Is not valid: ${token}` } },
          }),
        ],
      });

      const { signalId } = await send(complete(token));
      const deadLetter = await untilBuried(signalId);

      const [requestId] = header(seek.requests, 'x-request-id');
      const reason = 'Input validation failed; /input/token: Is not valid: [masked]';
      expect(deadLetter).toEqual({
        ...{ signalId, typeCode: 'ApplicationComplete', redrives: 0 },
        ...{ code: 'BAD_USER_INPUT', reason },
        ...{ acceptedAt: expect.any(String), diedAt: expect.any(String) },
        attempts: [
          {
            ...{ at: expect.any(String), durationMs: expect.any(Number), requestId },
            ...{ outcome: 'dead', code: 'BAD_USER_INPUT', reason },
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

    it('keeps the whole signal in the letter, so that a redrive has what to send', async () => {
      const { backend, send, untilBuried } = await setup({ answers: [refused('FORBIDDEN')] });
      const token = newToken();

      const { signalId } = await send(complete(token));
      await untilBuried(signalId);

      const { deadLetters } = await bullQueues(backend);
      const deadLetter = await deadLetters.getJob(signalId);
      expect(deadLetter?.data.job.signal).toEqual(complete(token));
      expect(deadLetter?.failedReason).toBe('FORBIDDEN: FORBIDDEN');
    });

    it('buries after the last attempt what keeps failing under a code nobody knows', async () => {
      const { seek, send, untilBuried } = await setup({
        answers: () => refused('SOMETHING_NEW', { message: 'No idea' }),
        env: { RETRY_MAX_ATTEMPTS: '3' },
      });

      const { signalId } = await send(complete());
      const deadLetter = await untilBuried(signalId);

      expect(deadLetter.code).toBe('SOMETHING_NEW');
      expect(deadLetter.reason).toContain('No idea');
      expect(deadLetter.attempts.map(({ outcome }) => outcome)).toEqual(['retry', 'retry', 'dead']);
      expect(deadLetter.attempts.map(({ requestId }) => requestId)).toEqual(
        header(seek.requests, 'x-request-id'),
      );
      expect(seek.requests).toHaveLength(3);
    });

    it('buries what is never authenticated after attempts that lie further and further apart', async () => {
      const { seek, send, untilBuried, logs } = await setup({
        answers: () => refused('UNAUTHENTICATED'),
        env: { RETRY_MAX_ATTEMPTS: '5', RETRY_BASE_MS: '40', RETRY_MAX_MS: '5000' },
      });

      const { signalId } = await send(complete());
      const { code, attempts } = await untilBuried(signalId);

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
      const began = attempts.map(({ at }) => Date.parse(at));
      waits.forEach((wait, n) => {
        expect((began[n + 1] ?? 0) - (began[n] ?? 0)).toBeGreaterThanOrEqual(wait - 2);
      });
    });

    it('buries what has grown too old, however few its attempts', async () => {
      const { send, untilBuried } = await setup({
        answers: () => refused('INTERNAL_SERVER_ERROR'),
        env: { RETRY_MAX_AGE_MS: '60', RETRY_MAX_ATTEMPTS: '1000' },
      });

      const { signalId } = await send(complete());
      const deadLetter = await untilBuried(signalId);

      expect(deadLetter.code).toBe('INTERNAL_SERVER_ERROR');
      expect(deadLetter.reason).toMatch(/given up after \d+ seconds/);
      expect(deadLetter.attempts.length).toBeLessThan(60);
    });

    it('counts the age anew after a redrive', async () => {
      let broken = true;
      const { send, untilBuried, redrive, until } = await setup({
        answers: (_, number) =>
          broken || number % 2 === 0 ? refused('INTERNAL_SERVER_ERROR') : delivered(),
        env: { RETRY_MAX_AGE_MS: '400', RETRY_BASE_MS: '50', RETRY_MAX_MS: '50' },
      });
      const { signalId } = await send(complete());
      const { attempts } = await untilBuried(signalId);

      broken = attempts.length % 2 !== 0;
      await redrive(signalId);
      broken = false;

      expect((await until(signalId, 'delivered')).redrives).toBe(1);
    });
  });

  describe('duplicates', () => {
    it('takes the same signal once, and says where it is', async () => {
      const { seek, send, until } = await setup();
      const signal = complete();

      const first = await send(signal);
      await until(first.signalId, 'delivered');
      const second = await send(signal);

      expect(first).toEqual({ signalId: first.signalId, duplicate: false, state: 'waiting' });
      expect(second).toEqual({ signalId: first.signalId, duplicate: true, state: 'delivered' });
      expect(seek.requests).toHaveLength(1);
    });

    it('tells one of twenty racing callers that it was first, and sends once', async () => {
      const { seek, send, until } = await setup();
      const signal = complete();

      const answers = await Promise.all(Array.from({ length: 20 }, () => send(signal)));
      const [{ signalId } = { signalId: '' }] = answers;
      await until(signalId, 'delivered');

      expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
      expect(new Set(answers.map((answer) => answer.signalId)).size).toBe(1);
      expect(seek.requests).toHaveLength(1);
    });

    it('still knows a delivered signal that was evicted from the queue', async () => {
      const { seek, backend, send, until } = await setup({ env: { KEEP_DELIVERED_COUNT: '1' } });
      const signal = complete();
      const { signalId } = await send(signal);
      await until(signalId, 'delivered');
      const { signals } = await bullQueues(backend);
      for (let sent = 0; sent < 3; sent += 1) {
        await until((await send(complete())).signalId, 'delivered');
      }
      expect(await signals.getJobState(signalId)).toBe('unknown');

      expect(await send(signal)).toEqual({ signalId, duplicate: true, state: 'delivered' });
      expect(seek.requests).toHaveLength(4);
    });

    it('says dead of a dead one, and queues nothing', async () => {
      const { seek, send, untilBuried } = await setup({ answers: [refused('FORBIDDEN')] });
      const signal = complete();
      const { signalId } = await send(signal);
      await untilBuried(signalId);

      expect(await send(signal)).toEqual({ signalId, duplicate: true, state: 'dead' });
      expect(seek.requests).toHaveLength(1);
    });

    it('says retrying of one that waits for its next attempt', async () => {
      const { send, until } = await setup({
        answers: () => html(503),
        env: { RETRY_BASE_MS: FOREVER, RETRY_MAX_MS: FOREVER },
      });
      const signal = complete();
      const { signalId } = await send(signal);
      const { nextAttemptAt } = await until(signalId, 'retrying');

      expect(await send(signal)).toEqual({ signalId, duplicate: true, state: 'retrying' });
      expect(Date.parse(nextAttemptAt ?? '')).toBeGreaterThan(Date.now() + 1_000_000);
    });

    it('refuses other content under the same Idempotency-Key, and queues nothing', async () => {
      const { seek, call, send, until } = await setup();
      const headers = { 'idempotency-key': `key of ${newToken()}` };
      const signal = complete();

      const first = await send(signal, headers);
      const again = await send(signal, headers);
      const other = await call('POST', '/signals', complete(), headers);
      await until(first.signalId, 'delivered');

      expect(again).toMatchObject({ signalId: first.signalId, duplicate: true });
      expect(other.status).toBe(409);
      expect(await other.json()).toMatchObject({ signalId: first.signalId });
      expect(seek.requests).toHaveLength(1);
    });
  });

  describe('jobs that somebody else put into the queue', () => {
    it('buries unreadable ones under ids of every kind, and goes on', async () => {
      const { seek, backend, deadLetters, send, until, untilBuried } = await setup();
      const { signals } = await bullQueues(backend);

      const anonymous = await signals.add('mail', { to: 'somebody' });
      const { id: named = '' } = await signals.add('mail', 'text', { jobId: 'somebody-elses' });
      expect(anonymous.id).toMatch(/^\d+$/);
      const [first] = [await untilBuried(`job-${anonymous.id}`), await untilBuried(named)];
      const { signalId } = await send(complete());
      await until(signalId, 'delivered');

      expect(first).toMatchObject({ code: 'UNREADABLE', typeCode: 'unknown', attempts: [] });
      expect(first.reason).not.toBe('');
      expect((await deadLetters()).map((deadLetter) => deadLetter.signalId).toSorted()).toEqual(
        [`job-${anonymous.id}`, named].toSorted(),
      );
      expect(await signals.getJobCounts('failed', 'waiting', 'delayed')).toEqual({
        ...{ failed: 0, waiting: 0, delayed: 0 },
      });
      expect(seek.requests).toHaveLength(1);
    });

    it('buries one of a newer version again when it is redriven as it was', async () => {
      const { backend, redrive, untilBuried, logs } = await setup({
        env: { RETRY_MAX_AGE_MS: '1' },
      });
      const { signals } = await bullQueues(backend);
      const { id } = await signals.add('mail', { version: 99, to: 'somebody' });
      const { diedAt } = await untilBuried(`job-${id}`);

      expect(await redrive(`job-${id}`)).toBe(202);

      await waitFor(
        () => logs.lines().filter(({ msg }) => msg === 'signal.deadLettered').length === 2,
      );
      const deadLetter = await untilBuried(`job-${id}`);
      expect(Date.parse(deadLetter.diedAt)).toBeGreaterThanOrEqual(Date.parse(diedAt));
      expect(deadLetter.code).toBe('UNREADABLE');
    });

    it('does not put back an unreadable one', async () => {
      const { backend, call, untilBuried } = await setup();
      const { signals } = await bullQueues(backend);
      const { id } = await signals.add('mail', { to: 'somebody' });
      const before = await untilBuried(`job-${id}`);

      const answer = await call('POST', `/dead-letters/job-${id}/redrive`);

      expect(answer.status).toBe(422);
      expect(JSON.parse(await answer.text())).toMatchObject({
        invalidFields: { '/signal': expect.any(String) },
      });
      expect(await untilBuried(`job-${id}`)).toEqual(before);
    });

    it('retries a signal whose job says attempts: 1 and has no backoff', async () => {
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

    it('buries and redrives a readable one that has a number for an id', async () => {
      const { seek, backend, redrive, until, untilBuried } = await setup({
        answers: [refused('FORBIDDEN')],
      });
      const { signals } = await bullQueues(backend);
      const signal = complete();
      const job = buildSignalJob({ signal, acceptedAt: new Date().toISOString() });

      const { id } = await signals.add('ApplicationComplete', job);
      await untilBuried(`job-${id}`);
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
      for (const id of ids) await dispatcher.untilBuried(id);
      dispatcher.seek.answerWith([]);
      return { ...dispatcher, ids, id: ids[0] ?? '', ...(await bullQueues(dispatcher.backend)) };
    };

    it('delivers over the API under the same id, once the cause is gone', async () => {
      const { seek, redrive, until, id, deadLetters, call } = await setupDead();

      expect(await redrive(id)).toBe(202);
      const record = await until(id, 'delivered');

      expect(record.redrives).toBe(1);
      expect(seek.requests).toHaveLength(2);
      await waitFor(async () => (await deadLetters.getJobState(id)) === 'unknown');
      expect((await call('GET', `/dead-letters/${id}`)).status).toBe(404);
      expect(await redrive(id)).toBe(404);
    });

    it("delivers by the board's Retry of one letter", async () => {
      const { until, id, deadLetters } = await setupDead();

      await (await deadLetters.getJob(id))?.retry('failed');

      expect((await until(id, 'delivered')).redrives).toBe(1);
    });

    it("delivers by the board's Retry all", async () => {
      const { seek, until, ids, deadLetters } = await setupDead(30);

      for (const deadLetter of await deadLetters.getJobs(['failed']))
        await deadLetter.retry('failed');

      for (const id of ids) expect((await until(id, 'delivered')).redrives).toBe(1);
      expect(seek.requests).toHaveLength(60);
      await waitFor(async () => (await deadLetters.getJobCountByTypes('failed', 'active')) === 0);
    });

    it('delivers all that a filter takes', async () => {
      const { call, until: untilIs, ids } = await setupDead(5);

      const none = await call('POST', '/dead-letters/redrive', { code: 'BAD_USER_INPUT' });
      const all = await call('POST', '/dead-letters/redrive?code=FORBIDDEN');

      const until = expect.any(String);
      expect(await none.json()).toEqual({ redriven: 0, invalid: 0, more: false, until });
      expect([all.status, await all.json()]).toEqual([
        ...[202, { redriven: 5, invalid: 0, more: false, until }],
      ]);
      for (const id of ids) await untilIs(id, 'delivered');
    });

    it('keeps the attempts of every life', async () => {
      const { seek, redrive, until, untilBuried, id } = await setupDead();
      seek.answerWith([refused('BAD_USER_INPUT'), html(502)]);

      await redrive(id);
      const deadLetter = await untilBuried(id, 1);
      await redrive(id);
      const record = await until(id, 'delivered');

      expect(deadLetter).toMatchObject({ code: 'BAD_USER_INPUT', redrives: 1 });
      expect(deadLetter.attempts.map(({ code }) => code)).toEqual(['FORBIDDEN', 'BAD_USER_INPUT']);
      expect(record.redrives).toBe(2);
      expect(record.attempts.map(({ outcome }) => outcome)).toEqual([
        ...['dead', 'dead', 'retry', 'delivered'],
      ]);
      expect(record.attempts.map(({ requestId }) => requestId)).toEqual(
        header(seek.requests, 'x-request-id'),
      );
    });

    it('lets go of a discarded letter, and says why', async () => {
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
        ...{ dead: counts.dead - 1, skipped: counts.skipped + 1 },
      });
      expect((await call('DELETE', `/dead-letters/${id}`)).status).toBe(404);
    });
  });

  describe('status', () => {
    it('counts a signal where it is, and names the oldest that SEEK does not have yet', async () => {
      const { open, opened } = gate();
      const retryForever = { RETRY_BASE_MS: FOREVER, RETRY_MAX_MS: FOREVER };
      const subject = await setup({ workers: 0, env: retryForever });
      const { seek, status, send, startWorker, until, untilBuried, call } = subject;
      const { counts: before } = await status();
      const grown = async () => {
        const { counts, oldestUnsent } = await status();
        return {
          ...Object.fromEntries(
            Object.entries(counts)
              .map(([state, n]) => [state, n - Reflect.get(before, state)] as const)
              .filter(([, n]) => n !== 0),
          ),
          oldest: oldestUnsent?.signalId,
        };
      };

      const { signalId: first } = await send(complete());
      expect(await grown()).toEqual({ waiting: 1, oldest: first });

      seek.answerWith([html(503)]);
      await startWorker();
      await until(first, 'retrying');
      expect(await grown()).toEqual({ retrying: 1, oldest: first });

      seek.answerWith([after(opened, delivered())]);
      const { signalId: second } = await send(complete());
      await until(second, 'active');
      expect(await grown()).toEqual({ retrying: 1, active: 1, oldest: first });

      open();
      await until(second, 'delivered');
      await waitFor(async () => Reflect.get(await grown(), 'delivered') === 1);
      expect(await grown()).toEqual({ retrying: 1, delivered: 1, oldest: first });

      seek.answerWith([refused('FORBIDDEN')]);
      const { signalId: third } = await send(complete());
      await untilBuried(third);
      expect(await grown()).toEqual({ retrying: 1, delivered: 1, dead: 1, oldest: first });

      await call('DELETE', `/dead-letters/${third}`);
      expect(await grown()).toEqual({ retrying: 1, delivered: 1, skipped: 1, oldest: first });
    });

    it('names a redriven signal by its first acceptance, and nobody once all are settled', async () => {
      const { seek, send, status, until, untilBuried, redrive } = await setup({
        answers: [refused('FORBIDDEN')],
        env: { RETRY_BASE_MS: FOREVER, RETRY_MAX_MS: FOREVER },
      });
      const { signalId } = await send(complete());
      const { acceptedAt } = await untilBuried(signalId);
      expect((await status()).oldestUnsent).toBeUndefined();

      seek.answerWith([html(503)]);
      await redrive(signalId);
      await until(signalId, 'retrying');
      expect((await status()).oldestUnsent).toMatchObject({ signalId, acceptedAt });
    });
  });

  describe('stopping', () => {
    it('hands a signal in mid-attempt back, with no attempt spent, to the next worker', async () => {
      const { seek, send, startWorker, until, find } = await setup({
        answers: [hang()],
        workers: 0,
      });
      const first = await startWorker();
      const { signalId } = await send(complete());
      await until(signalId, 'active');
      await waitFor(() => seek.requests.length === 1);

      await first.close();
      expect(await find(signalId)).toMatchObject({ state: 'waiting', attempts: [] });

      await startWorker();
      const { attempts } = await until(signalId, 'delivered');
      expect(attempts).toHaveLength(1);
      expect(seek.requests).toHaveLength(2);
    });

    it('lets an attempt end that ends in time, and takes no new signal', async () => {
      const { open, opened } = gate();
      const { seek, send, startWorker, until, find } = await setup({
        answers: [after(opened, delivered())],
        workers: 0,
      });
      const worker = await startWorker({ SHUTDOWN_TIMEOUT_MS: '20000', WORKER_CONCURRENCY: '1' });
      const [first, second] = [await send(complete()), await send(complete())];
      await until(first.signalId, 'active');
      await waitFor(() => seek.requests.length === 1);

      const closed = worker.close();
      open();
      await closed;

      expect((await find(first.signalId))?.state).toBe('delivered');
      expect((await find(second.signalId))?.state).toBe('waiting');
      expect(seek.requests).toHaveLength(1);
    });

    it('hands back what waits for a partner token that does not come', async () => {
      const { seek, send, startWorker, until, find } = await setup({
        token: [hang()],
        workers: 0,
      });
      const worker = await startWorker();
      const { signalId } = await send(complete());
      await waitFor(() => seek.tokenRequests.length === 1);

      await worker.close();
      expect(await find(signalId)).toMatchObject({ state: 'waiting', attempts: [] });

      await startWorker();
      expect((await until(signalId, 'delivered')).attempts).toHaveLength(1);
    });
  });
});
