import { Hono } from 'hono';
import type { LoggedIn } from '../../../src/board/login.ts';
import type { PagesDeps } from '../../../src/board/pages/routes.ts';
import { createPages } from '../../../src/board/pages/routes.ts';
import { noAnswer } from '../../../src/board/pages/unavailable.ts';
import type { DeadLetterView } from '../../../src/deadLetters/deadLetters.ts';
import type { QueueStatus } from '../../../src/queue/status.ts';
import { BUCKET_MS, type StatsBucket } from '../../../src/queue/workerStats.ts';
import type { SignalRecord } from '../../../src/schemas/signalRecord.ts';
import { waitFor } from '../../support/waitFor.ts';
import { EMPTY } from '../boardUnderTest.ts';

const NOW = Date.parse('2026-07-01T03:00:00Z');
const HOUR_MS = 3_600_000;

const record = (change: Partial<SignalRecord> = {}): SignalRecord => ({
  ...{ signalId: 'signal-1', typeCode: 'ApplicationComplete', state: 'dead', redrives: 0 },
  acceptedAt: '2026-07-01T00:00:00.000Z',
  attempts: [],
  ...change,
});

const deadLetter = (change: Partial<DeadLetterView> = {}): DeadLetterView => ({
  ...{ signalId: 'signal-1', typeCode: 'ApplicationComplete', code: 'FORBIDDEN', reason: 'No.' },
  ...{ diedAt: '2026-07-01T02:00:00.000Z', acceptedAt: '2026-07-01T00:00:00.000Z' },
  ...{ attempts: [], redrives: 0 },
  ...change,
});

const moment = (hoursAgo: number, change: Partial<StatsBucket> = {}): StatsBucket => ({
  ...{ at: NOW - hoursAgo * HOUR_MS, waiting: 0, retrying: 0, dead: 0, answers: {} },
  ...change,
});

const setup = (change: Partial<PagesDeps> = {}, readOnly = false) => {
  const app = new Hono<LoggedIn>();
  app.use((c, next) => {
    c.set('account', { username: 'ops', password: '', readOnly });
    return next();
  });
  app.route('/', createPages({ ...EMPTY, now: () => NOW, ...change }));
  const get = (path: string) => app.request(path);
  return {
    get,
    text: async (path: string) => (await get(path)).text(),
    post: (path: string) => app.request(path, { method: 'POST' }),
  };
};

const statusOf = (change: Partial<QueueStatus>) => async (): Promise<QueueStatus> => ({
  ...(await EMPTY.status()),
  ...change,
});

const historyOf = (change: object): PagesDeps['workerStats'] => ({
  read: async () => ({ buckets: [], workers: [], now: NOW, ...change }),
});

