import { Hono } from 'hono';
import { queueUnavailable } from '../../../src/board/pages/unavailable.ts';

describe('page for a queue that does not answer', () => {
  const app = new Hono().all('*', (c) => queueUnavailable(c));
  const request = (method: string, accept: string) =>
    app.request('/x', { method, headers: { accept } });

  it('browser → 503 with instructions; the page reloads after a read, but not after a write', async () => {
    const read = await request('GET', 'text/html,*/*');
    const write = await request('POST', 'text/html,*/*');

    expect([read.status, read.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await read.text()).toMatch(/http-equiv="refresh" content="5".*seek-signals check/s);
    expect(write.status).toBe(503);
    expect(await write.text()).not.toContain('http-equiv');
  });

  it('failure is known, to a logged-in reader → the page and the text name it', async () => {
    const failure = { code: 'NOREPLICAS', message: 'Redis at a:6379 refuses: <b>' };
    const explained = new Hono().all('*', (c) => queueUnavailable(c, failure));

    const page = await explained.request('/x', { headers: { accept: 'text/html' } });
    const text = await explained.request('/x');

    expect(await page.text()).toContain(
      '<code>NOREPLICAS</code> Redis at a:6379 refuses: &lt;b&gt;',
    );
    expect(await text.text()).toBe('The queue does not answer: Redis at a:6379 refuses: <b>\n');
  });

  it('script → one line of text', async () => {
    expect(await (await request('GET', '*/*')).text()).toBe('The queue does not answer\n');
  });
});
