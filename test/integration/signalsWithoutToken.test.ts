import { createAcceptSignals } from '../../src/queue/acceptSignals.ts';
import { createLookup } from '../../src/queue/lookup.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import { DAY_MS, named, newApplication, useSeekTokens } from './setupSeekTokens.ts';

describe.each(PLATFORMS)('a signal without a seek token, on $name', ({ start }) => {
  const { setup } = useSeekTokens(start);

  it('whose application has none → is skipped with the reason no-token', async () => {
    const { send, until, seek, status, startWorker } = await setup({ workers: 0 });
    const { metrics } = await startWorker();
    const signal = named(newApplication());

    const { signalId } = await send(signal);

    expect(await until(signalId, 'skipped')).toMatchObject({
      reason: 'no-token',
      attempts: [{ outcome: 'skipped', reason: 'no-token' }],
    });
    expect(seek.requests).toEqual([]);
    expect((await status()).counts.dead).toBe(0);
    const counted = await waitFor(async () => /skipped_total\{.*/.exec(await metrics.scrape()));
    expect(counted[0]).toBe('skipped_total{reason="no-token"} 1');
    expect(await metrics.scrape()).not.toMatch(/delivered_total\{/);
  });

  it.each([
    ['', { KEEP_DELIVERED_COUNT: '100' }],
    [', even if only its skip record is kept', { KEEP_DELIVERED_COUNT: '1' }],
  ])('that is enqueued again after its token was recorded → is delivered%s', async (_, env) => {
    const { put, send, until, find, sentTokens, backend } = await setup({ env });
    const [applicationId, token] = [newApplication(), newToken()];
    const signal = named(applicationId);
    const { signalId } = await send(signal);
    await until(signalId, 'skipped');
    await send(signal);
    await until(signalId, 'skipped');
    await waitFor(() => backend.bookkeeping.findSkipRecord(signalId));
    await until((await send(named(newApplication()))).signalId, 'skipped');

    await put(applicationId, { token, source: 'linkOut' });
    const again = await send(signal);

    expect(again).toEqual({ signalId, duplicate: false, state: 'waiting' });
    await waitFor(() => sentTokens().includes(token));
    await waitFor(async () => (await find(signalId))?.state !== 'skipped');
    expect(await send(signal)).toMatchObject({ duplicate: true, state: 'delivered' });
    expect(sentTokens()).toEqual([token]);
  });

  it('that another process reopens at the same time → is delivered', async () => {
    const { put, send, until, startWorker, sentTokens, backend } = await setup({ workers: 0 });
    const [applicationId, token] = [newApplication(), newToken()];
    const worker = await startWorker();
    const { signalId } = await send(named(applicationId));
    await until(signalId, 'skipped');
    await worker.close();
    await put(applicationId, { token, source: 'linkOut' });
    const { bookkeeping } = backend;
    const reopenedByAnother = {
      ...bookkeeping,
      reopen: async (...args: Parameters<typeof bookkeeping.reopen>) => {
        await bookkeeping.reopen(...args);
        return false;
      },
    };
    const { accept } = createAcceptSignals({
      backend: { ...backend, bookkeeping: reopenedByAnother },
      lookup: createLookup(backend),
      cipher: createTokenCipher([]),
      dedupeWindowMs: DAY_MS,
    });

    const answers = await accept([
      { signalId, contentId: signalId, signal: named(applicationId), from: 'ats' },
    ]);
    await startWorker();
    await until(signalId, 'delivered');

    expect(answers).toEqual([{ kind: 'accepted', signalId, duplicate: false, state: 'waiting' }]);
    expect(sentTokens()).toEqual([token]);
  });

  it('in a batch that is enqueued again after its tokens were recorded → is delivered, as are all', async () => {
    const { put, sendAll, status, backend, sentTokens } = await setup({
      env: { KEEP_DELIVERED_COUNT: '1' },
      workers: 2,
    });
    const applications = Array.from({ length: 60 }, () => ({
      applicationId: newApplication(),
      token: newToken(),
    }));
    const signals = applications.map(({ applicationId }) => named(applicationId));
    const untilIdle = () =>
      waitFor(async () => {
        const { waiting, active } = (await status()).counts;
        return waiting + active === 0 && (await backend.bookkeeping.oldestUnsent(1)).length === 0;
      });

    await sendAll(signals);
    await untilIdle();
    await sendAll(signals);
    await untilIdle();
    for (const one of applications)
      await put(one.applicationId, { ...one, applicationId: undefined, source: 'linkOut' });
    await sendAll(signals);
    await untilIdle();

    expect(sentTokens().sort()).toEqual(applications.map(({ token }) => token).sort());
  });
});