describe('the overview', () => {
  it('says that the lane is closed, since when, why, and when it is tried next', async () => {
    const delivery = {
      ...{ state: 'suspended' as const, since: '2026-07-01T02:00:00.000Z', seconds: 3_600 },
      ...{
        code: 'CREDENTIALS_REFUSED',
        reason: 'HTTP 401',
        nextProbeAt: '2026-07-01T03:01:00.000Z',
      },
    };
    const page = (workers: number) => setup({ status: statusOf({ delivery, workers }) }).text('/');

    expect(await page(1)).toMatch(
      /been suspended<\/b> for 60 min,\s+since <code>2026-07-01T02:00:00.000Z<\/code>: <bdi>CREDENTIALS_REFUSED: HTTP 401<\/bdi>\. .*mend them.*Next try in 60 s\./s,
    );
    expect(await page(0)).toContain('Nobody tries it: no worker is alive.');
  });

  it.each([
    { what: 'nobody was heard of', ages: [], says: 'No worker is alive' },
    { what: 'one is silent for too long', ages: [46], says: 'No worker is alive' },
    { what: 'two are well', ages: [1, 44], says: 'Workers alive: 2' },
    { what: 'one of two is silent', ages: [1, 600], says: 'Not heard of any more' },
  ])('says which workers are alive: $what', async ({ ages, says }) => {
    const workers = ages.map((age, index) => ({ worker: `host:${index}`, at: NOW - age * 1_000 }));
    const { text } = setup({ workerStats: historyOf({ workers }) });

    expect(await text('/')).toContain(says);
  });

  it.each([
    { hours: 0.5, urgency: 'good', says: '30 min' },
    { hours: 2, urgency: 'warn', says: '2 h' },
    { hours: 13, urgency: 'bad', says: '13 h' },
  ])('shows the oldest unsent signal of $says as $urgency', async ({ hours, urgency, says }) => {
    const ageSeconds = hours * 3_600;
    const oldestUnsent = { signalId: 'old/one', acceptedAt: '2026-07-01T00:00:00Z', ageSeconds };
    const { text } = setup({ status: statusOf({ oldestUnsent }) });

    const html = await text('/');

    expect(html).toContain(`<b class="${urgency}">${says}</b> old`);
    expect(html).toContain('href="/signals/old%2Fone"');
    expect(html).toContain(`value="${ageSeconds}"`);
  });

  it('adds up answers by code, of the last hour and of the day', async () => {
    const buckets = [
      moment(20, { answers: { delivered: 1_000, HTTP_503: 7 } }),
      moment(0.5, { answers: { HTTP_503: 5 } }),
    ];
    const { text } = setup({ workerStats: historyOf({ buckets }) });

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

  it('draws a line where a worker saw how things stood, and none between', async () => {
    const at = (buckets: number) => NOW - buckets * BUCKET_MS;
    const buckets = [
      { ...moment(0), at: at(12), waiting: 8 },
      { ...moment(0), at: at(11), waiting: 4 },
      // For an hour nobody looked, until now.
    ];
    const { text } = setup({ workerStats: historyOf({ buckets }) });

    const [path] = (await text('/')).match(/(?<=<path d=")M[^"]+L[^"]+/g) ?? [];

    expect(path).toBe('M276 2h.5L277 28M288 54h.5');
  });

  it('names the newest letters, and why they died', async () => {
    const { text } = setup({ newestLetters: async () => [deadLetter()] });

    const html = await text('/');

    expect(html).toContain('href="/signals/signal-1"');
    expect(html).toContain('FORBIDDEN: No.');
    expect(html).toContain('60 min ago');
  });

  it('says what is to be done about letters, and of how many these are the newest', async () => {
    const counts = { waiting: 0, active: 0, retrying: 0, delivered: 0, skipped: 0, dead: 1_234 };
    const { text } = setup({
      newestLetters: async () => [deadLetter()],
      status: statusOf({ counts }),
    });

    expect(await text('/')).toMatch(/1 of 1,234\..*dead-letters counts.*redrive one on its page/s);
    expect(await setup().text('/')).not.toContain('redrive');
  });

  it('says as of when it is, and what is missing where no worker is alive', async () => {
    const html = await setup().text('/');

    expect(html).toContain('As of <code>2026-07-01T03:00:00.000Z</code>, which is UTC');
    expect(html).toContain('<code>seek-signals worker</code>');
  });

  it('does without them where there is no reading them', async () => {
    const { get } = setup({ newestLetters: () => Promise.reject(new Error('away')) });

    const answer = await get('/');

    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('could not be read in time');
  });

  it('reads them once at a time, however many look, and again once that is done', async () => {
    const reads: ((deadLetters: DeadLetterView[]) => void)[] = [];
    const { text } = setup({
      newestLetters: () => new Promise((resolve) => reads.push(resolve)),
    });

    const slow = await Promise.all([text('/'), text('/')]);
    const third = text('/');
    await waitFor(() => reads.length > 0);
    reads[0]?.([deadLetter()]);

    expect(slow.join()).toContain('could not be read in time');
    expect(await third).toContain('FORBIDDEN: No.');
    expect(reads).toHaveLength(1);
    const fourth = text('/');
    await waitFor(() => reads.length === 2);
    reads[1]?.([]);
    expect(await fourth).not.toContain('FORBIDDEN: No.');
  });
});

describe('where the queue does not answer', () => {
  const app = new Hono().all('*', noAnswer);
  const ask = (method: string, accept: string) =>
    app.request('/x', { method, headers: { accept } });

  it('says so to a person, and asks again by itself, but for a write', async () => {
    const read = await ask('GET', 'text/html,*/*');
    const write = await ask('POST', 'text/html,*/*');

    expect([read.status, read.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await read.text()).toMatch(/http-equiv="refresh" content="5".*seek-signals check/s);
    expect(write.status).toBe(503);
    expect(await write.text()).not.toContain('http-equiv');
  });

  it('says so to a program in a line', async () => {
    expect(await (await ask('GET', '*/*')).text()).toBe('The queue does not answer\n');
  });
});

describe("a signal's page", () => {
  it('tells each attempt, with what SEEK is to be asked about', async () => {
    const attempts = [
      {
        ...{ at: '2026-07-01T00:00:01.000Z', requestId: 'request-1', outcome: 'retry' as const },
        ...{ code: 'HTTP_503', reason: 'HTTP 503 without a GraphQL answer', durationMs: 31 },
      },
      {
        ...{ at: '2026-07-01T00:00:09.000Z', requestId: 'request-2', outcome: 'dead' as const },
        ...{ code: 'FORBIDDEN', reason: 'Not for this hirer', durationMs: 12 },
        tokenUsed: {
          source: 'linkOut' as const,
          receivedAt: '2026-06-30T00:00:00Z',
          expired: false,
        },
      },
    ];
    const { text } = setup({
      find: async () =>
        record({
          ...{ attempts, redrives: 2, acceptedFrom: 'careers' },
          candidateApplicationProfileId: 'candidate<1>',
          redriveLog: [{ at: '2026-07-01T00:00:05.000Z', by: 'board:ops' }],
        }),
    });

    const html = await text('/signals/signal-1');

    for (const said of ['request-1', 'request-2', '31 ms', 'FORBIDDEN: Not for this hirer']) {
      expect(html).toContain(said);
    }
    expect(html).toContain('linkOut of 2026-06-30T00:00:00Z');
    expect(html).toContain('from careers');
    expect(html).toContain('<code>candidate&lt;1&gt;</code>');
    expect(html).toContain('<code>2026-07-01T00:00:05.000Z</code>, by board:ops');
    expect(html).toContain('ask SEEK, then redrive');
  });

  it.each([
    { state: 'dead' as const, link: '/queues/queue/dead-letters/a%2Fb?status=failed' },
    { state: 'retrying' as const, link: '/queues/queue/signals/a%2Fb?status=delayed' },
  ])('links to where something can be done about one that is $state', async ({ state, link }) => {
    const { text } = setup({ find: async () => record({ signalId: 'a/b', state }) });

    expect(await text('/signals/a%2Fb')).toContain(`href="${link}"`);
  });

  it('shows what others wrote as what they wrote', async () => {
    const { text } = setup({
      find: async () => record({ reason: '<script>alert(1)</script>', typeCode: '"><b>' }),
    });

    const html = await text('/signals/x');

    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).not.toMatch(/<script|"><b>/);
  });

  it.each(['/signals/nobody', '/signals/%00'])('says of %s that nothing is kept', async (path) => {
    const { get } = setup({
      find: async (signalId) => {
        if (signalId.includes('\0')) throw new Error('no name');
        return undefined;
      },
    });

    const answer = await get(path);

    expect(answer.status).toBe(404);
    expect(await answer.text()).toContain('None is kept');
  });
});

describe('the redrive of a signal', () => {
  const button = '<button>Redrive</button>';
  const dead = { find: async () => record() };

  it('is offered for a dead letter, to who may do it', async () => {
    const waiting = { find: async () => record({ state: 'waiting' }) };

    expect(await setup(dead).text('/signals/signal-1')).toContain(button);
    expect(await setup(dead, true).text('/signals/signal-1')).not.toContain(button);
    expect(await setup(waiting).text('/signals/signal-1')).not.toContain(button);
  });

  it('is noted with who asked for it, and leads back to the signal', async () => {
    const asked: [string, string][] = [];
    const logged: object[] = [];
    const { post, text } = setup({
      ...dead,
      redrive: async (signalId, by) => {
        asked.push([signalId, by]);
        return { kind: 'redriven' };
      },
      log: (fields, message) => logged.push({ ...fields, message }),
    });

    const answer = await post('/signals/signal-1/redrive');

    expect([answer.status, answer.headers.get('location')]).toEqual([
      303,
      '/signals/signal-1?asked',
    ]);
    expect(asked).toEqual([['signal-1', 'board:ops']]);
    expect(logged).toEqual([
      { by: 'ops', signalId: 'signal-1', outcome: 'redriven', message: 'Redrive requested' },
    ]);
    const page = await text('/signals/signal-1?asked');
    expect(page).toContain('content="2; url=/signals/signal-1"');
    expect(page).not.toContain(button);
  });

  it.each([
    { redriven: { kind: 'not-found' as const }, status: 409, says: 'no dead letter any more' },
    { redriven: { kind: 'busy' as const }, status: 409, says: 'on its way back' },
    {
      redriven: { kind: 'invalid' as const, invalidFields: { '/token': 'Must not be <empty>' } },
      ...{ status: 422, says: '/token: Must not be &lt;empty&gt;' },
    },
  ])('says why it is not done: $redriven.kind', async ({ redriven, status, says }) => {
    const { post } = setup({ ...dead, redrive: async () => redriven });

    const answer = await post('/signals/signal-1/redrive');

    expect(answer.status).toBe(status);
    expect(await answer.text()).toContain(says);
  });

  it('is refused to who may only look', async () => {
    const redrive = () => Promise.reject(new Error('done'));
    const { post } = setup({ ...dead, redrive }, true);

    expect((await post('/signals/signal-1/redrive')).status).toBe(403);
  });
});

describe('the search', () => {
  it('goes to the one signal with that id', async () => {
    const { get } = setup({ find: async () => record() });

    const answer = await get('/signals?q=%20signal-1%20');

    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/signals/signal-1']);
  });

  it('lists what it finds otherwise, and keeps what was looked for in the field', async () => {
    const sought: string[] = [];
    const { text } = setup({
      search: async (value) => {
        sought.push(value);
        return [record({ signalId: 'one' }), record({ signalId: 'two', state: 'delivered' })];
      },
    });

    const html = await text('/signals?q=request%221');

    expect(sought).toEqual(['request"1']);
    expect(html).toContain('href="/signals/one"');
    expect(html).toContain('<td class="good">delivered</td>');
    expect(html).toContain('value="request&quot;1"');
  });

  it.each(['', '%20', '%00'])('does not look for %p', async (value) => {
    const { get } = setup({ search: () => Promise.reject(new Error('asked')) });

    expect((await get(`/signals?q=${value}`)).status).toBeLessThan(400);
  });
});
