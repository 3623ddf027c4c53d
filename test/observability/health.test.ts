import { createHealthChecks, type Unready } from '../../src/observability/health.ts';

type Doubles = { unready?: Unready; isAlive?: () => boolean };

const setup = ({ unready, isAlive = () => true }: Doubles = {}) => {
  const app = createHealthChecks({
    checkReady: async () => unready,
    isAlive,
    metrics: {
      scrape: async () => 'seek_signals_delivery_suspended 0\n',
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
    },
  });

  return { get: async (path: string) => app.request(path) };
};

const UNREADY = { code: 'ECONNREFUSED', message: 'The queue is unavailable' };

describe('/health/live', () => {
  it('of a working process → 200', async () => {
    const response = await setup().get('/health/live');

    expect(response.status).toBe(200);
    await expect(response.json()).resolves.toEqual({ status: 'alive' });
  });

  it('of a stuck worker → 503 with the reason', async () => {
    const response = await setup({ isAlive: () => false }).get('/health/live');

    expect(response.status).toBe(503);
    await expect(response.json()).resolves.toEqual({
      status: 'stuck',
      message: 'Signals are due, and this worker takes none',
    });
  });

  it('while the queue is unavailable → 200', async () => {
    const { get } = setup({ unready: UNREADY });

    expect((await get('/health/live')).status).toBe(200);
  });
});

describe('/health/ready', () => {
  it('while the queue answers → 200', async () => {
    const response = await setup().get('/health/ready');

    expect(response.status).toBe(200);
    await expect(response.json()).resolves.toEqual({ status: 'ready' });
  });

  it('while the queue is unavailable → 503 with the code', async () => {
    const { get } = setup({ unready: UNREADY });

    const response = await get('/health/ready');

    expect(response.status).toBe(503);
    await expect(response.json()).resolves.toEqual({ status: 'unavailable', ...UNREADY });
  });

  it('of a stuck worker → 200', async () => {
    expect((await setup({ isAlive: () => false }).get('/health/ready')).status).toBe(200);
  });
});

describe('/metrics', () => {
  it('returns the exposition text with its content type', async () => {
    const response = await setup().get('/metrics');

    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    await expect(response.text()).resolves.toBe('seek_signals_delivery_suspended 0\n');
  });
});
