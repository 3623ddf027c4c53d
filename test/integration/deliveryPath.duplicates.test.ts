import { PLATFORMS } from '../support/platforms.ts';
import { html, refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';
import { bullQueues, complete, FOREVER } from './deliveryPathHelpers.ts';

describe.each(PLATFORMS)('path of a duplicate on $name', ({ start }) => {
  const { setup } = usePlatform(start);

  describe('duplicates', () => {
    it('same signal twice → sent once, the second answer has its state', async () => {
      const { seek, send, until } = await setup();
      const signal = complete();

      const first = await send(signal);
      await until(first.signalId, 'delivered');
      const second = await send(signal);

      expect(first).toEqual({ signalId: first.signalId, duplicate: false, state: 'waiting' });
      expect(second).toEqual({ signalId: first.signalId, duplicate: true, state: 'delivered' });
      expect(seek.requests).toHaveLength(1);
    });

    it('same signal from twenty callers at once → one is no duplicate, sent once', async () => {
      const { seek, send, until } = await setup();
      const signal = complete();

      const answers = await Promise.all(Array.from({ length: 20 }, () => send(signal)));
      const [{ signalId } = { signalId: '' }] = answers;
      await until(signalId, 'delivered');

      expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
      expect(new Set(answers.map((answer) => answer.signalId)).size).toBe(1);
      expect(seek.requests).toHaveLength(1);
    });

    it('delivered job removed from the queue → still a duplicate', async () => {
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

    it('duplicate of a dead signal → state dead, nothing is queued', async () => {
      const { seek, send, untilDeadLettered } = await setup({ answers: [refused('FORBIDDEN')] });
      const signal = complete();
      const { signalId } = await send(signal);
      await untilDeadLettered(signalId);

      expect(await send(signal)).toEqual({ signalId, duplicate: true, state: 'dead' });
      expect(seek.requests).toHaveLength(1);
    });

    it('duplicate of a retrying signal → state retrying', async () => {
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

    it('same Idempotency-Key with other content → 409, nothing is queued', async () => {
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
});
