import { Hono } from 'hono';

import type { Metrics } from './metrics.ts';

/** Why a process is not ready. No key protects this answer, so it names no host. */
export type Unready = { code: string; message: string };

type Deps = {
  /** Ends within two seconds. `undefined`: the process is ready. */
  checkReady: () => Promise<Unready | undefined>;
  /** `false` if this process is stuck. It is not stuck while the queue is unavailable. */
  isAlive: () => boolean;
  metrics: Pick<Metrics, 'scrape' | 'contentType'>;
};

/** Health checks and metrics: the same in every process, and without a key. */
export const createHealthChecks = ({ checkReady, isAlive, metrics }: Deps): Hono => {
  // A trailing slash is no other resource.
  const app = new Hono({ strict: false });

  app.get('/health/live', (c) =>
    isAlive()
      ? c.json({ status: 'alive' })
      : c.json({ status: 'stuck', message: 'Signals are due, and this worker takes none' }, 503),
  );

  app.get('/health/ready', async (c) => {
    const unready = await checkReady();
    return unready === undefined
      ? c.json({ status: 'ready' })
      : c.json({ status: 'unavailable', ...unready }, 503);
  });

  app.get('/metrics', async (c) =>
    c.text(await metrics.scrape(), 200, { 'content-type': metrics.contentType }),
  );

  return app;
};
