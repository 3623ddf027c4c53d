import { type Drained, drain } from './drain.js';
import { measureEnqueue } from './enqueue.js';
import type { Ratio, Row } from './report.js';
import { measureRounds, type Round, summariseRounds } from './rounds.js';
import { bareHttp, empty, naive, ours, PEERS, type Subject } from './subjects.js';
import type { Context, Results } from './suite.js';

const rate = ({ perSecond }: Drained) => perSecond;
const cpu = ({ workerMicros, storeMicros }: Drained) => workerMicros + storeMicros;

const drainRounds = (subjects: Subject[], latencyMs: number, context: Context) => {
  const byName = new Map(subjects.map((subject) => [subject.name, subject]));
  const measure = (name: string) => {
    const subject = byName.get(name);
    if (subject === undefined) throw new Error(name);
    return drain(subject, latencyMs);
  };
  return measureRounds([...byName.keys()], measure, context);
};

export const drainSuite = async (context: Context): Promise<Results> => {
  const subjects = [
    naive(8_000),
    ours('one by one', 25_000, { BATCH_SIZE: '1' }),
    ours('in hundreds', 80_000, { BATCH_SIZE: '100' }),
    ...PEERS,
    empty(40_000),
    bareHttp(40_000),
  ];
  const rounds = await drainRounds(subjects, 5, context);
  return {
    rows: subjects.flatMap(({ name }) => drainRows(name, rounds)),
    ratios: drainRatios(rounds),
  };
};

const drainRows = (name: string, rounds: Round<Drained>[]): Row[] => {
  const what = `${name}, 5 ms`;
  return [
    { what, unit: 'signals/s', value: summariseRounds(rounds, (of) => rate(of(name))) },
    { what, unit: 'µs CPU', value: summariseRounds(rounds, (of) => cpu(of(name))) },
    { what, unit: 'MiB', value: summariseRounds(rounds, (of) => of(name).memoryMiB) },
  ];
};

const drainRatios = (rounds: Round<Drained>[]): Ratio[] => {
  type Of = (name: string) => Drained;
  const bestPeer = (of: Of) => Math.max(...PEERS.map(({ name }) => rate(of(name))));
  const ratios: [what: string, goal: string, compute: (of: Of) => number][] = [
    [
      'in hundreds : the best peer with the same batching',
      '≥ 1',
      (of) => rate(of('in hundreds')) / bestPeer(of),
    ],
    ['in hundreds : naive', '≥ 10', (of) => rate(of('in hundreds')) / rate(of('naive'))],
    ['one by one : naive', '≥ 3', (of) => rate(of('one by one')) / rate(of('naive'))],
    [
      'one by one : undici alone',
      '≥ 0.85',
      (of) => rate(of('one by one')) / rate(of('undici alone')),
    ],
    [
      'CPU for each signal, in hundreds : naive',
      '≤ 0.1',
      (of) => cpu(of('in hundreds')) / cpu(of('naive')),
    ],
    [
      'memory of a worker, in hundreds : naive',
      '≤ 1',
      (of) => of('in hundreds').memoryMiB / of('naive').memoryMiB,
    ],
  ];
  return ratios.map(([what, goal, compute]) => ({
    what,
    goal,
    ratio: summariseRounds(rounds, compute),
  }));
};

export const slowSuite = async (context: Context): Promise<Results> => {
  const subjects = [naive(5_000), ours('in hundreds', 60_000, { BATCH_SIZE: '100' })];
  const rounds = await drainRounds(subjects, 50, context);
  const ratio: Ratio = {
    what: 'in hundreds : naive, where SEEK takes 50 ms',
    goal: '≥ 12',
    ratio: summariseRounds(rounds, (of) => rate(of('in hundreds')) / rate(of('naive'))),
  };
  return { ratios: [ratio], rows: [] };
};

export const enqueueSuite = async (context: Context): Promise<Results> => {
  const names = ['add', 'enqueue', 'addBulk', 'enqueueMany', 'http'];
  const rounds = await measureRounds(names, measureEnqueue, context);
  return {
    rows: names.map((name) => ({
      what: name,
      unit: 'accepted/s',
      value: summariseRounds(rounds, (of) => of(name)),
    })),
    ratios: [
      {
        what: 'enqueue : BullMQ add, 100 at a time',
        goal: '≥ 0.8',
        ratio: summariseRounds(rounds, (of) => of('enqueue') / of('add')),
      },
      {
        what: 'enqueueMany : BullMQ addBulk, 1,000 at a time',
        goal: '≥ 1.3',
        ratio: summariseRounds(rounds, (of) => of('enqueueMany') / of('addBulk')),
      },
      {
        what: 'POST /signals/batch : enqueueMany',
        goal: '≥ 0.5',
        ratio: summariseRounds(rounds, (of) => of('http') / of('enqueueMany')),
      },
    ],
  };
};
