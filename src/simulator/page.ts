import { html } from 'hono/html';

import type { AccessTokens } from './accessTokens.ts';
import type { Faults } from './faults.ts';
import {
  type AcceptedSignal,
  type RecordedRequest,
  type RingBuffer,
  viewFault,
  viewRequest,
  viewSignal,
} from './records.ts';

const MAX_ROWS = 50;

type Deps = {
  signals: RingBuffer<AcceptedSignal>;
  requests: RingBuffer<RecordedRequest>;
  faults: Faults;
  tokens: AccessTokens;
};

const table = (title: string, columns: string[], rows: unknown[][]) => html`
  <h2>${title}</h2>
  <table>
    <tr>${columns.map((column) => html`<th>${column}</th>`)}</tr>
    ${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}
  </table>
  ${rows.length === 0 ? html`<p>None.</p>` : ''}`;

const newest = <T>(records: RingBuffer<T>): T[] => records.list().slice(-MAX_ROWS).toReversed();

/** A page with the active faults, and the newest signals and requests. `html` escapes every value. */
export const renderPage = ({ signals, requests, faults, tokens }: Deps) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<title>SEEK simulator</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ccc; padding: 0.2rem 1rem 0.2rem 0; text-align: left; vertical-align: top; }
</style>
</head>
<body>
<h1>SEEK simulator</h1>
<p>${signals.total()} signals accepted, ${requests.total()} requests, ${tokens.issued()} access tokens issued.</p>
${table(
  'Active faults',
  ['id', 'fault', 'times applied'],
  faults
    .list()
    .map(viewFault)
    .map(({ id, struck, ...fault }) => [id, JSON.stringify(fault), struck]),
)}
${table(
  'Latest signals',
  ['received', 'type', 'token', 'candidate application profile', 'position profiles', 'status'],
  newest(signals)
    .map(viewSignal)
    .map(({ receivedAt, input }) => [
      receivedAt,
      input.typeCode,
      input.token,
      input.candidateApplicationProfileId,
      input.positionProfileIds?.join(', '),
      input.current?.status.label,
    ]),
)}
${table(
  'Latest requests',
  ['received', 'X-Request-Id', 'outcome', 'fault', 'signals'],
  newest(requests)
    .map(viewRequest)
    .map(({ receivedAt, requestId, outcome, fault, signalCount }) => [
      receivedAt,
      requestId,
      outcome,
      fault,
      signalCount,
    ]),
)}
</body>
</html>`;
