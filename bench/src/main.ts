import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { measureApiLoad } from './apiLoad.js';
import { measureBacklog } from './backlog.js';
import { drawChart } from './chart.js';
import { bareHttp, type Contestant, type Drained, drain, empty, naive, ours } from './drain.js';
import { measureEnqueue } from './enqueue.js';
import { type Latency, measureLatency } from './latency.js';
import { measureOutbox } from './outbox.js';
import { renderReport } from './report.js';
import { measureResting } from './resting.js';
import { COMMANDS, measureStartUp } from './startUp.js';
import { type Summary, summarise } from './statistics.js';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: {
      type: 'string',
      default: 'drain,slow,enqueue,latency,api,start,resting,backlog,outbox',
    },
    json: { type: 'string', default: new URL('../results.json', import.meta.url).pathname },
    chart: { type: 'string', default: new URL('../chart.svg', import.meta.url).pathname },
  },
});
const rounds = Number(options.rounds);
const wanted = new Set(options.only.split(','));
const note = (text: string) => process.stderr.write(`${text}\n`);

/** Each in turn, round after round, so that all of them see the same moods of the machine. */
const inTurn = async <Result>(
  names: readonly string[],
  measure: (name: string) => Promise<Result>,
): Promise<Record<string, Result>[]> => {
  const results: Record<string, Result>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const ofRound: Record<string, Result> = {};
    for (const name of names) {
      ofRound[name] = await measure(name);
      note(`round ${round + 1}/${rounds}: ${name} ${JSON.stringify(ofRound[name])}`);
    }
    results.push(ofRound);
  }
  return results;
};

const drainInTurn = (contestants: Contestant[], latencyMs: number) => {
  const byName = new Map(contestants.map((contestant) => [contestant.name, contestant]));
  return inTurn([...byName.keys()], (name) => {
    const contestant = byName.get(name);
    if (contestant === undefined) throw new Error(name);
    return drain(contestant, latencyMs);
  });
};

const each = <Result>(
  all: Record<string, Result>[],
  ratio: (of: (name: string) => Result) => number,
): Summary =>
  summarise(
    all.map((round) =>
      ratio((name) => {
        const result = round[name];
        if (result === undefined) throw new Error(`${name} was not measured`);
        return result;
      }),
    ),
  );

export type Ratio = { what: string; goal: string; ratio: Summary };
export type Row = { what: string; unit: string; value: Summary };

const ratios: Ratio[] = [];
const rows: Row[] = [];
const rate = ({ perSecond }: Drained) => perSecond;
const cpu = ({ workerMicros, redisMicros }: Drained) => workerMicros + redisMicros;

if (wanted.has('drain')) {
  const all = await drainInTurn(
    [
      naive(8_000),
      ours('one by one', 25_000, { BATCH_SIZE: '1' }),
      ours('in hundreds', 60_000, { BATCH_SIZE: '100' }),
      empty(40_000),
      bareHttp(40_000),
    ],
    5,
  );
  for (const name of Object.keys(all[0] ?? {})) {
    rows.push({
      what: `${name}, 5 ms`,
      unit: 'signals/s',
      value: each(all, (of) => rate(of(name))),
    });
    rows.push({ what: `${name}, 5 ms`, unit: 'µs CPU', value: each(all, (of) => cpu(of(name))) });
    rows.push({
      ...{ what: `${name}, 5 ms`, unit: 'MiB' },
      value: each(all, (of) => of(name).memoryMiB),
    });
  }
  const lower = (of: (name: string) => Drained) =>
    Math.min(rate(of('undici alone')), rate(of('BullMQ empty')));
  ratios.push(
    {
      ...{ what: 'one by one : naive', goal: '≥ 3' },
      ratio: each(all, (of) => rate(of('one by one')) / rate(of('naive'))),
    },
    {
      ...{ what: 'one by one : the lower of undici alone and BullMQ empty', goal: '≥ 0.7' },
      ratio: each(all, (of) => rate(of('one by one')) / lower(of)),
    },
    {
      ...{ what: 'in hundreds : naive', goal: '≥ 7' },
      ratio: each(all, (of) => rate(of('in hundreds')) / rate(of('naive'))),
    },
    {
      ...{ what: 'in hundreds : BullMQ empty', goal: '≥ 0.65' },
      ratio: each(all, (of) => rate(of('in hundreds')) / rate(of('BullMQ empty'))),
    },
    {
      ...{ what: 'CPU for each signal, in hundreds : naive', goal: '≤ 0.2' },
      ratio: each(all, (of) => cpu(of('in hundreds')) / cpu(of('naive'))),
    },
  );
}

