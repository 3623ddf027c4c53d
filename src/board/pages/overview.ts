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
import { ago, type Html, lasting, number, page, QUEUES, table } from './layout.ts';

const HOUR_MS = 3_600_000;
export const SHOWN_MS = 24 * HOUR_MS;
const REFRESH_SECONDS = 30;
// SEEK wants a signal within 24 hours at the latest (developer.seek.com, "Sending signals"). The alerts have the same steps.
const [LATEST_SECONDS, LATE_SECONDS, WARN_SECONDS] = [24 * 3_600, 12 * 3_600, 3_600];

export type Overview = {
  status: QueueStatus;
  workerStats: Awaited<ReturnType<WorkerStats['read']>>;
  /** `undefined`: they could not be read in time. */
  deadLetters: DeadLetterView[] | undefined;
};

/** How things stand, for somebody who has been woken. */
export const overviewPage = ({ status, workerStats, deadLetters }: Overview, now: number): Html =>
  page({
    title: '',
    refresh: { seconds: REFRESH_SECONDS },
    body: [
      delivery(status.delivery, now, status.workers > 0),
      workers(workerStats.workers, workerStats.now),
      counts(status, workerStats.buckets, now),
      oldest(status.oldestUnsent),
      html`<h2>What SEEK answered, by code</h2>`,
      answers(workerStats.buckets, now),
      html`<h2>Newest dead letters</h2>`,
      deadLetters === undefined
        ? html`<p class="warn">They could not be read in time: see Bull Board.</p>`
        : newest(deadLetters, status.counts.dead, now),
      html`<footer>As of <code>${new Date(now).toISOString()}</code>, which is UTC; anew every ${REFRESH_SECONDS} seconds.</footer>`,
    ],
  });

const delivery = (view: DeliveryView, now: number, isManned: boolean): Html =>
  view.state === 'running'
    ? html`<div class="lane"><b class="good">Delivery to SEEK is running.</b></div>`
    : html`<div class="lane bad"><b class="bad">Delivery to SEEK has been suspended</b> for ${lasting(view.seconds)},
        since <code>${view.since}</code>: <bdi>${view.code}: ${view.reason}</bdi>. <span class="dim">${hintOf(view.code)}</span><br />
        Signals wait meanwhile. ${nextTry(view.nextProbeAt, now, isManned)}</div>`;

const nextTry = (at: string, now: number, isManned: boolean): Html => {
  if (!isManned) return html`<b class="bad">Nobody tries it: no worker is alive.</b>`;
  const seconds = (Date.parse(at) - now) / 1000;
  return seconds >= 0
    ? html`Next try in ${lasting(seconds)}.`
    : html`A try has been due for ${lasting(-seconds)}.`;
};

const workers = (heard: SeenWorker[], now: number): Html => {
  const alive = heard.filter((worker) => isAlive(worker, now));
  const silent = heard.filter((worker) => !isAlive(worker, now));
  const names = (some: SeenWorker[]) =>
    some.map(
      ({ worker, at }) => html` <code>${worker}</code> <span class="dim">(${ago(at, now)})</span>`,
    );
  const state = alive.length === 0 ? 'bad' : silent.length > 0 ? 'warn' : '';
  return html`<div class="lane ${state}">
    <b class="${state || 'good'}">${alive.length === 0 ? 'No worker is alive' : `Workers alive: ${alive.length}`}</b>
    ${alive.length <= 5 ? names(alive) : ''}
    ${alive.length === 0 ? html`<br />Nothing is sent until one is started: <code>seek-signals worker</code>` : ''}
    ${silent.length === 0 ? '' : html`<br />Not heard of any more: ${names(silent)}`}
  </div>`;
};

type Charted = 'waiting' | 'retrying' | 'dead';
const COLOURS: Record<Charted, string> = {
  waiting: 'var(--wait)',
  retrying: 'var(--retry)',
  dead: 'var(--bad)',
};

