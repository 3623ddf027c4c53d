import { html } from 'hono/html';

import type { Attempt } from '../../schemas/signalJob.ts';
import type { SignalRecord, SignalState } from '../../schemas/signalRecord.ts';
import { hintOf } from './errorCodes.ts';
import { ago, type Html, lasting, number, page, QUEUES, table } from './layout.ts';
import { signalLink, signalPath } from './overview.ts';

const COLOUR: Record<SignalState, string> = {
  ...{ waiting: '', active: '', retrying: 'warn' },
  ...{ delivered: 'good', skipped: 'warn', dead: 'bad' },
};

// What is on its way is looked at again; what was asked for just now, soon.
const [REFRESH_SECONDS, SOON_SECONDS] = [10, 2];
const SETTLED: ReadonlySet<SignalState> = new Set(['delivered', 'skipped', 'dead']);

type View = {
  now: number;
  /** Whoever looks may have it sent again. */
  mayRedrive: boolean;
  /** He has just asked for that. */
  isAsked: boolean;
};

/** Everything about one signal, for whoever was asked what became of it. */
export const signalPage = (record: SignalRecord, { now, mayRedrive, isAsked }: View): Html => {
  const { signalId, typeCode, state, reason, acceptedAt, acceptedFrom } = record;
  const code = record.attempts.at(-1)?.code;
  const facts: [string, Html | string][] = [
    ['state', html`<b class="${COLOUR[state]}">${state}</b> <bdi>${reason ?? ''}</bdi>`],
    ['type', typeCode],
    [
      'accepted',
      html`<code>${acceptedAt}</code>, ${ago(acceptedAt, now)}${acceptedFrom === undefined ? '' : `, from ${acceptedFrom}`}`,
    ],
  ];
  if (record.applicationId !== undefined)
    facts.push(['application', html`<bdi>${record.applicationId}</bdi>`]);
  if (record.candidateApplicationProfileId !== undefined)
    facts.push(['application profile', html`<code>${record.candidateApplicationProfileId}</code>`]);
  for (const id of record.positionProfileIds ?? [])
    facts.push(['position', html`<code>${id}</code>`]);
  for (const { at, by } of record.redriveLog ?? []) {
    facts.push(['redriven', html`<code>${at}</code>${by === undefined ? '' : `, by ${by}`}`]);
  }
  if (record.nextAttemptAt !== undefined) {
    const seconds = (Date.parse(record.nextAttemptAt) - now) / 1000;
    facts.push([
      'next attempt',
      html`<code>${record.nextAttemptAt}</code>${seconds > 0 ? `, in ${lasting(seconds)}` : ', due'}`,
    ]);
  }
  if (record.lastDeferral !== undefined) {
    const { at, code: why, reason: said } = record.lastDeferral;
    facts.push(['put off', html`<code>${at}</code>, no attempt spent: <bdi>${why}: ${said}</bdi>`]);
  }
  if (state === 'dead' && code !== undefined && hintOf(code) !== '')
    facts.push(['hint', hintOf(code)]);

  return page({
    title: signalId,
    sought: signalId,
    refresh: isAsked
      ? { seconds: SOON_SECONDS, path: signalPath(signalId) }
      : SETTLED.has(state)
        ? undefined
        : { seconds: REFRESH_SECONDS },
    body: [
      html`<h2>Signal <code>${signalId}</code></h2>`,
      table(
        [],
        facts.map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`),
        '',
      ),
      html`<h2>Attempts</h2>`,
      table(
        ['#', 'at', 'outcome', 'took', 'X-Request-Id', 'answer'],
        record.attempts.map(attemptRow),
        'none yet',
      ),
      html`${isAsked ? html`<p><b>It goes back to the queue.</b></p>` : whatToDo(record, mayRedrive)}`,
    ],
  });
};

const attemptRow = (attempt: Attempt, index: number): Html => {
  const { at, outcome, durationMs, requestId, code, reason, tokenUsed } = attempt;
  return html`<tr>
    <td class="number" data-of="#">${index + 1}</td>
    <td><code>${at}</code></td>
    <td>${outcome}</td>
    <td class="number" data-of="took">${number(durationMs)} ms</td>
    <td data-of="X-Request-Id"><code>${requestId ?? ''}</code></td>
    <td><bdi>${[code, reason].filter(Boolean).join(': ')}</bdi>
      ${tokenUsed === undefined ? '' : html`<span class="dim">seek token: ${tokenUsed.source} of ${tokenUsed.receivedAt}${tokenUsed.expired ? ', expired' : ''}</span>`}</td>
  </tr>`;
};

const whatToDo = ({ signalId, state }: SignalRecord, mayRedrive: boolean): Html | string => {
  const name = encodeURIComponent(signalId);
  switch (state) {
    case 'dead':
      return html`${
        mayRedrive
          ? html`<form method="post" action="${signalPath(signalId)}/redrive">
              <p><button>Redrive</button> It goes back to the queue, with a fresh set of attempts.</p>
            </form>`
          : ''
      }
      <p><a href="${QUEUES}/queue/dead-letters/${name}?status=failed">Its letter in Bull Board</a></p>`;
    case 'retrying':
      return html`<p><a href="${QUEUES}/queue/signals/${name}?status=delayed">Its job in Bull Board</a>, where Promote tries it at once.</p>`;
    default:
      return '';
  }
};

/** What was found by what people have at hand. */
export const foundPage = (sought: string, lookup: SignalRecord[], now: number): Html =>
  page({
    title: 'Find',
    sought,
    body: [
      html`<h2>Signals with <code>${sought}</code></h2>`,
      table(
        ['accepted', 'signal', 'type', 'state', 'reason'],
        lookup.map(
          ({ acceptedAt, signalId, typeCode, state, reason, attempts }) => html`<tr>
            <td>${ago(acceptedAt, now)}</td>
            <td>${signalLink(signalId)}</td>
            <td>${typeCode}</td>
            <td class="${COLOUR[state]}">${state}</td>
            <td><bdi class="brief">${reason ?? attempts.at(-1)?.reason ?? ''}</bdi></td>
          </tr>`,
        ),
        'None is kept under exactly that. Signals that were delivered can be found for a time (KEEP_DELIVERED_MS); dead letters until somebody deals with them.',
      ),
    ],
  });

/** Why nothing was done. */
export const refusedPage = (signalId: string, why: string): Html =>
  page({
    title: signalId,
    sought: signalId,
    body: html`<h2>Signal ${signalLink(signalId)}</h2><p class="bad">${why}</p>`,
  });

export const noSignalPage = (sought: string): Html => foundPage(sought, [], 0);