if (wanted.has('slow')) {
  const all = await drainInTurn(
    [naive(5_000), ours('in hundreds', 60_000, { BATCH_SIZE: '100' })],
    50,
  );
  ratios.push({
    ...{ what: 'in hundreds : naive, where SEEK takes 50 ms', goal: '≥ 10' },
    ratio: each(all, (of) => rate(of('in hundreds')) / rate(of('naive'))),
  });
}

if (wanted.has('enqueue')) {
  const all = await inTurn(['add', 'enqueue', 'addBulk', 'enqueueMany', 'http'], measureEnqueue);
  for (const name of Object.keys(all[0] ?? {})) {
    rows.push({ what: name, unit: 'accepted/s', value: each(all, (of) => of(name)) });
  }
  ratios.push(
    {
      ...{ what: 'enqueue : BullMQ add, 100 at a time', goal: '≥ 0.8' },
      ratio: each(all, (of) => of('enqueue') / of('add')),
    },
    {
      ...{ what: 'enqueueMany : BullMQ addBulk, 1,000 at a time', goal: '≥ 1.2' },
      ratio: each(all, (of) => of('enqueueMany') / of('addBulk')),
    },
    {
      ...{ what: 'POST /signals/batch : enqueueMany', goal: '≥ 0.5' },
      ratio: each(all, (of) => of('http') / of('enqueueMany')),
    },
  );
}

if (wanted.has('latency')) {
  const load = { perSecond: 10, seconds: 20, latencyMs: 5 };
  const all = await inTurn<Latency>(['naive', 'ours'], (name) =>
    name === 'naive'
      ? measureLatency(naive(0), 'naive', load)
      : measureLatency(ours('ours', 0, {}), 'ours', load),
  );
  for (const name of ['naive', 'ours']) {
    rows.push({ what: `${name}, 10/s`, unit: 'ms p50', value: each(all, (of) => of(name).p50) });
    rows.push({ what: `${name}, 10/s`, unit: 'ms p99', value: each(all, (of) => of(name).p99) });
  }
  ratios.push(
    {
      ...{ what: 'p50 at 10/s, ours − naive, ms', goal: '≤ 1' },
      ratio: each(all, (of) => of('ours').p50 - of('naive').p50),
    },
    {
      ...{ what: 'p99 at 10/s, ours : naive', goal: '≤ 1.2' },
      ratio: each(all, (of) => of('ours').p99 / of('naive').p99),
    },
  );

  const drained = rows.find(({ what, unit }) => what === 'naive, 5 ms' && unit === 'signals/s');
  const half = Math.round((drained?.value.median ?? 1_000) / 2);
  const busy = { perSecond: half, seconds: 10, latencyMs: 5 };
  const loaded = await inTurn<Latency>(['naive', 'ours'], (name) =>
    name === 'naive'
      ? measureLatency(naive(0), 'naive', busy)
      : measureLatency(ours('ours', 0, {}), 'ours', busy),
  );
  for (const name of ['naive', 'ours']) {
    const what = `${name}, ${half}/s`;
    rows.push({ what, unit: 'ms p50', value: each(loaded, (of) => of(name).p50) });
    rows.push({ what, unit: 'ms p99', value: each(loaded, (of) => of(name).p99) });
  }
  ratios.push({
    ...{ what: 'p99 at half of what naive can do, ours : naive', goal: '≤ 0.33' },
    ratio: each(loaded, (of) => of('ours').p99 / of('naive').p99),
  });
}

if (wanted.has('api')) {
  const all = await inTurn(['api'], () => measureApiLoad(2_000));
  const what = 'POST /signals at 2,000/s';
  rows.push(
    { what, unit: 'accepted/s', value: each(all, (of) => of('api').perSecond) },
    { what, unit: 'ms p50', value: each(all, (of) => of('api').p50) },
    { what, unit: 'ms p99', value: each(all, (of) => of('api').p99) },
  );
}

