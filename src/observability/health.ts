import { Hono } from 'hono';

import { queueTimedOut, withDeadline } from '../runtime/async.ts';
import type { Metrics } from './metrics.ts';

const PING_TIMEOUT_MS = 2_000;

type Deps = {
  ping: () => Promise<unknown>;
  /** `false` if this process is stuck. It is not stuck while the queue is unavailable. */
  isAlive: () => boolean;
  metrics: Pick<Metrics, 'scrape' | 'contentType'>;
};

/** Health checks and metrics: the same in every process, and without a key. */
export const createHealthChecks = ({ ping, isAlive, metrics }: Deps): Hono => {
  const app = new Hono();

  app.get('/health/live', (c) =>
    isAlive()
      ? c.json({ status: 'alive' })
      : c.json({ status: 'stuck', message: 'Signals are due, and this worker takes none' }, 503),
  );

  app.get('/health/ready', async (c) => {
    const isReady = await withDeadline(ping(), PING_TIMEOUT_MS, queueTimedOut).then(
      () => true,
      () => false,
    );
    return isReady
      ? c.json({ status: 'ready' })
      : c.json({ status: 'unavailable', message: 'The queue does not answer' }, 503);
  });

  app.get('/metrics', async (c) =>
    c.text(await metrics.scrape(), 200, { 'content-type': metrics.contentType }),
  );

  return app;
};
