import { html } from 'hono/html';

import type { Attempt } from '../../schemas/signalJob.ts';
import type { SignalRecord, SignalState } from '../../schemas/signalRecord.ts';
import { hintOf } from './errorCodes.ts';
import { ago, formatSeconds, type Html, number, page, QUEUES, table } from './layout.ts';
import { signalLink, signalPath } from './overview.ts';

const COLOUR: Record<SignalState, string> = {
  waiting: '',
  active: '',
  retrying: 'warn',
  delivered: 'good',
  skipped: 'warn',
  dead: 'bad',
};

const REFRESH_SECONDS = 10;
// After a redrive request the state changes soon.
const REDRIVE_REFRESH_SECONDS = 2;
const FINAL_STATES: ReadonlySet<SignalState> = new Set(['delivered', 'skipped', 'dead']);

type SignalPageOptions = {
  now: number;
  /** Shows the button that redrives a dead letter. */
  mayRedrive: boolean;
  /** The operator has just requested a redrive. */
  isRedriveRequested: boolean;
};

/** Everything that is known of one signal. */
export const signalPage = (record: SignalRecord, options: SignalPageOptions): Html => {
  const { signalId } = record;
  const { now, mayRedrive, isRedriveRequested } = options;

  return page({
    title: signalId,
    query: signalId,
    refresh: refreshOf(record, isRedriveRequested),
    body: [
      html`<h2>Signal <code>${signalId}</code></h2>`,
      table(
        [],
        factsOf(record, now).map(
          ([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`,
        ),
        '',
      ),
      html`<h2>Attempts</h2>`,
      table(
        ['#', 'at', 'outcome', 'took', 'X-Request-Id', 'answer'],
        record.attempts.map(attemptRow),
        'none yet',
      ),
      html`${isRedriveRequested ? html`<p><b>The signal is being returned to the queue.</b></p>` : actions(record, mayRedrive)}`,
    ],
  });
};

const refreshOf = ({ signalId, state }: SignalRecord, isRedriveRequested: boolean) => {
  if (isRedriveRequested) return { seconds: REDRIVE_REFRESH_SECONDS, path: signalPath(signalId) };
  return FINAL_STATES.has(state) ? undefined : { seconds: REFRESH_SECONDS };
};

type Fact = [name: string, value: Html | string];

const factsOf = (record: SignalRecord, now: number): Fact[] => {
  const { typeCode, state, reason } = record;
  const code = record.attempts.at(-1)?.code;
  const hint = state === 'dead' && code !== undefined ? hintOf(code) : '';

  return [
    ['state', html`<b class="${COLOUR[state]}">${state}</b> <bdi>${reason ?? ''}</bdi>`],
    ['type', typeCode],
    acceptedFact(record, now),
    ...identifierFacts(record),
    ...(record.redriveLog ?? []).map(
      ({ at, by }): Fact => [
        'redriven',
        html`<code>${at}</code>${by === undefined ? '' : `, by ${by}`}`,
      ],
    ),
    ...scheduleFacts(record, now),
    ...(hint === '' ? [] : [['hint', hint] satisfies Fact]),
  ];
};

const acceptedFact = ({ acceptedAt, acceptedFrom }: SignalRecord, now: number): Fact => {
  const sender = acceptedFrom === undefined ? '' : `, from ${acceptedFrom}`;
  return ['accepted', html`<code>${acceptedAt}</code>, ${ago(acceptedAt, now)}${sender}`];
};

const identifierFacts = (record: SignalRecord): Fact[] => {
  const facts: Fact[] = [];
  const {
    applicationId,
    candidateApplicationProfileId,
    positionId,
    positionProfileIds = [],
  } = record;
  if (applicationId !== undefined) facts.push(['application', html`<bdi>${applicationId}</bdi>`]);
  if (candidateApplicationProfileId !== undefined) {
    facts.push(['application profile', html`<code>${candidateApplicationProfileId}</code>`]);
  }
  if (positionId !== undefined) facts.push(['position', html`<bdi>${positionId}</bdi>`]);
  for (const id of positionProfileIds) facts.push(['position', html`<code>${id}</code>`]);
  return facts;
};

const scheduleFacts = ({ nextAttemptAt, lastDeferral }: SignalRecord, now: number): Fact[] => {
  const facts: Fact[] = [];
  if (nextAttemptAt !== undefined) {
    const seconds = (Date.parse(nextAttemptAt) - now) / 1000;
    const due = seconds > 0 ? `, in ${formatSeconds(seconds)}` : ', due';
    facts.push(['next attempt', html`<code>${nextAttemptAt}</code>${due}`]);
  }
  if (lastDeferral !== undefined) {
    const { at, code, reason } = lastDeferral;
    facts.push([
      'deferred',
      html`<code>${at}</code>, without an attempt: <bdi>${code}: ${reason}</bdi>`,
    ]);
  }
  return facts;
};

const attemptRow = (attempt: Attempt, index: number): Html => {
  const { at, outcome, durationMs, requestId, code, reason, seekAnswer, tokenUsed } = attempt;
  return html`<tr>
    <td class="number" data-of="#">${index + 1}</td>
    <td><code>${at}</code></td>
    <td>${outcome}</td>
    <td class="number" data-of="took">${number(durationMs)} ms</td>
    <td data-of="X-Request-Id"><code>${requestId ?? ''}</code></td>
    <td><bdi>${[code, reason].filter(Boolean).join(': ')}</bdi>
      ${seekAnswer === undefined ? '' : html`<span class="warn">no errors, but <bdi>${JSON.stringify(seekAnswer)}</bdi> instead of true</span>`}
      ${tokenUsed === undefined ? '' : html`<span class="dim">seek token: ${tokenUsed.source} of ${tokenUsed.receivedAt}${tokenUsed.expired ? ', expired' : ''}</span>`}</td>
  </tr>`;
};

/** What the operator can do about the signal in its present state. */
const actions = ({ signalId, state }: SignalRecord, mayRedrive: boolean): Html | string => {
  const name = encodeURIComponent(signalId);
  switch (state) {
    case 'dead':
      return html`${
        mayRedrive
          ? html`<form method="post" action="${signalPath(signalId)}/redrive">
              <p><button>Redrive</button> Returns the signal to the queue, with all its attempts available again.</p>
            </form>`
          : ''
      }
      <p><a href="${QUEUES}/queue/dead-letters/${name}?status=failed">Dead letter in Bull Board</a></p>`;
    case 'retrying':
      return html`<p><a href="${QUEUES}/queue/signals/${name}?status=delayed">Job in Bull Board</a>, where Promote attempts the signal immediately.</p>`;
    default:
      return '';
  }
};

/** The signals that a search found, by any identifier. */
export const searchResultsPage = (query: string, records: SignalRecord[], now: number): Html =>
  page({
    title: 'Find',
    query,
    body: [
      html`<h2>Signals with <code>${query}</code></h2>`,
      table(
        ['accepted', 'signal', 'type', 'state', 'reason'],
        records.map(
          ({ acceptedAt, signalId, typeCode, state, reason, attempts }) => html`<tr>
            <td>${ago(acceptedAt, now)}</td>
            <td>${signalLink(signalId)}</td>
            <td>${typeCode}</td>
            <td class="${COLOUR[state]}">${state}</td>
            <td><bdi class="brief">${reason ?? attempts.at(-1)?.reason ?? ''}</bdi></td>
          </tr>`,
        ),
        'No signal is stored under exactly this value. Delivered signals can be found for a time (KEEP_DELIVERED_MS), dead letters until they are redriven or discarded.',
      ),
    ],
  });

export const notFoundPage = (query: string): Html => searchResultsPage(query, [], 0);

/** Shows why a redrive was refused. */
export const refusalPage = (signalId: string, reason: string): Html =>
  page({
    title: signalId,
    query: signalId,
    body: html`<h2>Signal ${signalLink(signalId)}</h2><p class="bad">${reason}</p>`,
  });
