import { once } from 'node:events';

import { createApplyForm } from '../../examples/apply-form/app.ts';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { createProducer } from '../../src/index.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';

import { closeAfterEach } from '../support/closeAfterEach.ts';
import type { Platform } from '../support/platforms.ts';
import { startRedis } from '../support/redisServer.ts';
import { startDispatcher } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const NOW = '2026-03-01T10:00:00.000Z';
const { closing } = closeAfterEach();

/** Runs the example: the library in the ATS, and a worker beside it. */
const setup = async () => {
  const redis = await startRedis();
  const platform: Platform = {
    open: (config, profile, logger) =>
      openRedis({ ...queueOptions(config), url: redis.url, profile, logger }),
    clear: async () => {},
    stop: redis.stop,
  };
  const { seek, until, stop } = await startDispatcher(platform);
  const producer = createProducer({ redisUrl: redis.url });
  const server = createApplyForm(producer, () => new Date(NOW)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(redis.stop, stop, producer.close, async () => server.close().closeAllConnections());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  const ask = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${address.port}${path}`, { method });
    const body: { applicationId: string; signalId: string; applyUrl: string } = JSON.parse(
      await answer.text(),
    );
    return body;
  };
  return { seek, until, ask, redis };
};

describe('the example apply-form', () => {
  it('candidate from a job ad and Apply with SEEK → SEEK gets both signals with the newer token', async () => {
    const { seek, until, ask } = await setup();

    const { applyUrl } = await ask('/positions/17?lang=en&seek-token=from+the%2Blink');
    expect(applyUrl).toBe('/apply?seek-token=from+the%2Blink');
    const { applicationId } = await ask(applyUrl);
    await ask(`/apply/${applicationId}?seek-prefill-id=p&seek-token=from+the%2Bauthorization`);
    const completed = await ask(`/apply/${applicationId}`, 'POST');
    await until(completed.signalId, 'delivered');
    const moved = await ask(`/applications/${applicationId}/status/Interview`, 'POST');
    await until(moved.signalId, 'delivered');

    const token = 'from+the+authorization';
    expect(seek.inputs()).toEqual([
      { typeCode: 'ApplicationComplete', token, timestamp: NOW },
      {
        typeCode: 'ApplicationStatusUpdate',
        token,
        current: {
          status: { label: 'Interview', index: 2, total: 4 },
          success: null,
          timestamp: NOW,
        },
        previous: {
          status: { label: 'Applied', index: 1, total: 4 },
          success: null,
          timestamp: NOW,
        },
      },
    ]);
  });

  it('Redis fails while a candidate arrives → the form opens, and the token is recorded later', async () => {
    const { seek, until, ask, redis } = await setup();

    await redis.kill();
    const { applicationId } = await ask('/apply?seek-token=from+the%2Blink');
    await redis.restart();
    const { signalId } = await waitFor(() =>
      ask(`/apply/${applicationId}`, 'POST').catch(() => undefined),
    );
    await until(signalId, 'delivered');

    expect(seek.inputs()).toMatchObject([{ token: 'from+the+link' }]);
  });

  it('invalid token in the link → the form opens, and the signal is skipped', async () => {
    const { until, ask } = await setup();

    const { applicationId } = await ask('/apply?seek-token=%20garbled');
    const { signalId } = await ask(`/apply/${applicationId}`, 'POST');

    expect(await until(signalId, 'skipped')).toMatchObject({ reason: 'no-token' });
  });

  it('candidate without a token → the signal is skipped, without a request to SEEK', async () => {
    const { seek, until, ask } = await setup();

    const { applicationId } = await ask('/apply');
    const { signalId } = await ask(`/apply/${applicationId}`, 'POST');

    expect(await until(signalId, 'skipped')).toMatchObject({ reason: 'no-token' });
    expect(seek.requests).toEqual([]);
  });
});
