import type { Context } from 'hono';
import { html } from 'hono/html';

import type { QueueFailure } from '../../queue/failure.ts';
import { page } from './layout.ts';

const RETRY_AFTER_SECONDS = 5;
const HEADERS = { 'retry-after': String(RETRY_AFTER_SECONDS) };

/**
 * The answer while Redis is unavailable or slow: a page that reloads itself, or one line of text for a script.
 * `failure` names hosts, so it is for a logged-in reader only.
 */
export const queueUnavailable = (
  c: Context,
  failure?: QueueFailure,
): Response | Promise<Response> => {
  const acceptsHtml = c.req.header('accept')?.includes('text/html') ?? false;
  const details = failure === undefined ? '' : `: ${failure.message}`;
  if (!acceptsHtml) return c.text(`The queue does not answer${details}\n`, 503, HEADERS);
  // Only a GET is repeated automatically: repeating a write could redrive a signal that the operator gave up on.
  const refresh = c.req.method === 'GET' ? { seconds: RETRY_AFTER_SECONDS } : undefined;
  const body = html`<div class="notice bad"><b class="bad">The queue does not answer.</b>
      <code>seek-signals check</code> shows what is wrong with Redis.</div>
    ${failure === undefined ? '' : html`<p><code>${failure.code}</code> ${failure.message}</p>`}
    <p>What Redis has stored is not lost. Until Redis answers again, producers accept no signals and workers wait;
      they then continue by themselves. See docs/operations/runbook.md, “Redis does not answer”.</p>
    <footer>As of <code>${new Date().toISOString()}</code> (UTC).${refresh === undefined ? '' : html` This page reloads every ${RETRY_AFTER_SECONDS} seconds.`}</footer>`;
  return c.html(page({ title: 'The queue does not answer', refresh, body }), 503, HEADERS);
};
