import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** The path of Bull Board. */
export const QUEUES = '/queues';

const STYLE = html`<style>
  :root { color-scheme: light dark; --ink: #1b2430; --dim: #5b6776; --line: #d8dee6; --edge: #808b99; --card: #fff; --page: #f4f6f9;
    --good: #157347; --warn: #9a6700; --bad: #b42318; --wait: #2563eb; --retry: #b7791f; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --dim: #97a3b2; --line: #303a46; --edge: #6b7888; --card: #1a212a;
    --page: #11161d; --good: #4cc38a; --warn: #e2a336; --bad: #ff7369; --wait: #6aa1ff; --retry: #e2a336; } }
  * { box-sizing: border-box; }
  body { margin: 0; font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--page); }
  header, main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
  header { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; }
  header form { margin-left: auto; display: flex; gap: .4rem; flex: 0 1 26rem; }
  input { flex: 1; min-width: 0; font: inherit; padding: .3rem .5rem; border: 1px solid var(--edge); border-radius: 4px;
    background: var(--card); color: inherit; }
  button { font: inherit; padding: .3rem .8rem; border: 1px solid var(--edge); border-radius: 4px; background: var(--card);
    color: inherit; cursor: pointer; }
  a { color: var(--wait); }
  :focus-visible { outline: 2px solid var(--wait); outline-offset: 2px; }
  h1 { font-size: 1.1rem; margin: 0; } h1 a { color: inherit; text-decoration: none; }
  h2 { font-size: 1rem; margin: 1.6rem 0 .5rem; } main > h2:first-child { margin-top: 0; }
  .cards { display: grid; grid-template-columns: repeat(3, 1fr); gap: .6rem; }
  .card, .notice, table { background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
  .card { padding: .6rem .8rem; } .card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
  .card svg { display: block; width: 100%; height: 3.5rem; margin-top: .4rem; }
  .notice { padding: .7rem .9rem; margin-bottom: .8rem; border-left: 5px solid var(--good); }
  .notice.bad { border-left-color: var(--bad); } .notice.warn { border-left-color: var(--warn); }
  .good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); } .dim, .none { color: var(--dim); }
  .scroll { overflow-x: auto; } .notice, p { overflow-wrap: anywhere; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: .35rem .7rem; border-top: 1px solid var(--line); vertical-align: top; }
  td { overflow-wrap: break-word; } bdi { overflow-wrap: anywhere; } td > time { white-space: nowrap; }
  tr:first-child > * { border-top: 0; } th { font-weight: 600; color: var(--dim); }
  .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  code { font: .87em ui-monospace, monospace; overflow-wrap: anywhere; }
  .brief { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden; }
  meter { width: 100%; height: .7rem; }
  footer { margin-top: 1.6rem; color: var(--dim); }
  @media (min-width: 48.01rem) { .list code { white-space: nowrap; } }
  @media (max-width: 48rem) {
    .cards { grid-template-columns: repeat(2, 1fr); }
    .list tr { display: block; border-top: 1px solid var(--line); padding: .35rem 0; } .list tr.head { display: none; }
    .list td { display: block; border: 0; padding: .05rem .7rem; text-align: left; } .list td:empty { display: none; }
    .list td[data-of]::before { content: attr(data-of) ": "; color: var(--dim); }
  }
</style>`;

type PageOptions = {
  title: string;
  /** The text of the search field. */
  query?: string;
  /** The browser loads `path`, or the same page, after this many seconds. */
  refresh?: { seconds: number; path?: string } | undefined;
  body: Html | Html[];
};

/** A whole page. It loads nothing else: no script, no font, nothing from another host. */
export const page = ({ title, query = '', refresh, body }: PageOptions): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        ${refresh === undefined ? '' : html`<meta http-equiv="refresh" content="${refresh.seconds}${refresh.path === undefined ? '' : `; url=${refresh.path}`}" />`}
        <title>${title === '' ? '' : `${title} · `}SEEK signals</title>
        <link rel="icon" href="data:," />
        ${STYLE}
      </head>
      <body>
        <header>
          <h1><a href="/">SEEK signals</a></h1>
          <a href="${QUEUES}/queue/signals">signals</a>
          <a href="${QUEUES}/queue/dead-letters?status=failed">dead letters</a>
          <form action="/signals">
            <input name="q" value="${query}" aria-label="Find a signal" required
              placeholder="signal, X-Request-Id, application, position" />
            <button>Find</button>
          </form>
        </header>
        <main>${body}</main>
      </body>
    </html>`;

// Columns of numbers are right-aligned.
const NUMBER_COLUMNS = new Set(['#', 'took', 'last hour', 'last 24 hours']);

/** On a narrow screen each row becomes a list, and a cell shows its column name from `data-of`. */
export const table = (head: string[], rows: Html[], emptyText: string): Html =>
  rows.length === 0
    ? html`<p class="none">${emptyText}</p>`
    : html`<div class="scroll"><table class="${head.length === 0 ? '' : 'list'}">
        ${head.length === 0 ? '' : html`<tr class="head">${head.map(heading)}</tr>`}
        ${rows}
      </table></div>`;

const heading = (title: string): Html =>
  html`<th class="${NUMBER_COLUMNS.has(title) ? 'number' : ''}">${title}</th>`;

/** How long ago a time was. The tooltip shows the time. */
export const ago = (at: string | number, now: number): Html => {
  const time = new Date(at);
  return html`<time datetime="${time.toISOString()}" title="${time.toISOString()}"
    >${formatSeconds(Math.max(0, now - time.getTime()) / 1000)} ago</time
  >`;
};

export const formatSeconds = (seconds: number): string => {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 360) / 10} h`;
  return `${Math.round(seconds / 8_640) / 10} days`;
};

export const number = (count: number): string => count.toLocaleString('en');
