import { deadLetterJobOptions } from '../../src/queue/jobOptions.ts';
import { DEAD_LETTER_VERSION } from '../../src/schemas/deadLetter.ts';
import { SIGNAL_JOB_VERSION } from '../../src/schemas/signalJob.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { onRedis, PLATFORMS } from '../support/platforms.ts';
import {
  delivered,
  empty,
  html,
  refused,
  reset,
  type ScriptedAnswer,
  slow,
} from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';

const { setup } = usePlatform(onRedis);

const complete = (token = newToken()) => buildApplicationComplete({ token });
const many = (count: number) => Array.from({ length: count }, () => complete());

/** Counts the concurrent requests at SEEK. Reset `max` to start a new count. */
const countConcurrent = (answer: () => ScriptedAnswer) => {
  let inFlight = 0;
  const concurrent = { max: 0 };
  const counted = (): ScriptedAnswer => (response, socket) => {
    inFlight += 1;
    concurrent.max = Math.max(concurrent.max, inFlight);
    response.once('close', () => {
      inFlight -= 1;
    });
    slow(20, answer())(response, socket);
  };
  return { concurrent, counted };
};

/** Half of all numbers, and half of every second, fourth … number: signals that take turns fare alike. */
const isRefused = (number: number): boolean =>
  [...number.toString(2)].filter((bit) => bit === '1').length % 2 === 1;

