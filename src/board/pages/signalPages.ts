import { html } from 'hono/html';

import type { Attempt } from '../../schemas/signalJob.ts';
import type { SignalLife, SignalState } from '../../schemas/states.ts';
import { hintOf } from './codeHints.ts';
import { ago, type Html, lasting, page, QUEUES, table } from './layout.ts';
import { signalLink } from './overview.ts';

const COLOUR: Record<SignalState, string> = {
  ...{ waiting: '', active: '', retrying: 'warn' },
  ...{ delivered: 'good', skipped: 'warn', dead: 'bad' },
};

/** Everything about one signal, for whoever was asked what became of it. */
export const signalPage = (life: SignalLife, now: number): Html => {
  const { signalId, typeCode, state, reason, acceptedAt, acceptedFrom, redrives } = life;
  const code = life.attempts.at(-1)?.code;
  const facts: [string, Html | string][] = [
    ['state', html`<b class="${COLOUR[state]}">${state}</b> ${reason ?? ''}`],
    ['type', typeCode],
    [
      'accepted',
      html`<code>${acceptedAt}</code>, ${ago(acceptedAt, now)}${acceptedFrom === undefined ? '' : `, from ${acceptedFrom}`}`,
    ],
  ];
  if (redrives > 0) facts.push(['redriven', redrives === 1 ? 'once' : `${redrives} times`]);
  if (life.nextAttemptAt !== undefined) {
    const seconds = (Date.parse(life.nextAttemptAt) - now) / 1000;
    facts.push([
      'next attempt',
      html`<code>${life.nextAttemptAt}</code>${seconds > 0 ? `, in ${lasting(seconds)}` : ', due'}`,
    ]);
  }
  if (life.lastDeferral !== undefined) {
    const { at, code: why, reason: said } = life.lastDeferral;
    facts.push(['put off', html`<code>${at}</code>, no attempt spent: ${why}: ${said}`]);
  }
  if (state === 'dead' && code !== undefined && hintOf(code) !== '')
    facts.push(['hint', hintOf(code)]);

  return page({
    title: signalId,
    sought: signalId,
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
        life.attempts.map(attemptRow),
        'none yet',
      ),
      html`${boardLink(life)}`,
    ],
  });
};

const attemptRow = (attempt: Attempt, index: number): Html => {
  const { at, outcome, durationMs, requestId, code, reason, bound } = attempt;
  return html`<tr>
    <td class="number">${index + 1}</td>
    <td><code>${at}</code></td>
    <td>${outcome}</td>
    <td class="number">${durationMs} ms</td>
    <td><code>${requestId ?? ''}</code></td>
    <td>${[code, reason].filter(Boolean).join(': ')}
      ${bound === undefined ? '' : html`<span class="dim">seek token: ${bound.source} of ${bound.receivedAt}${bound.expired ? ', expired' : ''}</span>`}</td>
  </tr>`;
};

/** Where something can be done about it. */
const boardLink = ({ signalId, state }: SignalLife): Html | string => {
  const name = encodeURIComponent(signalId);
  switch (state) {
    case 'dead':
      return html`<p><a href="${QUEUES}/queue/dead-letters/${name}?status=failed">Its letter in Bull Board</a>, where Retry sends it again.</p>`;
    case 'retrying':
      return html`<p><a href="${QUEUES}/queue/signals/${name}?status=delayed">Its job in Bull Board</a>, where Promote tries it at once.</p>`;
    default:
      return '';
  }
};

/** What was found by what people have at hand. */
export const foundPage = (sought: string, lives: SignalLife[], now: number): Html =>
  page({
    title: 'Find',
    sought,
    body: [
      html`<h2>Signals with <code>${sought}</code></h2>`,
      table(
        ['accepted', 'signal', 'type', 'state', 'reason'],
        lives.map(
          ({ acceptedAt, signalId, typeCode, state, reason, attempts }) => html`<tr>
            <td>${ago(acceptedAt, now)}</td>
            <td>${signalLink(signalId)}</td>
            <td>${typeCode}</td>
            <td class="${COLOUR[state]}">${state}</td>
            <td>${reason ?? attempts.at(-1)?.reason ?? ''}</td>
          </tr>`,
        ),
        'None is kept. Signals that were delivered can be found for a time (KEEP_DELIVERED_MS); dead letters until somebody deals with them.',
      ),
    ],
  });

export const noSignalPage = (sought: string): Html => foundPage(sought, [], 0);