const counts = ({ counts: of }: QueueStatus, buckets: StatsBucket[], now: number): Html => {
  const charted = (state: Charted, link: string) => {
    const points = [
      ...buckets.map((moment) => ({ at: moment.at, value: moment[state] })),
      { at: now, value: of[state] },
    ];
    return html`<div class="card"><a href="${QUEUES}/queue/${link}">${state}</a>
      <b class="${state === 'dead' && of.dead > 0 ? 'bad' : ''}">${number(of[state])}</b>
      ${chart(points, now - SHOWN_MS, now, COLOURS[state])}
      <span class="dim">24 hours, at most ${number(Math.max(...points.map(({ value }) => value)))}</span></div>`;
  };
  const plain = (state: 'active' | 'delivered' | 'skipped', note: string) =>
    html`<div class="card">${state}<b>${number(of[state])}</b><span class="dim">${note}</span></div>`;
  return html`<div class="cards">
    ${charted('waiting', 'signals?status=waiting')} ${charted('retrying', 'signals?status=delayed')}
    ${charted('dead', 'dead-letters?status=failed')}
    ${plain('active', 'in hand now')} ${plain('delivered', 'in the last 24 hours')}
    ${plain('skipped', 'in the last 24 hours')}
  </div>`;
};

const oldest = (unsent: QueueStatus['oldestUnsent']): Html => {
  if (unsent === undefined) return html`<h2>Oldest unsent signal</h2><p class="none">none</p>`;
  const { ageSeconds: age, signalId, acceptedAt } = unsent;
  const urgency = age > LATE_SECONDS ? 'bad' : age > WARN_SECONDS ? 'warn' : 'good';
  return html`<h2>Oldest unsent signal</h2>
    <p><b class="${urgency}">${lasting(age)}</b> old, of the 24 hours that SEEK allows: ${signalLink(signalId)},
      accepted <code>${acceptedAt}</code>
      <meter min="0" max="${LATEST_SECONDS}" low="${WARN_SECONDS}" high="${LATE_SECONDS}" optimum="0"
        value="${Math.min(age, LATEST_SECONDS)}"></meter></p>`;
};

const answers = (buckets: StatsBucket[], now: number): Html => {
  const lastHour = sum(buckets.filter(({ at }) => at > now - HOUR_MS));
  const all = sum(buckets);
  const rows = Object.entries(all)
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
    'no attempts in the last 24 hours, as far as workers have told by now',
  );
};

const sum = (buckets: StatsBucket[]): OutcomeCounts => {
  const total: OutcomeCounts = {};
  for (const { answers: of } of buckets) {
    for (const [code, count] of Object.entries(of)) total[code] = (total[code] ?? 0) + count;
  }
  return total;
};

const newest = (deadLetters: DeadLetterView[], dead: number, now: number): Html =>
  html`${deadLetters.length === 0 ? '' : whatToDo(deadLetters.length, dead)}${lettersTable(deadLetters, now)}`;

const whatToDo = (shown: number, dead: number): Html =>
  html`<p>${shown} of ${number(Math.max(dead, shown))}. How many of what, since when: <code>seek-signals dead-letters counts</code>.
    They stay until somebody decides: mend the cause, then redrive one on its page,
    or <a href="${QUEUES}/queue/dead-letters?status=failed">all in Bull Board</a>.</p>`;

const lettersTable = (deadLetters: DeadLetterView[], now: number): Html =>
  table(
    ['died', 'signal', 'type', 'why'],
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

const [WIDTH, HEIGHT] = [288, 56];

export type Point = { at: number; value: number };

/** A line from the beginning to the end of a time; where nobody looked, there is none. */
export const chart = (points: Point[], from: number, to: number, colour: string): Html => {
  const most = Math.max(1, ...points.map(({ value }) => value));
  const x = (at: number): number => Math.round(((at - from) / (to - from)) * WIDTH * 10) / 10;
  const y = (value: number): number => Math.round((1 - value / most) * (HEIGHT - 4) * 10) / 10 + 2;
  const path = points
    .map(({ at, value }, index) => {
      const before = points[index - 1];
      const goesOn = before !== undefined && at - before.at <= BUCKET_MS;
      return `${goesOn ? 'L' : 'M'}${x(at)} ${y(value)}${goesOn ? '' : 'h.5'}`;
    })
    .join('');

  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"
    aria-label="the last 24 hours, at most ${number(most)}">
    <path d="M0 ${HEIGHT - 2}H${WIDTH}" stroke="var(--line)" vector-effect="non-scaling-stroke" />
    <path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5" vector-effect="non-scaling-stroke" />
  </svg>`;
};
