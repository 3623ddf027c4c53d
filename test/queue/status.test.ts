import { loadConfig } from '../../src/config/config.ts';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { createQueueStatus } from '../../src/queue/status.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { PLATFORMS } from '../support/platforms.ts';
import { waitFor } from '../support/waitFor.ts';

describe.each(PLATFORMS)('the status of the queue on $name', ({ start }) => {
  let platform: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    platform = await start();
  });
  afterAll(() => platform.stop());

  it('waiting, due and redriven jobs → count as backlog, and a retry that is not due does not', async () => {
    await platform.clear();
    const backend = platform.open(loadConfig({}), 'patient', captureLogs().logger);
    const [signals, deadLetters] = [
      await backend.queue(SIGNALS),
      await backend.queue(DEAD_LETTERS),
    ];
    const status = createQueueStatus(backend);
    await signals.add('waits', {});
    await signals.add('is due soon', {}, { delay: 50 });
    await signals.add('is not due', {}, { delay: 3_600_000 });
    await deadLetters.add('comes back', {});

    await waitFor(async () => (await status()).backlog === 3);

    // Without a worker, the redriven dead letter stays in the dead letters.
    expect((await status()).counts).toMatchObject({ waiting: 1, retrying: 2, dead: 1 });
    await backend.close();
  });

  it('a crash left 99 ended signals in the unsent set → reports the oldest signal that is unsent', async () => {
    await platform.clear();
    const backend = platform.open(loadConfig({}), 'patient', captureLogs().logger);
    const signals = await backend.queue(SIGNALS);
    const now = Date.now();
    const list = async (signalId: string, acceptedAt: number) =>
      backend.bookkeeping.markUnsent({ signalId, acceptedAt });
    for (let n = 0; n < 99; n += 1) await list(`gone-${n}`, now - 3_600_000 + n);
    // Its producer may be about to add the job.
    await list('young', now - 20_000);
    await signals.add(
      'retried',
      {},
      { jobId: 'retried', delay: 3_600_000, timestamp: now - 10_000 },
    );
    await list('retried', now - 10_000);

    expect((await createQueueStatus(backend)()).oldestUnsent?.signalId).toBe('retried');
    await backend.bookkeeping.removeUnsent(['young', 'retried']);
    await backend.close();
  });

  it('two workers send a heartbeat and one leaves → counts one worker', async () => {
    await platform.clear();
    const backend = platform.open(loadConfig({}), 'patient', captureLogs().logger);
    const workers = async () => (await createQueueStatus(backend)()).workers;

    expect(await workers()).toBe(0);
    await backend.workerStats.recordHeartbeat({ worker: 'one', answers: {} });
    await backend.workerStats.recordHeartbeat({ worker: 'two', answers: {} });
    expect(await workers()).toBe(2);
    await backend.workerStats.removeWorker('one');
    expect(await workers()).toBe(1);
    await backend.workerStats.removeWorker('two');
    await backend.close();
  });
});
