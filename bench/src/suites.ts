import { measureApiLoad } from './apiLoad.js';
import { measureBacklog } from './backlog.js';
import { measureEnqueue } from './enqueue.js';
import { type Latency, type Load, measureLatency } from './latency.js';
import { measureOutbox } from './outbox.js';
import type { Row } from './report.js';
import { measureResting } from './resting.js';
import { measureRounds, type Round, summariseRounds } from './rounds.js';
import { COMMANDS, measureStartUp } from './startUp.js';
import { type Summary, summarise } from './statistics.js';
import { naive, ours } from './subjects.js';
import type { Context, Results, Suite } from './suite.js';
import { drainSuite, enqueueSuite, slowSuite } from './throughput.js';

const once = (value: number): Summary => summarise([value]);

const latencyRounds = (load: Load, context: Context) =>
  measureRounds<Latency>(
    ['naive', 'ours'],
    (name) =>
      name === 'naive'
        ? measureLatency(naive(0), 'naive', load)
        : measureLatency(ours('ours', 0, {}), 'ours', load),
    context,
  );

const latencyRows = (rounds: Round<Latency>[], perSecond: number): Row[] =>
  ['naive', 'ours'].flatMap((name) => {
    const what = `${name}, ${perSecond}/s`;
    return [
      { what, unit: 'ms p50', value: summariseRounds(rounds, (of) => of(name).p50) },
      { what, unit: 'ms p99', value: summariseRounds(rounds, (of) => of(name).p99) },
    ];
  });

const latencySuite = async (context: Context): Promise<Results> => {
  const idle = await latencyRounds({ perSecond: 10, seconds: 20, latencyMs: 5 }, context);
  const drained = context.earlierRows.find(
    ({ what, unit }) => what === 'naive, 5 ms' && unit === 'signals/s',
  );
  const half = Math.round((drained?.value.median ?? 1_000) / 2);
  const busy = await latencyRounds({ perSecond: half, seconds: 10, latencyMs: 5 }, context);
  return {
    rows: [...latencyRows(idle, 10), ...latencyRows(busy, half)],
    ratios: [
      {
        what: 'p50 at 10/s, ours − naive, ms',
        goal: '≤ 1',
        ratio: summariseRounds(idle, (of) => of('ours').p50 - of('naive').p50),
      },
      {
        what: 'p99 at 10/s, ours : naive',
        goal: '≤ 1.2',
        ratio: summariseRounds(idle, (of) => of('ours').p99 / of('naive').p99),
      },
      {
        what: 'p99 at half of what naive can do, ours : naive',
        goal: '≤ 0.33',
        ratio: summariseRounds(busy, (of) => of('ours').p99 / of('naive').p99),
      },
    ],
  };
};

const apiSuite = async (context: Context): Promise<Results> => {
  const rounds = await measureRounds(['api'], () => measureApiLoad(2_000), context);
  const what = 'POST /signals at 2,000/s';
  return {
    rows: [
      { what, unit: 'accepted/s', value: summariseRounds(rounds, (of) => of('api').perSecond) },
      { what, unit: 'ms p50', value: summariseRounds(rounds, (of) => of('api').p50) },
      { what, unit: 'ms p99', value: summariseRounds(rounds, (of) => of('api').p99) },
    ],
    ratios: [],
  };
};

const startSuite = async (context: Context): Promise<Results> => {
  const rounds = await measureRounds(COMMANDS, measureStartUp, context);
  const rows = COMMANDS.map((name) => ({
    what: `${name}, from its start`,
    unit: 'ms to ready',
    value: summariseRounds(rounds, (of) => of(name)),
  }));
  return { ratios: [], rows };
};

