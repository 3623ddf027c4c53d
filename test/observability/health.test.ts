import { createHealthChecks } from '../../src/observability/health.ts';

const { jest } = import.meta;

type Doubles = { ping?: () => Promise<void>; isAlive?: () => boolean };

const setup = ({ ping = async () => {}, isAlive = () => true }: Doubles = {}) => {
  const app = createHealthChecks({
    ping,
    isAlive,
    metrics: {
      scrape: async () => 'seek_signals_delivery_suspended 0\n',
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
    },
  });

  return { get: async (path: string) => app.request(path) };
};

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
    const { get } = setup({ ping: () => Promise.reject(new Error('ECONNREFUSED')) });

    expect((await get('/health/live')).status).toBe(200);
  });
});

describe('/health/ready', () => {
  const UNAVAILABLE = { status: 'unavailable', message: 'The queue does not answer' };

  it('while the queue answers → 200', async () => {
    const response = await setup().get('/health/ready');

    expect(response.status).toBe(200);
    await expect(response.json()).resolves.toEqual({ status: 'ready' });
  });

  it('while the queue is unavailable → 503', async () => {
    const { get } = setup({ ping: () => Promise.reject(new Error('ECONNREFUSED')) });

    const response = await get('/health/ready');

    expect(response.status).toBe(503);
    await expect(response.json()).resolves.toEqual(UNAVAILABLE);
  });

  it('while the queue does not answer → 503 after two seconds', async () => {
    jest.useFakeTimers();
    try {
      let status: number | undefined;
      const { get } = setup({ ping: () => new Promise(() => {}) });
      const request = get('/health/ready').then((response) => {
        status = response.status;
      });

      await jest.advanceTimersByTimeAsync(1_999);
      expect(status).toBeUndefined();
      await jest.advanceTimersByTimeAsync(1);
      await request;

      expect(status).toBe(503);
    } finally {
      jest.useRealTimers();
    }
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
