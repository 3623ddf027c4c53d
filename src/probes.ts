import { Hono } from 'hono';

import type { Metrics } from './metrics.ts';

const READY_WITHIN_MS = 2_000;

type Deps = { ping: () => Promise<void>; metrics: Pick<Metrics, 'scrape' | 'contentType'> };

/** Health and metrics, the same in every process, and without a key. */
export const createProbes = ({ ping, metrics }: Deps): Hono => {
  const app = new Hono();

  app.get('/health/live', (c) => c.json({ status: 'alive' }));

  app.get('/health/ready', async (c) => {
    const late = new Promise<'late'>((resolve) => {
      setTimeout(() => resolve('late'), READY_WITHIN_MS).unref();
    });
    const answer = await Promise.race([ping().then(() => 'ready' as const), late]).catch(
      () => 'late',
    );
    return answer === 'ready'
      ? c.json({ status: 'ready' })
      : c.json({ status: 'unavailable', message: 'The queue does not answer' }, 503);
  });

  app.get('/metrics', async (c) =>
    c.text(await metrics.scrape(), 200, { 'content-type': metrics.contentType }),
  );

  return app;
};
