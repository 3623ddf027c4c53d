import { randomUUID } from 'node:crypto';

import { loadConfig } from '../../src/config/config.ts';
import { createDeadLetters } from '../../src/deadLetters/deadLetters.ts';
import { createSweeper } from '../../src/deadLetters/sweeper.ts';
import { type Backend, SIGNALS } from '../../src/queue/backend.ts';
import { signalJobOptions } from '../../src/queue/jobOptions.ts';
import { createLookup } from '../../src/queue/lookup.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { failJobs } from '../support/failJobs.ts';
import { PLATFORMS, type Platform } from '../support/platforms.ts';

describe.each(PLATFORMS)('the sweeper on $name', ({ start }) => {
  const { logger } = captureLogs();
  let platform: Platform;
  let backend: Backend;
  beforeAll(async () => {
    platform = await start();
    await platform.clear();
    backend = platform.open(loadConfig({}), 'patient', logger);
  });
  afterAll(async () => {
    await backend.close();
    await platform.stop();
  });

  const fail = async (signalId: string): Promise<void> => {
    const queue = await backend.queue(SIGNALS);
    await queue.add('x', buildSignalJob(), signalJobOptions(signalId, Date.now()));
    await failJobs({ backend, reason: 'FORBIDDEN: no', count: 1 });
    expect(await queue.getJobState(signalId)).toBe('failed');
  };

  it('a discard before the sweeper records the outcome → the reason of the discard stays', async () => {
    const signalId = randomUUID();
    await fail(signalId);
    const { discard } = createDeadLetters({ backend });
    const discarded: string[] = [];
    const { recordOutcomes } = backend.bookkeeping;
    const sweeper = createSweeper({
      backend: {
        ...backend,
        bookkeeping: {
          ...backend.bookkeeping,
          recordOutcomes: async (entries) => {
            discarded.push(await discard(signalId, 'manual'));
            await recordOutcomes(entries);
          },
        },
      },
      logger,
      metrics: { dead: { inc: () => {} } },
      sweepIntervalMs: 3_600_000,
    });

    await sweeper.sweep();
    await sweeper.close();

    expect(discarded).toEqual(['discarded']);
    expect(await createLookup(backend).find(signalId)).toMatchObject({
      state: 'skipped',
      reason: expect.stringMatching(/: manual$/),
    });
  });
});
