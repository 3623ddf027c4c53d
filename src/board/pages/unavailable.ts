import type { Context } from 'hono';
import { html } from 'hono/html';

import { page } from './layout.ts';

const RETRY_AFTER_SECONDS = 5;
const HEADERS = { 'retry-after': String(RETRY_AFTER_SECONDS) };

/** Redis is away, or too slow: a page that asks again by itself, and a line of text for a program. */
export const noAnswer = (c: Context): Response | Promise<Response> => {
  const isSeen = c.req.header('accept')?.includes('text/html') ?? false;
  if (!isSeen) return c.text('The queue does not answer\n', 503, HEADERS);
  // What was to be done is not to be done by itself.
  const refresh = c.req.method === 'GET' ? { seconds: RETRY_AFTER_SECONDS } : undefined;
  const body = html`<div class="lane bad"><b class="bad">The queue does not answer.</b>
      <code>seek-signals check</code> says what is wrong with Redis.</div>
    <p>Nothing that Redis has written down is lost by it. Callers are told that nothing is accepted meanwhile, and workers go on
      by themselves when it is back: docs/operations/runbook.md, “Redis does not answer”.</p>
    <footer>As of <code>${new Date().toISOString()}</code>, which is UTC${refresh === undefined ? '' : html`; anew every ${RETRY_AFTER_SECONDS} seconds`}.</footer>`;
  return c.html(page({ title: 'No answer', refresh, body }), 503, HEADERS);
};
