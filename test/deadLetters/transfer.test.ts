import { randomUUID } from 'node:crypto';

import { loadConfig } from '../../src/config/config.ts';
import { createDeadLetters } from '../../src/deadLetters/deadLetters.ts';
import { createImportDeadLetters } from '../../src/deadLetters/transfer.ts';
import { type Backend, DEAD_LETTERS } from '../../src/queue/backend.ts';
import { createLookup } from '../../src/queue/lookup.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import { createSeekTokens } from '../../src/seekTokens/registry.ts';
import { buildDeadLetter } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { PLATFORMS, type Platform } from '../support/platforms.ts';

describe.each(PLATFORMS)('an import on $name', ({ start }) => {
  const config = loadConfig({});
  let platform: Platform;
  let backend: Backend;
  beforeAll(async () => {
    platform = await start();
    await platform.clear();
    backend = platform.open(config, 'fail-fast', captureLogs().logger);
  });
  afterAll(async () => {
    await backend.close();
    await platform.stop();
  });

  const importThrough = (queue: Backend) => {
    const cipher = createTokenCipher([]);
    const { isErased } = createSeekTokens({ store: backend.tokens, cipher, ttlDays: 180 });
    return createImportDeadLetters({ backend: queue, lookup: createLookup(backend), isErased });
  };

  /** Runs `act` right after the import has read its dead letter back. */
  const afterReadBack = (act: (id: string) => Promise<unknown>): Backend => ({
    ...backend,
    queue: async (name) => {
      const queue = await backend.queue(name);
      if (name !== DEAD_LETTERS) return queue;
      const { add, getJob } = queue;
      return Object.assign(Object.create(queue), {
        add: add.bind(queue),
        getJob: async (id: string) => {
          const job = await getJob.call(queue, id);
          await act(id);
          return job;
        },
      });
    },
  });

  it('a second discard during the import → the reason of the second discard stays', async () => {
    const signalId = randomUUID();
    const deadLetter = buildDeadLetter({ signalId, failedJob: { jobId: signalId, finishedAt: 1 } });
    const lines = [Buffer.from(JSON.stringify(deadLetter))];
    const { discard } = createDeadLetters({ backend });
    const { find } = createLookup(backend);
    await importThrough(backend)(lines);
    expect(await discard(signalId, 'first')).toBe('discarded');

    const outcome = await importThrough(afterReadBack((id) => discard(id, 'second')))(lines);

    expect(outcome).toEqual({ imported: 1, skipped: 0, invalid: [] });
    expect(await find(signalId)).toMatchObject({
      state: 'skipped',
      reason: expect.stringMatching(/: second$/),
    });
  });
});