describe('the circuit breaker', () => {
  it.each([
    ['HTTP_503', () => html(503)],
    ['INTERNAL_SERVER_ERROR', () => refused('INTERNAL_SERVER_ERROR')],
    ['UNREACHABLE', () => reset()],
    ['HTTP_200', () => empty()],
    ['UNAUTHENTICATED', () => refused('UNAUTHENTICATED')],
  ])(
    'opens for all workers when SEEK is down (%s), and probes with one signal at a time',
    async (code, answer) => {
      let down = true;
      const { concurrent, counted } = countConcurrent(answer);
      const { seek, sendAll, until, status, logs } = await setup({
        workers: 3,
        env: { WORKER_CONCURRENCY: '5' },
        answers: () => (down ? counted() : delivered()),
      });

      const accepted = await sendAll(many(60));
      const delivery = await waitFor(async () => {
        const now = (await status()).delivery;
        return now.state === 'suspended' && now;
      });
      expect(delivery).toMatchObject({
        code,
        since: expect.any(String),
        reason: expect.any(String),
      });

      // By the third probe every worker has read the state, and no earlier request is in flight.
      await waitFor(() => logs.lines().filter(({ msg }) => msg === 'delivery.probed').length >= 3);
      concurrent.max = 0;
      const before = seek.requests.length;
      await waitFor(() => seek.requests.length >= before + 4);
      // An UNAUTHENTICATED probe is two requests, one after the other.
      expect(concurrent.max).toBe(1);

      down = false;
      const records = [];
      for (const { signalId } of accepted) records.push(await until(signalId, 'delivered'));
      const attempts = records.reduce((sum, record) => sum + record.attempts.length, 0);
      expect(attempts).toBeLessThanOrEqual(seek.requests.length);
      // Far fewer than were waiting: a signal that was not sent has spent no attempt.
      expect(records.filter((record) => record.attempts.length > 1).length).toBeLessThan(45);
      expect((await status()).delivery).toEqual({ state: 'running' });
      const lines = logs.lines().map(({ msg }) => msg);
      expect(lines.filter((msg) => msg === 'delivery.suspended')).toHaveLength(1);
      expect(lines.filter((msg) => msg === 'delivery.resumed')).toHaveLength(1);
    },
  );

  it('probes with another signal each time, so that no signal uses up its attempts', async () => {
    let down = true;
    const { seek, sendAll, status } = await setup({
      env: { RETRY_BASE_MS: '60000', RETRY_MAX_MS: '60000', WORKER_CONCURRENCY: '5' },
      answers: () => (down ? html(503) : delivered()),
    });

    await sendAll(many(30));
    await waitFor(async () => (await status()).delivery.state === 'suspended');
    await waitFor(() => seek.requests.length >= 12);
    down = false;
    await waitFor(async () => (await status()).counts.delivered >= 15);

    const tokens = seek.inputs().map((input) => JSON.stringify(input));
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('stays closed when only one signal fails, however often', async () => {
    const failingToken = newToken();
    const { sendAll, until, untilDeadLettered, send, logs } = await setup({
      env: { RETRY_MAX_ATTEMPTS: '8' },
      answers: ({ text }) => (text.includes(failingToken) ? html(500) : delivered()),
    });

    const { signalId } = await send(complete(failingToken));
    const deadLetter = await untilDeadLettered(signalId);
    const others = await sendAll(many(20));
    for (const other of others) await until(other.signalId, 'delivered');

    expect(deadLetter).toMatchObject({ code: 'HTTP_500' });
    expect(deadLetter.attempts).toHaveLength(8);
    expect(logs.lines().some(({ msg }) => msg === 'delivery.suspended')).toBe(false);
  });

  it('a firewall that refuses half of all requests (403) → every signal is delivered', async () => {
    const { sendAll, until } = await setup({
      env: { RETRY_BASE_MS: '20', BATCH_SIZE: '1' },
      answers: (_, number) => (isRefused(number) ? html(403) : delivered()),
    });

    for (const { signalId } of await sendAll(many(100))) await until(signalId, 'delivered');
  });

  it.each([403, 404, 407, 431])(
    'a gateway that answers the partner token with HTTP %i → a new one is taken before the probe',
    async (status) => {
      const { seek, sendAll, until } = await setup({
        answers: ({ headers }) =>
          headers.authorization === 'Bearer partner-token-1' ? html(status) : delivered(),
      });

      for (const { signalId } of await sendAll(many(10))) await until(signalId, 'delivered');

      expect(seek.tokenRequests).toHaveLength(2);
    },
  );

  it('a gateway that refuses one signal (403) → a dead letter after eight attempts', async () => {
    const failingToken = newToken();
    const { sendAll, until, untilDeadLettered, send, seek } = await setup({
      env: { RETRY_BASE_MS: '10' },
      answers: ({ text }) => (text.includes(failingToken) ? html(403) : delivered()),
    });

    const { signalId } = await send(complete(failingToken));
    const deadLetter = await untilDeadLettered(signalId);
    for (const other of await sendAll(many(20))) await until(other.signalId, 'delivered');

    expect(deadLetter).toMatchObject({ code: 'HTTP_403' });
    expect(deadLetter.attempts).toHaveLength(8);
    expect(seek.tokenRequests.length).toBeLessThanOrEqual(2);
  });

  it('opens for the Retry-After of a rate limit, and spends no attempt', async () => {
    const times: number[] = [];
    let limited = 0;
    const { sendAll, until, status, logs } = await setup({
      workers: 2,
      env: { RETRY_MAX_ATTEMPTS: '1', WORKER_CONCURRENCY: '5' },
      answers: (_, number) => {
        times.push(performance.now());
        if (number <= 5 || limited >= 30) return delivered();
        limited += 1;
        return number % 2 === 0
          ? refused('RATE_LIMITED', { headers: { 'retry-after': '1' } })
          : html(429, { 'retry-after': '1' });
      },
    });

    const accepted = await sendAll(many(40));
    const delivery = await waitFor(async () => {
      const now = (await status()).delivery;
      return now.state === 'suspended' && now;
    });
    expect(['RATE_LIMITED', 'HTTP_429']).toContain(delivery.code);
    limited = 30;
    for (const { signalId } of accepted) {
      const record = await until(signalId, 'delivered');
      expect(record.attempts).toHaveLength(1);
    }

    const suspension = logs.lines().find(({ msg }) => msg === 'delivery.suspended');
    expect(suspension).toMatchObject({ limitedAt: expect.any(Number) });
    const gaps = times.map((at, index) => at - (times[index - 1] ?? at));
    expect(Math.max(...gaps)).toBeGreaterThan(900);
  });

  it('stays closed and throttles after a rate limit without Retry-After', async () => {
    const { sendAll, until, logs } = await setup({
      env: { RETRY_MAX_ATTEMPTS: '1', WORKER_CONCURRENCY: '5' },
      answers: (_, number) => (number % 4 === 0 ? refused('RATE_LIMITED') : delivered()),
    });

    for (const { signalId } of await sendAll(many(20))) {
      expect((await until(signalId, 'delivered')).attempts).toHaveLength(1);
    }

    const messages = logs.lines().map(({ msg }) => msg);
    expect(messages).toContain('delivery.throttled');
    expect(messages).not.toContain('delivery.suspended');
  });

  it('moves a rate-limited signal over the maximum age to the dead letters, though it spent no attempt', async () => {
    const { send, untilDeadLettered } = await setup({
      env: { RETRY_MAX_AGE_MS: '1' },
      answers: () => refused('RATE_LIMITED', { message: 'Slow down' }),
    });

    const { signalId } = await send(complete());
    const deadLetter = await untilDeadLettered(signalId);

    expect(deadLetter.code).toBe('RATE_LIMITED');
    expect(deadLetter.reason).toMatch(/Slow down \(given up after/);
  });

  it('opens for rejected credentials → one error line, no attempts, and few token requests', async () => {
    let rejected = true;
    const { seek, sendAll, until, status, logs } = await setup({
      workers: 2,
      env: { DELIVERY_SUSPEND_MAX_MS: '500' },
      token: () => (rejected ? refused('access_denied', { status: 401 }) : undefined),
    });

    const accepted = await sendAll(many(20));
    const delivery = await waitFor(async () => {
      const now = (await status()).delivery;
      return now.state === 'suspended' && now;
    });
    await waitFor(() => seek.tokenRequests.length >= 4);
    expect(delivery).toMatchObject({
      code: 'CREDENTIALS_REFUSED',
      reason: 'token endpoint: HTTP 401',
    });
    expect(seek.requests).toHaveLength(0);

    rejected = false;
    for (const { signalId } of accepted) {
      expect((await until(signalId, 'delivered')).attempts).toHaveLength(1);
    }
    const resumed = logs.lines().find(({ msg }) => msg === 'delivery.resumed');
    // One by each worker that found the failure, then one per pause.
    expect(seek.tokenRequests.length).toBeLessThan(6 + Number(resumed?.suspendedForMs) / 400);
    const errors = logs.lines().filter(({ level }) => level === 'error');
    expect(errors[0]).toMatchObject({
      msg: 'SEEK refuses SEEK_CLIENT_ID and SEEK_CLIENT_SECRET',
    });
    expect(logs.text()).not.toContain('scripted-client-secret');
  });

  it('limits the requests of all workers together to RATE_LIMIT_PER_SECOND', async () => {
    const times: number[] = [];
    const { sendAll, until } = await setup({
      workers: 2,
      env: { RATE_LIMIT_PER_SECOND: '20' },
      answers: (_, number) => {
        times.push(performance.now());
        // The request that is repeated with a new partner token counts too.
        return number === 1 ? refused('UNAUTHENTICATED') : delivered();
      },
    });

    const startedAt = performance.now();
    for (const { signalId } of await sendAll(many(14))) await until(signalId, 'delivered');

    // At least 15 requests have at least 14 gaps of 50 ms.
    expect(times.length).toBeGreaterThanOrEqual(15);
    expect((times.at(-1) ?? 0) - startedAt).toBeGreaterThan((times.length - 1) * 50 - 10);
  });
});

describe.each(PLATFORMS)('without an attempt, on $name', ({ start }) => {
  const { setup: setupOn } = usePlatform(start);

  it('a signal of a newer version → unchanged, and other signals are delivered', async () => {
    const { send, until, openBackend, find } = await setupOn();
    const queue = await openBackend().queue('signals');
    const data = { version: SIGNAL_JOB_VERSION + 1, signal: { shape: 'unknown' } };

    await queue.add('ApplicationComplete', data, { jobId: 'from-the-future' });
    const { signalId } = await send(complete());
    await until(signalId, 'delivered');
    await waitFor(async () => (await queue.getJobState('from-the-future')) === 'delayed');

    const job = await queue.getJob('from-the-future');
    expect(job?.data).toEqual(data);
    expect(job?.attemptsMade).toBe(0);
    expect(await find('from-the-future')).toMatchObject({ state: 'retrying', attempts: [] });
  });

  it('a dead letter of a newer version → failed with its reason, and unchanged after a retry', async () => {
    const { openBackend, startWorker } = await setupOn({ workers: 0 });
    const deadLetters = await openBackend().queue('dead-letters');
    const data = {
      version: DEAD_LETTER_VERSION + 1,
      code: 'BAD_USER_INPUT',
      reason: 'Is not valid',
      shape: 'unknown',
    };
    await deadLetters.add(
      'ApplicationComplete',
      data,
      deadLetterJobOptions('dead-letter-from-the-future'),
    );

    await startWorker();
    const failed = await waitFor(async () => {
      const state = await deadLetters.getJobState('dead-letter-from-the-future');
      return state === 'failed' && (await deadLetters.getJob('dead-letter-from-the-future'));
    });
    expect(failed.failedReason).toBe('BAD_USER_INPUT: Is not valid');
    await failed.retry('failed');
    await waitFor(async () => (await failed.getState()) === 'delayed');

    expect((await deadLetters.getJob('dead-letter-from-the-future'))?.data).toEqual(data);
  });

  it('a rate-limited signal → delivered with one attempt', async () => {
    const { send, until } = await setupOn({
      env: { RETRY_MAX_ATTEMPTS: '1' },
      answers: [refused('RATE_LIMITED', { status: 429 }), html(429)],
    });

    const { signalId } = await send(complete());

    expect((await until(signalId, 'delivered')).attempts).toHaveLength(1);
  });
});