if (wanted.has('start')) {
  const all = await inTurn(COMMANDS, measureStartUp);
  for (const name of COMMANDS) {
    const value = each(all, (of) => of(name));
    rows.push({ what: `${name}, from its start`, unit: 'ms to ready', value });
  }
}

if (wanted.has('resting')) {
  const { bytesPerWaitingSignal: bytes, idleCommandsPerMinute } = await measureResting();
  const once = (value: number): Summary => summarise([value]);
  rows.push(
    { what: 'a waiting signal', unit: 'bytes of Redis', value: once(bytes.ours) },
    {
      what: 'a waiting job of BullMQ by default',
      unit: 'bytes of Redis',
      value: once(bytes.naive),
    },
    { what: 'an idle worker', unit: 'Redis commands/min', value: once(idleCommandsPerMinute) },
  );
  ratios.push({
    ...{ what: 'memory of a waiting signal, ours : BullMQ by default', goal: '≤ 0.75' },
    ratio: once(bytes.ours / bytes.naive),
  });
}

if (wanted.has('backlog')) {
  const { enqueue, drain: drained, memory, ...asked } = await measureBacklog(note);
  const once = (value: number): Summary => summarise([value]);
  const what = 'with a million waiting and 100,000 delayed';
  ratios.push(
    {
      ...{ what: `enqueueMany ${what} : with ten thousand`, goal: '≥ 0.9' },
      ratio: once(enqueue.deep / enqueue.shallow),
    },
    {
      ...{ what: `in hundreds ${what} : with ten thousand`, goal: '≥ 0.9' },
      ratio: once(drained.deep / drained.shallow),
    },
  );
  rows.push(
    { what: `GET /status ${what}`, unit: 'ms', value: once(asked.statusMs) },
    { what: `GET /metrics ${what}`, unit: 'ms', value: once(asked.metricsMs) },
    { what: 'a worker after 100,000 signals', unit: 'MiB', value: once(memory.early) },
    { what: 'a worker after a million', unit: 'MiB', value: once(memory.late) },
  );
}

if (wanted.has('outbox')) {
  const all = await inTurn(['outbox'], async () => ({
    ...(await measureOutbox()),
    enqueueMany: await measureEnqueue('enqueueMany'),
  }));
  type Outbox = (typeof all)[number][string];
  const of = (read: (outbox: Outbox) => number) => each(all, (named) => read(named('outbox')));
  ratios.push({
    ...{ what: 'rows through one relay : enqueueMany', goal: 'none' },
    ratio: of(({ perSecond, enqueueMany }) => perSecond / enqueueMany),
  });
  const figures: [string, string, (outbox: Outbox) => number][] = [
    ['one relay', 'rows/s', ({ perSecond }) => perSecond],
    ['one relay, with the ledger', 'rows/s', ({ bookkeeping }) => bookkeeping.perSecond],
    ['a row and what moving it leaves', 'bytes of PostgreSQL', ({ bytesPerRow }) => bytesPerRow],
    ['the same in the ledger', 'bytes of PostgreSQL', ({ bookkeeping }) => bookkeeping.bytesPerRow],
    ['COMMIT to queue', 'ms p50', ({ lagMs }) => lagMs.p50],
    ['COMMIT to queue', 'ms p99', ({ lagMs }) => lagMs.p99],
    ['a transaction of the ATS', 'µs', (outbox) => outbox.transactionMicros.alone.without],
    ['the same with a signal', 'µs', (outbox) => outbox.transactionMicros.alone.with],
    ['eight at a time', 'µs each', (outbox) => outbox.transactionMicros.together.without],
    ['eight with signals', 'µs each', (outbox) => outbox.transactionMicros.together.with],
  ];
  for (const [what, unit, read] of figures) rows.push({ what, unit, value: of(read) });
}

const results = {
  measuredAt: new Date().toISOString(),
  machine: { cpu: cpus()[0]?.model.trim(), cores: cpus().length, node: process.version },
  rounds,
  ratios,
  rows,
};
await writeFile(options.json, `${JSON.stringify(results, null, 2)}\n`);
await writeFile(options.chart, drawChart(rows));
process.stdout.write(renderReport(results));
process.exit(0);
