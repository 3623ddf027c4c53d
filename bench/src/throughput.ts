import { type Drained, drain } from './drain.js';
import { measureEnqueue } from './enqueue.js';
import type { Ratio, Row } from './report.js';
import { measureRounds, type Round, summariseRounds } from './rounds.js';
import { bareHttp, empty, naive, ours, type Subject } from './subjects.js';
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
    ours('in hundreds', 60_000, { BATCH_SIZE: '100' }),
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
  const lower = (of: (name: string) => Drained) =>
    Math.min(rate(of('undici alone')), rate(of('BullMQ empty')));
  return [
    {
      what: 'one by one : naive',
      goal: '≥ 3',
      ratio: summariseRounds(rounds, (of) => rate(of('one by one')) / rate(of('naive'))),
    },
    {
      what: 'one by one : the lower of undici alone and BullMQ empty',
      goal: '≥ 0.7',
      ratio: summariseRounds(rounds, (of) => rate(of('one by one')) / lower(of)),
    },
    {
      what: 'in hundreds : naive',
      goal: '≥ 7',
      ratio: summariseRounds(rounds, (of) => rate(of('in hundreds')) / rate(of('naive'))),
    },
    {
      what: 'in hundreds : BullMQ empty',
      goal: '≥ 0.65',
      ratio: summariseRounds(rounds, (of) => rate(of('in hundreds')) / rate(of('BullMQ empty'))),
    },
    {
      what: 'CPU for each signal, in hundreds : naive',
      goal: '≤ 0.2',
      ratio: summariseRounds(rounds, (of) => cpu(of('in hundreds')) / cpu(of('naive'))),
    },
  ];
};

export const slowSuite = async (context: Context): Promise<Results> => {
  const subjects = [naive(5_000), ours('in hundreds', 60_000, { BATCH_SIZE: '100' })];
  const rounds = await drainRounds(subjects, 50, context);
  const ratio: Ratio = {
    what: 'in hundreds : naive, where SEEK takes 50 ms',
    goal: '≥ 10',
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
        goal: '≥ 1.2',
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
