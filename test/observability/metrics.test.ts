import {
  codeLabel,
  createMetrics,
  type QueueReading,
  typeLabel,
} from '../../src/observability/metrics.ts';

const READING: QueueReading = {
  counts: { waiting: 1, active: 2, retrying: 3, delivered: 4, skipped: 5, dead: 6 },
  backlog: 4,
  workers: 2,
  oldestUnsentSeconds: 77,
  suspended: undefined,
  tokensExpiring: 0,
};

const setup = (read: () => Promise<QueueReading> = async () => READING) => createMetrics(read);

const samples = (text: string) =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('metrics', () => {
  it('have exactly the documented names and types', async () => {
    const text = await setup().scrape();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    );

    expect(types.toSorted()).toEqual([
      'seek_signals_accepted_total counter',
      'seek_signals_attempts_total counter',
      'seek_signals_backlog gauge',
      'seek_signals_dead_total counter',
      'seek_signals_deferred_total counter',
      'seek_signals_delivered_total counter',
      'seek_signals_delivery_seconds histogram',
      'seek_signals_delivery_suspended gauge',
      'seek_signals_delivery_suspended_seconds gauge',
      'seek_signals_expired_tokens_total counter',
      'seek_signals_oldest_unsent_seconds gauge',
      'seek_signals_outbox_lag_seconds gauge',
      'seek_signals_outbox_missing_total counter',
      'seek_signals_outbox_rejected_total counter',
      'seek_signals_outbox_relayed_total counter',
      'seek_signals_outbox_rows gauge',
      'seek_signals_partner_token_failures_total counter',
      'seek_signals_redis_memory_limit_bytes gauge',
      'seek_signals_redis_memory_used_bytes gauge',
      'seek_signals_redriven_total counter',
      'seek_signals_request_seconds histogram',
      'seek_signals_signals gauge',
      'seek_signals_skipped_total counter',
      'seek_signals_tokens_expiring gauge',
      'seek_signals_unconfirmed_total counter',
      'seek_signals_workers gauge',
    ]);
  });

  it('have the documented labels', async () => {
    const metrics = setup();
    metrics.accepted.inc({ type: 'ApplicationComplete' });
    metrics.attempts.inc({ outcome: 'retry', code: 'RATE_LIMITED' });
    metrics.delivered.inc({ type: 'ApplicationComplete' });
    metrics.skipped.inc({ reason: 'no token' });
    metrics.dead.inc({ code: 'FORBIDDEN' });
    metrics.redriven.inc();
    metrics.deferred.inc({ code: 'RATE_LIMITED' });
    metrics.tokenFailures.inc({ code: 'CREDENTIALS_REFUSED' });

    expect(samples(await metrics.scrape())).toEqual(
      expect.arrayContaining([
        'seek_signals_accepted_total{type="ApplicationComplete"} 1',
        'seek_signals_attempts_total{outcome="retry",code="RATE_LIMITED"} 1',
        'seek_signals_delivered_total{type="ApplicationComplete"} 1',
        'seek_signals_skipped_total{reason="no token"} 1',
        'seek_signals_dead_total{code="FORBIDDEN"} 1',
        'seek_signals_redriven_total 1',
        'seek_signals_deferred_total{code="RATE_LIMITED"} 1',
        'seek_signals_partner_token_failures_total{code="CREDENTIALS_REFUSED"} 1',
      ]),
    );
  });

  it('are read from the queue at each scrape', async () => {
    const readings = [READING, { ...READING, oldestUnsentSeconds: 5 }];
    const { scrape } = setup(async () => readings.shift() ?? READING);

    expect(samples(await scrape())).toEqual(
      expect.arrayContaining([
        'seek_signals_signals{state="waiting"} 1',
        'seek_signals_signals{state="active"} 2',
        'seek_signals_signals{state="retrying"} 3',
        'seek_signals_signals{state="delivered"} 4',
        'seek_signals_signals{state="skipped"} 5',
        'seek_signals_signals{state="dead"} 6',
        'seek_signals_backlog 4',
        'seek_signals_workers 2',
        'seek_signals_oldest_unsent_seconds 77',
        'seek_signals_delivery_suspended 0',
      ]),
    );
    expect(samples(await scrape())).toContain('seek_signals_oldest_unsent_seconds 5');
  });

  it('include the outbox only in a process that reads it, whether or not the queue answers', async () => {
    const outbox = { pending: 3, rejected: 1, lagSeconds: 9 };
    const scraped = async (...reads: Parameters<typeof createMetrics>) =>
      samples(await createMetrics(...reads).scrape()).filter((line) =>
        /outbox_(rows|lag)|workers/.test(line),
      );
    const away = () => Promise.reject(new Error('away'));
    const rows = [
      'seek_signals_outbox_rows{state="pending"} 3',
      'seek_signals_outbox_rows{state="rejected"} 1',
      'seek_signals_outbox_lag_seconds 9',
    ];
    const workers = 'seek_signals_workers 2';
    const readQueue = async () => READING;
    const readOutbox = async () => outbox;

    const both = await scraped(readQueue, readOutbox);
    expect(both).toEqual(expect.arrayContaining([...rows, workers]));
    expect(await scraped(readQueue)).toEqual([workers]);
    // Either may be down without the other.
    expect(await scraped(readQueue, away)).toEqual([workers]);
    expect(await scraped(away, readOutbox)).toEqual(expect.arrayContaining(rows));
  });

  it('include the memory of Redis as far as it is known, and the tokens that expire soon', async () => {
    const readings: QueueReading[] = [
      { ...READING, memory: { used: 7, limit: 10 }, tokensExpiring: 3 },
      { ...READING, memory: { used: 8, limit: 0 } },
      READING,
    ];
    const { scrape } = setup(async () => readings.shift() ?? READING);
    const scrapeThese = async () =>
      samples(await scrape()).filter((line) => /redis_|expiring/.test(line));

    await expect(scrapeThese()).resolves.toEqual([
      'seek_signals_redis_memory_used_bytes 7',
      'seek_signals_redis_memory_limit_bytes 10',
      'seek_signals_tokens_expiring 3',
    ]);
    await expect(scrapeThese()).resolves.toEqual([
      'seek_signals_redis_memory_used_bytes 8',
      'seek_signals_tokens_expiring 0',
    ]);
    await expect(scrapeThese()).resolves.toEqual(['seek_signals_tokens_expiring 0']);
  });

  it('include the duration and code of a suspension until delivery resumes', async () => {
    const suspended = (code: string, seconds: number) => ({
      ...READING,
      suspended: { code, seconds },
    });
    const readings = [
      suspended('HTTP_503', 7),
      suspended('MADE_UP_BY_A_SERVER', 8),
      READING,
      suspended('HTTP_503', 1),
    ];
    const { scrape } = setup(async () => readings.shift() ?? Promise.reject(new Error('away')));
    const scrapeDelivery = async () =>
      samples(await scrape()).filter((line) => line.includes('delivery_suspended'));

    await expect(scrapeDelivery()).resolves.toEqual([
      'seek_signals_delivery_suspended 1',
      'seek_signals_delivery_suspended_seconds{code="HTTP_503"} 7',
    ]);
    await expect(scrapeDelivery()).resolves.toEqual([
      'seek_signals_delivery_suspended 1',
      'seek_signals_delivery_suspended_seconds{code="OTHER"} 8',
    ]);
    await expect(scrapeDelivery()).resolves.toEqual(['seek_signals_delivery_suspended 0']);
    await scrapeDelivery();
    // The queue cannot be read: neither running nor suspended.
    await expect(scrapeDelivery()).resolves.toEqual([
      expect.stringMatching(/^seek_signals_delivery_suspended nan$/i),
    ]);
  });

  it('keep their counters while the queue cannot be read, and repeat no earlier reading', async () => {
    const readings: (() => Promise<QueueReading>)[] = [
      async () => READING,
      () => Promise.reject(new Error('ECONNREFUSED')),
    ];
    const metrics = setup(() => readings.shift()?.() ?? Promise.resolve(READING));
    metrics.redriven.inc();
    await metrics.scrape();

    const text = await metrics.scrape();

    expect(samples(text)).toContain('seek_signals_redriven_total 1');
    expect(text).not.toMatch(/seek_signals_signals\{/);
    expect(text).toMatch(/^seek_signals_oldest_unsent_seconds nan$/im);
  });

  it('of two instances do not share their counts', async () => {
    const [one, other] = [setup(), setup()];

    one.redriven.inc();

    expect(samples(await other.scrape())).toContain('seek_signals_redriven_total 0');
  });
});

describe('the label', () => {
  it.each([
    { code: 'BAD_USER_INPUT', label: 'BAD_USER_INPUT' },
    { code: 'HTTP_502', label: 'HTTP_502' },
    { code: 'PARTNER_TOKEN', label: 'PARTNER_TOKEN' },
    { code: 'CREDENTIALS_REFUSED', label: 'CREDENTIALS_REFUSED' },
    { code: undefined, label: '' },
    { code: '', label: 'OTHER' },
    { code: 'HTTP_5021', label: 'OTHER' },
    { code: 'MADE_UP_BY_A_SERVER', label: 'OTHER' },
  ])('of code $code is $label', ({ code, label }) => {
    expect(codeLabel(code)).toBe(label);
  });

  it.each([
    { typeCode: 'ApplicationComplete', label: 'ApplicationComplete' },
    { typeCode: 'InterviewBooked', label: 'OTHER' },
  ])('of type $typeCode is $label', ({ typeCode, label }) => {
    expect(typeLabel(typeCode)).toBe(label);
  });
});
