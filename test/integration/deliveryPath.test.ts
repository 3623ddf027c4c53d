import { buildPositionStatusUpdate, buildSeekSample, buildSignal } from '../support/buildSignal.ts';
import { PLATFORMS } from '../support/platforms.ts';
import {
  after,
  cutOff,
  delivered,
  hang,
  html,
  raw,
  refused,
  reset,
} from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { waitFor } from '../support/waitFor.ts';
import { complete, FOREVER, gate, header, inputOf, UUID } from './deliveryPathHelpers.ts';

describe.each(PLATFORMS)('path of a signal on $name', ({ start }) => {
  const { setup, stop } = usePlatform(start);

  describe('delivery', () => {
    it('every signal type → delivered with its own values, with one partner token', async () => {
      const { seek, send, until } = await setup();
      const token = newToken();
      const sample = { ...buildSeekSample(), token: newToken() };
      const sent = [
        complete(token),
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
          sent[0],
          sent[1],
          sent[3],
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

    it('delivered signal → its record is complete, and no secret is in record or log', async () => {
      const { seek, send, until, logs } = await setup();
      const token = newToken();

      const { signalId } = await send(complete(token));
      const record = await until(signalId, 'delivered');

      expect(record).toEqual({
        signalId,
        typeCode: 'ApplicationComplete',
        state: 'delivered',
        redrives: 0,
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
    ])('two attempts end in %s → delivered by the third', async (_, failure) => {
      const { seek, send, until } = await setup({ answers: [failure, failure] });

      const { signalId } = await send(complete());
      const { attempts } = await until(signalId, 'delivered');

      expect(attempts.map(({ outcome }) => outcome)).toEqual(['retry', 'retry', 'delivered']);
      expect(attempts.map(({ requestId }) => requestId)).toEqual(
        header(seek.requests, 'x-request-id'),
      );
      expect(new Set(header(seek.requests, 'x-request-id')).size).toBe(3);
    });

    it('SEEK rejects the partner token → renewed, and repeated in the same attempt', async () => {
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

    it('SEEK rejects the partner token of twenty signals → one new token for all', async () => {
      const { seek, sendAll, until } = await setup({
        answers: ({ headers }) =>
          headers.authorization === 'Bearer partner-token-1'
            ? refused('UNAUTHENTICATED')
            : delivered(),
      });

      const accepted = await sendAll(Array.from({ length: 20 }, () => complete()));
      const records = await Promise.all(
        accepted.map(({ signalId }) => until(signalId, 'delivered')),
      );

      expect(records.map(({ attempts }) => attempts.length)).toEqual(Array(20).fill(1));
      expect(seek.tokenRequests).toHaveLength(2);
    });
  });

  describe('status', () => {
    it('signals in every state → counts by state, and the oldest unsent signal', async () => {
      const { open, opened } = gate();
      const retryForever = { RETRY_BASE_MS: FOREVER, RETRY_MAX_MS: FOREVER };
      const { seek, status, send, startWorker, until, untilDeadLettered, call } = await setup({
        workers: 0,
        env: retryForever,
      });
      const { counts: before } = await status();
      const difference = async () => {
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
      expect(await difference()).toEqual({ waiting: 1, oldest: first });

      seek.answerWith([html(503)]);
      await startWorker();
      await until(first, 'retrying');
      expect(await difference()).toEqual({ retrying: 1, oldest: first });

      seek.answerWith([after(opened, delivered())]);
      const { signalId: second } = await send(complete());
      await until(second, 'active');
      expect(await difference()).toEqual({ retrying: 1, active: 1, oldest: first });

      open();
      await until(second, 'delivered');
      await waitFor(async () => Reflect.get(await difference(), 'delivered') === 1);
      expect(await difference()).toEqual({ retrying: 1, delivered: 1, oldest: first });

      seek.answerWith([refused('FORBIDDEN')]);
      const { signalId: third } = await send(complete());
      await untilDeadLettered(third);
      expect(await difference()).toEqual({ retrying: 1, delivered: 1, dead: 1, oldest: first });

      await call('DELETE', `/dead-letters/${third}`);
      expect(await difference()).toEqual({ retrying: 1, delivered: 1, skipped: 1, oldest: first });
    });

    it('redriven signal → oldest unsent by its first acceptance; a dead one → none', async () => {
      const { seek, send, status, until, untilDeadLettered, redrive } = await setup({
        answers: [refused('FORBIDDEN')],
        env: { RETRY_BASE_MS: FOREVER, RETRY_MAX_MS: FOREVER },
      });
      const { signalId } = await send(complete());
      const { acceptedAt } = await untilDeadLettered(signalId);
      expect((await status()).oldestUnsent).toBeUndefined();

      seek.answerWith([html(503)]);
      await redrive(signalId);
      await until(signalId, 'retrying');
      expect((await status()).oldestUnsent).toMatchObject({ signalId, acceptedAt });
    });
  });

  describe('worker that stops', () => {
    it('during an attempt → the signal waits again without an attempt, the next worker delivers it', async () => {
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

    it('attempt ends within the grace period → delivered, and no new signal is taken', async () => {
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

    it('while waiting for a partner token → the signal waits again without an attempt', async () => {
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