const restingSuite = async (): Promise<Results> => {
  const { bytesPerWaitingSignal: bytes, idleCommandsPerMinute } = await measureResting();
  return {
    rows: [
      { what: 'a waiting signal', unit: 'bytes of Redis', value: once(bytes.ours) },
      {
        what: 'a waiting job of BullMQ by default',
        unit: 'bytes of Redis',
        value: once(bytes.naive),
      },
      { what: 'an idle worker', unit: 'Redis commands/min', value: once(idleCommandsPerMinute) },
    ],
    ratios: [
      {
        what: 'memory of a waiting signal, ours : BullMQ by default',
        goal: '≤ 0.75',
        ratio: once(bytes.ours / bytes.naive),
      },
    ],
  };
};

const backlogSuite = async ({ note }: Context): Promise<Results> => {
  const { enqueue, drain: drained, memory, statusMs, metricsMs } = await measureBacklog(note);
  const what = 'with a million waiting and 100,000 delayed';
  return {
    rows: [
      { what: `GET /status ${what}`, unit: 'ms', value: once(statusMs) },
      { what: `GET /metrics ${what}`, unit: 'ms', value: once(metricsMs) },
      { what: 'a worker after 100,000 signals', unit: 'MiB', value: once(memory.early) },
      { what: 'a worker after a million', unit: 'MiB', value: once(memory.late) },
    ],
    ratios: [
      {
        what: `enqueueMany ${what} : with ten thousand`,
        goal: '≥ 0.9',
        ratio: once(enqueue.deep / enqueue.shallow),
      },
      {
        what: `in hundreds ${what} : with ten thousand`,
        goal: '≥ 0.9',
        ratio: once(drained.deep / drained.shallow),
      },
      {
        what: 'memory of a worker after a million signals : after 100,000',
        goal: '≤ 1.05',
        ratio: once(memory.late / memory.early),
      },
    ],
  };
};

const outboxSuite = async (context: Context): Promise<Results> => {
  const measure = async () => ({
    ...(await measureOutbox()),
    enqueueMany: await measureEnqueue('enqueueMany'),
  });
  const rounds = await measureRounds(['outbox'], measure, context);
  type Outbox = Awaited<ReturnType<typeof measure>>;
  const summary = (read: (outbox: Outbox) => number) =>
    summariseRounds(rounds, (of) => read(of('outbox')));
  const rows: [what: string, unit: string, read: (outbox: Outbox) => number][] = [
    ['one relay', 'rows/s', ({ perSecond }) => perSecond],
    ['one relay, with outcome tracking', 'rows/s', ({ tracked }) => tracked.perSecond],
    ['a row and what moving it leaves', 'bytes of PostgreSQL', ({ bytesPerRow }) => bytesPerRow],
    ['the same with outcome tracking', 'bytes of PostgreSQL', ({ tracked }) => tracked.bytesPerRow],
    ['COMMIT to queue', 'ms p50', ({ lagMs }) => lagMs.p50],
    ['COMMIT to queue', 'ms p99', ({ lagMs }) => lagMs.p99],
    ['a transaction of the ATS', 'µs', (outbox) => outbox.transactionMicros.alone.without],
    ['the same with a signal', 'µs', (outbox) => outbox.transactionMicros.alone.with],
    ['eight at a time', 'µs each', (outbox) => outbox.transactionMicros.together.without],
    ['eight with signals', 'µs each', (outbox) => outbox.transactionMicros.together.with],
  ];
  return {
    rows: rows.map(([what, unit, read]) => ({ what, unit, value: summary(read) })),
    ratios: [
      {
        what: 'rows through one relay : enqueueMany',
        goal: 'none',
        ratio: summary(({ perSecond, enqueueMany }) => perSecond / enqueueMany),
      },
    ],
  };
};

/** In the order in which they run: `latency` uses the throughput that `drain` measured. */
export const SUITES: Record<string, Suite> = {
  drain: drainSuite,
  slow: slowSuite,
  enqueue: enqueueSuite,
  latency: latencySuite,
  api: apiSuite,
  start: startSuite,
  resting: restingSuite,
  backlog: backlogSuite,
  outbox: outboxSuite,
};
