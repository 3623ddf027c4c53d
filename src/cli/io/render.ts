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

// Lines of columns, as a terminal program's user expects to pipe them.
const PLAIN = {
  chars: Object.fromEntries(
    ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left']
      .concat(['bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'])
      .map((name) => [name, '']),
  ),
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

export const columns = (rows: string[][], head: string[] = []): string => {
  const table = new Table({ ...PLAIN, chars: { ...PLAIN.chars, middle: '  ' }, head });
  table.push(...rows);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
};

const since = (seconds: number): string => {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
};

export const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);

/** A try that is long overdue says that nobody is there to make it. */
export const untilThen = (at: string, now: number = Date.now()): string => {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  return seconds >= 0 ? `in ${since(seconds)} (${at})` : `due for ${since(-seconds)} (${at})`;
};

export const renderDelivery = (delivery: DeliveryView): string =>
  delivery.state === 'running'
    ? 'running'
    : `${colours.red('suspended')} for ${since(delivery.seconds)}, since ${delivery.since} (${delivery.code}: ${delivery.reason}); next try ${untilThen(delivery.nextProbeAt)}`;

type Status = QueueStatus & { outbox?: OutboxReading };

export const renderStatus = ({
  counts,
  oldestUnsent,
  workers,
  delivery,
  outbox,
}: Status): string => {
  const of = (state: SignalState, note = '') => [renderState(state), String(counts[state]), note];
  const oldest =
    oldestUnsent === undefined
      ? 'none'
      : `${since(oldestUnsent.ageSeconds)} (${oldestUnsent.signalId}, accepted ${oldestUnsent.acceptedAt})`;

  return [
    columns([
      of('waiting'),
      of('active'),
      of('retrying'),
      of('dead'),
      of('delivered', 'in the last 24 hours'),
      of('skipped', 'in the last 24 hours'),
    ]),
    '',
    `oldest unsent signal: ${oldest}`,
    `workers alive: ${workers === 0 ? colours.red('none') : workers}`,
    `delivery: ${renderDelivery(delivery)}`,
    ...(outbox === undefined ? [] : [renderOutbox(outbox)]),
  ].join('\n');
};

export const renderAttempts = (attempts: Attempt[]): string => {
  const isBound = attempts.some(({ tokenUsed }) => tokenUsed !== undefined);
  return attempts.length === 0
    ? 'no attempts yet'
    : columns(
        attempts.map((attempt, index) => [
          ...[String(index + 1), attempt.at, attempt.outcome, `${attempt.durationMs} ms`],
          attempt.requestId ?? '-',
          ...(isBound ? [renderBound(attempt)] : []),
          [attempt.code, attempt.reason].filter(Boolean).join(': '),
        ]),
        [
          ...['#', 'at', 'outcome', 'took', 'X-Request-Id'],
          ...(isBound ? ['seek token'] : []),
          'answer',
        ],
      );
};

const renderOutbox = ({ pending, rejected, lagSeconds }: OutboxReading): string =>
  [
    `outbox: ${pending === 0 ? 'nothing to be moved' : `${pending} to be moved, the oldest for ${since(lagSeconds)}`}`,
    ...(rejected === 0 ? [] : [colours.red(`${rejected} that can not be sent`)]),
  ].join('; ');

const renderDeferral = ({ at, code, reason }: Deferral): string =>
  `put off at ${at}, no attempt spent: ${code}: ${reason}`;

export const renderRedrives = (log: Redrive[] = []): string[] =>
  log.map(({ at, by }) => `redriven: ${at}${by === undefined ? '' : ` by ${by}`}`);

export const renderLife = (record: SignalRecord): string =>
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

export const renderLives = (lookup: SignalRecord[]): string =>
  lookup.length === 0
    ? 'no such signals are kept'
    : columns(
        lookup.map(({ signalId, typeCode, state, acceptedAt, attempts, reason }) => [
          ...[signalId, typeCode, renderState(state), acceptedAt, String(attempts.length)],
          reason ?? attempts.at(-1)?.reason ?? '',
        ]),
        ['signal', 'type', 'state', 'accepted', 'attempts', 'reason'],
      );

const renderBound = ({ tokenUsed }: Attempt): string =>
  tokenUsed === undefined
    ? ''
    : `${tokenUsed.source} of ${tokenUsed.receivedAt}${tokenUsed.expired ? ', expired' : ''}`;

/** Whose it is, a line each. */
export const renderReferences = ({
  applicationId,
  candidateApplicationProfileId: profile,
  positionProfileIds,
}: SignalReferences): string[] => [
  ...(applicationId === undefined ? [] : [`application: ${applicationId}`]),
  ...(profile === undefined ? [] : [`candidate application profile: ${profile}`]),
  ...(positionProfileIds === undefined ? [] : [`position: ${positionProfileIds.join(', ')}`]),
];
