import Table from 'cli-table3';
import colours from 'picocolors';
import type { OutboxReading } from '../../producer/outbox/rows.ts';
import type { DeliveryView } from '../../queue/breakerState.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { Attempt, Deferral, Redrive } from '../../schemas/signalJob.ts';
import type { SignalRecord, SignalReferences, SignalState } from '../../schemas/signalRecord.ts';

const COLOUR: Record<SignalState, (text: string) => string> = {
  waiting: colours.cyan,
  active: colours.blue,
  retrying: colours.yellow,
  delivered: colours.green,
  skipped: colours.magenta,
  dead: colours.red,
};

export const renderState = (state: SignalState): string => COLOUR[state](state);

const BORDERS = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
];
// No borders and no colours, so that other programs can process the lines.
const WITHOUT_BORDERS = {
  chars: { ...Object.fromEntries(BORDERS.map((name) => [name, ''])), middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

/** Aligns the cells of rows in columns, two spaces apart. */
export const columns = (rows: string[][], head: string[] = []): string => {
  const table = new Table({ ...WITHOUT_BORDERS, head });
  table.push(...rows);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
};

const renderSeconds = (seconds: number): string => {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
};

export const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);

/** A time that is long past shows that no worker is running. */
const renderDue = (at: string, now: number = Date.now()): string => {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  return seconds >= 0
    ? `in ${renderSeconds(seconds)} (${at})`
    : `overdue by ${renderSeconds(-seconds)} (${at})`;
};

export const renderDelivery = (delivery: DeliveryView): string =>
  delivery.state === 'running'
    ? 'running'
    : `${colours.red('suspended')} for ${renderSeconds(delivery.seconds)}, since ${delivery.since} (${delivery.code}: ${delivery.reason}); next probe ${renderDue(delivery.nextProbeAt)}`;

type StatusWithOutbox = QueueStatus & { outbox?: OutboxReading };

export const renderStatus = ({
  counts,
  oldestUnsent,
  workers,
  delivery,
  outbox,
}: StatusWithOutbox): string => {
  const countRow = (state: SignalState, note = '') => [
    renderState(state),
    String(counts[state]),
    note,
  ];
  const oldest =
    oldestUnsent === undefined
      ? 'none'
      : `${renderSeconds(oldestUnsent.ageSeconds)} (${oldestUnsent.signalId}, accepted ${oldestUnsent.acceptedAt})`;

  return [
    columns([
      countRow('waiting'),
      countRow('active'),
      countRow('retrying'),
      countRow('dead'),
      countRow('delivered', 'in the last 24 hours'),
      countRow('skipped', 'in the last 24 hours'),
    ]),
    '',
    `oldest unsent signal: ${oldest}`,
    `workers alive: ${workers === 0 ? colours.red('none') : workers}`,
    `delivery: ${renderDelivery(delivery)}`,
    ...(outbox === undefined ? [] : [renderOutbox(outbox)]),
  ].join('\n');
};

export const renderAttempts = (attempts: Attempt[]): string => {
  const hasTokenUsed = attempts.some(({ tokenUsed }) => tokenUsed !== undefined);
  return attempts.length === 0
    ? 'no attempts yet'
    : columns(
        attempts.map((attempt, index) => [
          String(index + 1),
          attempt.at,
          attempt.outcome,
          `${attempt.durationMs} ms`,
          attempt.requestId ?? '-',
          ...(hasTokenUsed ? [renderTokenUsed(attempt)] : []),
          renderAnswer(attempt),
        ]),
        [
          '#',
          'at',
          'outcome',
          'took',
          'X-Request-Id',
          ...(hasTokenUsed ? ['seek token'] : []),
          'answer',
        ],
      );
};

const renderOutbox = ({ pending, rejected, lagSeconds }: OutboxReading): string =>
  [
    pending === 0
      ? 'outbox: no pending rows'
      : `outbox: ${pending} pending, the oldest for ${renderSeconds(lagSeconds)}`,
    ...(rejected === 0 ? [] : [colours.red(`${rejected} rejected`)]),
  ].join('; ');

const renderDeferral = ({ at, code, reason }: Deferral): string =>
  `deferred without an attempt at ${at}: ${code}: ${reason}`;

export const renderRedrives = (log: Redrive[] = []): string[] =>
  log.map(({ at, by }) => `redriven: ${at}${by === undefined ? '' : ` by ${by}`}`);

export const renderSignal = (record: SignalRecord): string =>
  [
    `${record.typeCode} ${record.signalId}`,
    `state: ${renderState(record.state)}${record.reason === undefined ? '' : ` (${record.reason})`}`,
    `accepted: ${record.acceptedAt}${record.acceptedFrom === undefined ? '' : ` from ${record.acceptedFrom}`}${record.redrives > 0 ? `, redriven ${times(record.redrives)}` : ''}`,
    ...renderReferences(record),
    ...renderRedrives(record.redriveLog),
    ...(record.traceId === undefined ? [] : [`trace: ${record.traceId}`]),
    ...(record.nextAttemptAt === undefined ? [] : [`next attempt: ${record.nextAttemptAt}`]),
    ...(record.lastDeferral === undefined ? [] : [renderDeferral(record.lastDeferral)]),
    '',
    renderAttempts(record.attempts),
  ].join('\n');

export const renderSignals = (records: SignalRecord[]): string =>
  records.length === 0
    ? 'no signals found'
    : columns(
        records.map(({ signalId, typeCode, state, acceptedAt, attempts, reason }) => [
          signalId,
          typeCode,
          renderState(state),
          acceptedAt,
          String(attempts.length),
          reason ?? attempts.at(-1)?.reason ?? '',
        ]),
        ['signal', 'type', 'state', 'accepted', 'attempts', 'reason'],
      );

const renderAnswer = ({ code, reason, seekAnswer }: Attempt): string =>
  seekAnswer === undefined
    ? [code, reason].filter(Boolean).join(': ')
    : `no errors, but ${JSON.stringify(seekAnswer)} instead of true`;

const renderTokenUsed = ({ tokenUsed }: Attempt): string =>
  tokenUsed === undefined
    ? ''
    : `${tokenUsed.source} of ${tokenUsed.receivedAt}${tokenUsed.expired ? ', expired' : ''}`;

/** One line for each kind of identifier that the signal names. */
export const renderReferences = ({
  applicationId,
  candidateApplicationProfileId: profile,
  positionId,
  positionProfileIds,
}: SignalReferences): string[] => [
  ...(applicationId === undefined ? [] : [`application: ${applicationId}`]),
  ...(profile === undefined ? [] : [`candidate application profile: ${profile}`]),
  ...(positionId === undefined ? [] : [`position: ${positionId}`]),
  ...(positionProfileIds === undefined ? [] : [`position: ${positionProfileIds.join(', ')}`]),
];
