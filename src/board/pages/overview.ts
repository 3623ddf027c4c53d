import { html } from 'hono/html';
import type { DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { DeliveryView } from '../../queue/breakerState.ts';
import type { QueueStatus } from '../../queue/status.ts';
import {
  BUCKET_MS,
  isAlive,
  type OutcomeCounts,
  type SeenWorker,
  type StatsBucket,
  type WorkerStats,
} from '../../queue/workerStats.ts';
import { hintOf } from './errorCodes.ts';
import { ago, formatSeconds, type Html, number, page, QUEUES, table } from './layout.ts';

const HOUR_MS = 3_600_000;
export const SHOWN_MS = 24 * HOUR_MS;
const REFRESH_SECONDS = 30;
// SEEK requires a signal within 24 hours (developer.seek.com, "Sending signals"). The alerts use the same thresholds.
const MAX_AGE_SECONDS = 24 * 3_600;
const CRITICAL_AGE_SECONDS = 12 * 3_600;
const WARNING_AGE_SECONDS = 3_600;
const MAX_NAMED_WORKERS = 5;

export type Overview = {
  status: QueueStatus;
  workerStats: Awaited<ReturnType<WorkerStats['read']>>;
  /** `undefined` if they could not be read in time. */
  deadLetters: DeadLetterView[] | undefined;
};

/** The state of the deployment. Problems come first: an operator opens this page after an alert. */
export const overviewPage = ({ status, workerStats, deadLetters }: Overview, now: number): Html =>
  page({
    title: '',
    refresh: { seconds: REFRESH_SECONDS },
    body: [
      delivery(status.delivery, now, status.workers > 0),
      workers(workerStats.workers, workerStats.now),
      counts(status, workerStats.buckets, now),
      oldest(status.oldestUnsent),
      html`<h2>SEEK's answers, by code</h2>`,
      answers(workerStats.buckets, now),
      html`<h2>Newest dead letters</h2>`,
      deadLetters === undefined
        ? html`<p class="warn">The dead letters could not be read in time. Bull Board lists them.</p>`
        : newest(deadLetters, status.counts.dead, now),
      html`<footer>As of <code>${new Date(now).toISOString()}</code> (UTC). This page reloads every ${REFRESH_SECONDS} seconds.</footer>`,
    ],
  });

const delivery = (view: DeliveryView, now: number, hasWorker: boolean): Html =>
  view.state === 'running'
    ? html`<div class="notice"><b class="good">Delivery to SEEK is running.</b></div>`
    : html`<div class="notice bad"><b class="bad">Delivery to SEEK is suspended</b> for ${formatSeconds(view.seconds)},
        since <code>${view.since}</code>: <bdi>${view.code}: ${view.reason}</bdi>. <span class="dim">${hintOf(view.code)}</span><br />
        Signals wait in the queue. ${nextProbe(view.nextProbeAt, now, hasWorker)}</div>`;

const nextProbe = (at: string, now: number, hasWorker: boolean): Html => {
  if (!hasWorker) return html`<b class="bad">No probe is sent, because no worker is alive.</b>`;
  const seconds = (Date.parse(at) - now) / 1000;
  return seconds >= 0
    ? html`Next probe in ${formatSeconds(seconds)}.`
    : html`A probe has been due for ${formatSeconds(-seconds)}.`;
};

const workers = (seen: SeenWorker[], now: number): Html => {
  const alive = seen.filter((worker) => isAlive(worker, now));
  const missing = seen.filter((worker) => !isAlive(worker, now));
  const names = (some: SeenWorker[]) =>
    some.map(
      ({ worker, at }) => html` <code>${worker}</code> <span class="dim">(${ago(at, now)})</span>`,
    );
  const severity = alive.length === 0 ? 'bad' : missing.length > 0 ? 'warn' : '';
  return html`<div class="notice ${severity}">
    <b class="${severity || 'good'}">${alive.length === 0 ? 'No worker is alive' : `Workers alive: ${alive.length}`}</b>
    ${alive.length <= MAX_NAMED_WORKERS ? names(alive) : ''}
    ${alive.length === 0 ? html`<br />No signal is sent until you start one: <code>seek-signals worker</code>` : ''}
    ${missing.length === 0 ? '' : html`<br />Workers without a heartbeat: ${names(missing)}`}
  </div>`;
};

type ChartedState = 'waiting' | 'retrying' | 'dead';
const COLOURS: Record<ChartedState, string> = {
  waiting: 'var(--wait)',
  retrying: 'var(--retry)',
  dead: 'var(--bad)',
};

const counts = ({ counts: current }: QueueStatus, buckets: StatsBucket[], now: number): Html => {
  const charted = (state: ChartedState, link: string) => {
    const points = [
      ...buckets.map((bucket) => ({ at: bucket.at, value: bucket[state] })),
      { at: now, value: current[state] },
    ];
    return html`<div class="card"><a href="${QUEUES}/queue/${link}">${state}</a>
      <b class="${state === 'dead' && current.dead > 0 ? 'bad' : ''}">${number(current[state])}</b>
      ${chart(points, now - SHOWN_MS, now, COLOURS[state])}
      <span class="dim">24 hours, at most ${number(Math.max(...points.map(({ value }) => value)))}</span></div>`;
  };
  const plain = (state: 'active' | 'delivered' | 'skipped', note: string) =>
    html`<div class="card">${state}<b>${number(current[state])}</b><span class="dim">${note}</span></div>`;
  return html`<div class="cards">
    ${charted('waiting', 'signals?status=waiting')} ${charted('retrying', 'signals?status=delayed')}
    ${charted('dead', 'dead-letters?status=failed')}
    ${plain('active', 'in flight now')} ${plain('delivered', 'in the last 24 hours')}
    ${plain('skipped', 'in the last 24 hours')}
  </div>`;
};

const oldest = (unsent: QueueStatus['oldestUnsent']): Html => {
  if (unsent === undefined) return html`<h2>Oldest unsent signal</h2><p class="none">none</p>`;
  const { ageSeconds: age, signalId, acceptedAt } = unsent;
  const urgency = age > CRITICAL_AGE_SECONDS ? 'bad' : age > WARNING_AGE_SECONDS ? 'warn' : 'good';
  return html`<h2>Oldest unsent signal</h2>
    <p><b class="${urgency}">${formatSeconds(age)}</b> old, of the 24 hours that SEEK allows: ${signalLink(signalId)},
      accepted <code>${acceptedAt}</code>
      <meter min="0" max="${MAX_AGE_SECONDS}" low="${WARNING_AGE_SECONDS}" high="${CRITICAL_AGE_SECONDS}" optimum="0"
        value="${Math.min(age, MAX_AGE_SECONDS)}"></meter></p>`;
};

const answers = (buckets: StatsBucket[], now: number): Html => {
  const lastHour = sum(buckets.filter(({ at }) => at > now - HOUR_MS));
  const lastDay = sum(buckets);
  const rows = Object.entries(lastDay)
    .sort(([, one], [, other]) => other - one)
    .map(
      ([code, count]) => html`<tr>
        <td class="${code === 'delivered' ? 'good' : ''}">${code}</td>
        <td class="number" data-of="last hour">${number(lastHour[code] ?? 0)}</td>
        <td class="number" data-of="last 24 hours">${number(count)}</td>
        <td class="dim">${hintOf(code)}</td>
      </tr>`,
    );
  return table(
    ['answer', 'last hour', 'last 24 hours', ''],
    rows,
    'No worker has reported an attempt in the last 24 hours.',
  );
};

const sum = (buckets: StatsBucket[]): OutcomeCounts => {
  const total: OutcomeCounts = {};
  for (const bucket of buckets) {
    for (const [code, count] of Object.entries(bucket.answers)) {
      total[code] = (total[code] ?? 0) + count;
    }
  }
  return total;
};

const newest = (deadLetters: DeadLetterView[], dead: number, now: number): Html =>
  html`${deadLetters.length === 0 ? '' : instructions(deadLetters.length, dead)}${deadLettersTable(deadLetters, now)}`;

const instructions = (shown: number, dead: number): Html =>
  html`<p>${shown} of ${number(Math.max(dead, shown))}. <code>seek-signals dead-letters counts</code> counts them by code and type.
    They stay until an operator redrives or discards them. Fix the cause, then redrive one on its page,
    or <a href="${QUEUES}/queue/dead-letters?status=failed">all in Bull Board</a>.</p>`;

const deadLettersTable = (deadLetters: DeadLetterView[], now: number): Html =>
  table(
    ['died', 'signal', 'type', 'reason'],
    deadLetters.map(
      ({ signalId, typeCode, code, reason, diedAt }) => html`<tr>
        <td>${ago(diedAt, now)}</td>
        <td>${signalLink(signalId)}</td>
        <td>${typeCode}</td>
        <td><bdi class="brief">${code}: ${reason}</bdi></td>
      </tr>`,
    ),
    'none',
  );

export const signalLink = (signalId: string): Html =>
  html`<a href="${signalPath(signalId)}"><code>${signalId}</code></a>`;

export const signalPath = (signalId: string): string => `/signals/${encodeURIComponent(signalId)}`;

const [CHART_WIDTH, CHART_HEIGHT] = [288, 56];

type Point = { at: number; value: number };

/** A line chart. The line is interrupted where buckets are missing, because no worker was alive. */
const chart = (points: Point[], from: number, to: number, colour: string): Html => {
  const max = Math.max(1, ...points.map(({ value }) => value));
  const x = (at: number): number => Math.round(((at - from) / (to - from)) * CHART_WIDTH * 10) / 10;
  const y = (value: number): number =>
    Math.round((1 - value / max) * (CHART_HEIGHT - 4) * 10) / 10 + 2;
  const path = points
    .map(({ at, value }, index) => {
      const previous = points[index - 1];
      const isConnected = previous !== undefined && at - previous.at <= BUCKET_MS;
      return `${isConnected ? 'L' : 'M'}${x(at)} ${y(value)}${isConnected ? '' : 'h.5'}`;
    })
    .join('');

  return html`<svg viewBox="0 0 ${CHART_WIDTH} ${CHART_HEIGHT}" preserveAspectRatio="none" role="img"
    aria-label="the last 24 hours, at most ${number(max)}">
    <path d="M0 ${CHART_HEIGHT - 2}H${CHART_WIDTH}" stroke="var(--line)" vector-effect="non-scaling-stroke" />
    <path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5" vector-effect="non-scaling-stroke" />
  </svg>`;
};
