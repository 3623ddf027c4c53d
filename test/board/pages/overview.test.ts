import type { PagesDeps } from '../../../src/board/pages/routes.ts';
import type { DeadLetterView } from '../../../src/deadLetters/deadLetters.ts';
import type { QueueStatus } from '../../../src/queue/status.ts';
import { BUCKET_MS, type StatsBucket } from '../../../src/queue/workerStats.ts';
import { waitFor } from '../../support/waitFor.ts';
import { EMPTY_PAGES } from '../boardUnderTest.ts';
import { buildDeadLetter, NOW, setup } from './setup.ts';

const HOUR_MS = 3_600_000;

const buildBucket = (hoursAgo: number, change: Partial<StatsBucket> = {}): StatsBucket => ({
  at: NOW - hoursAgo * HOUR_MS,
  waiting: 0,
  retrying: 0,
  dead: 0,
  answers: {},
  ...change,
});

const statusOf = (change: Partial<QueueStatus>) => async (): Promise<QueueStatus> => ({
  ...(await EMPTY_PAGES.status()),
  ...change,
});

const workerStatsOf = (change: object): PagesDeps['workerStats'] => ({
  read: async () => ({ buckets: [], workers: [], now: NOW, ...change }),
});

describe('overview', () => {
  it('delivery suspended → shows since when, why, and when the next probe is due', async () => {
    const delivery = {
      state: 'suspended' as const,
      since: '2026-07-01T02:00:00.000Z',
      seconds: 3_600,
      code: 'CREDENTIALS_REFUSED',
      reason: 'HTTP 401',
      nextProbeAt: '2026-07-01T03:01:00.000Z',
    };
    const page = (workers: number) => setup({ status: statusOf({ delivery, workers }) }).text('/');

    expect(await page(1)).toMatch(
      /is suspended<\/b> for 60 min,\s+since <code>2026-07-01T02:00:00.000Z<\/code>: <bdi>CREDENTIALS_REFUSED: HTTP 401<\/bdi>\. .*Correct them.*Next probe in 60 s\./s,
    );
    expect(await page(0)).toContain('No probe is sent, because no worker is alive.');
  });

  it.each([
    { what: 'no worker was seen', ages: [], says: 'No worker is alive' },
    { what: 'the last heartbeat is too old', ages: [46], says: 'No worker is alive' },
    { what: 'two workers have a recent heartbeat', ages: [1, 44], says: 'Workers alive: 2' },
    {
      what: 'one of two workers has no recent heartbeat',
      ages: [1, 600],
      says: 'Workers without a heartbeat',
    },
  ])('$what → "$says"', async ({ ages, says }) => {
    const workers = ages.map((age, index) => ({ worker: `host:${index}`, at: NOW - age * 1_000 }));
    const { text } = setup({ workerStats: workerStatsOf({ workers }) });

    expect(await text('/')).toContain(says);
  });

  it.each([
    { hours: 0.5, urgency: 'good', says: '30 min' },
    { hours: 2, urgency: 'warn', says: '2 h' },
    { hours: 13, urgency: 'bad', says: '13 h' },
  ])('oldest unsent signal of $says → shown as $urgency', async ({ hours, urgency, says }) => {
    const ageSeconds = hours * 3_600;
    const oldestUnsent = { signalId: 'old/one', acceptedAt: '2026-07-01T00:00:00Z', ageSeconds };
    const { text } = setup({ status: statusOf({ oldestUnsent }) });

    const html = await text('/');

    expect(html).toContain(`<b class="${urgency}">${says}</b> old`);
    expect(html).toContain('href="/signals/old%2Fone"');
    expect(html).toContain(`value="${ageSeconds}"`);
  });

  it('answers of several buckets → added up by code, for the last hour and for the day', async () => {
    const buckets = [
      buildBucket(20, { answers: { delivered: 1_000, HTTP_503: 7 } }),
      buildBucket(0.5, { answers: { HTTP_503: 5 } }),
    ];
    const { text } = setup({ workerStats: workerStatsOf({ buckets }) });

    const rows = (await text('/')).match(/<td class="(good)?">.*?<\/tr>/gs) ?? [];
    const cells = rows.map((row) =>
      row
        .replace(/<[^>]*>/g, ' ')
        .trim()
        .split(/\s+/)
        .slice(0, 3),
    );
    expect(cells).toEqual([
      ['delivered', '0', '1,000'],
      ['HTTP_503', '5', '12'],
    ]);
  });

  it('missing buckets → the line of the chart is interrupted', async () => {
    const at = (buckets: number) => NOW - buckets * BUCKET_MS;
    const buckets = [
      { ...buildBucket(0), at: at(12), waiting: 8 },
      { ...buildBucket(0), at: at(11), waiting: 4 },
      // For the hour until now there is no bucket.
    ];
    const { text } = setup({ workerStats: workerStatsOf({ buckets }) });

    const [path] = (await text('/')).match(/(?<=<path d=")M[^"]+L[^"]+/g) ?? [];

    expect(path).toBe('M276 2h.5L277 28M288 54h.5');
  });

  it('newest dead letters → shown with link, reason and age', async () => {
    const { text } = setup({ newestDeadLetters: async () => [buildDeadLetter()] });

    const html = await text('/');

    expect(html).toContain('href="/signals/signal-1"');
    expect(html).toContain('FORBIDDEN: No.');
    expect(html).toContain('60 min ago');
  });

  it('dead letters exist → shows their number and what to do', async () => {
    const counts = { waiting: 0, active: 0, retrying: 0, delivered: 0, skipped: 0, dead: 1_234 };
    const { text } = setup({
      newestDeadLetters: async () => [buildDeadLetter()],
      status: statusOf({ counts }),
    });

    expect(await text('/')).toMatch(/1 of 1,234\..*dead-letters counts.*redrive one on its page/s);
    expect(await setup().text('/')).not.toContain('redrive');
  });

  it('no worker is alive → names the command that starts one; the footer shows the time', async () => {
    const html = await setup().text('/');

    expect(html).toContain('As of <code>2026-07-01T03:00:00.000Z</code> (UTC)');
    expect(html).toContain('<code>seek-signals worker</code>');
  });

  it('dead letters cannot be read → the page shows the rest', async () => {
    const { get } = setup({ newestDeadLetters: () => Promise.reject(new Error('away')) });

    const answer = await get('/');

    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('could not be read in time');
  });

  it('several page loads during one read of the dead letters → share it; the next load reads again', async () => {
    const reads: ((deadLetters: DeadLetterView[]) => void)[] = [];
    const { text } = setup({
      newestDeadLetters: () => new Promise((resolve) => reads.push(resolve)),
    });

    const slow = await Promise.all([text('/'), text('/')]);
    const third = text('/');
    await waitFor(() => reads.length > 0);
    reads[0]?.([buildDeadLetter()]);

    expect(slow.join()).toContain('could not be read in time');
    expect(await third).toContain('FORBIDDEN: No.');
    expect(reads).toHaveLength(1);
    const fourth = text('/');
    await waitFor(() => reads.length === 2);
    reads[1]?.([]);
    expect(await fourth).not.toContain('FORBIDDEN: No.');
  });
});
