import {
  checkSentinels,
  findDoubt,
  newestMaster,
  type SentinelView,
} from '../../../src/queue/redis/sentinels.ts';

const OLD = { host: '10.0.0.1', port: 6379 };
const NEW = { host: '10.0.0.2', port: 6379 };
const well: SentinelView = { master: OLD, epoch: 0, reached: true, failingOver: false };
const missing: SentinelView = { ...well, reached: false };
const electing: SentinelView = { ...missing, failingOver: true };
const moved: SentinelView = { ...well, master: NEW, epoch: 1 };

const REPLACED = 'the Sentinels (REDIS_SENTINELS) name another master';
const REPLACING = 'the Sentinels (REDIS_SENTINELS) are replacing the master';
const reaching = (count: number, of: number) =>
  `only ${count} of ${of} Sentinels (REDIS_SENTINELS) reach the master`;

describe('what the Sentinels say of the server that a connection leads to', () => {
  it.each([
    { what: 'all reach it', views: [well, well, well], doubt: undefined },
    { what: 'one of three misses it', views: [well, missing, well], doubt: undefined },
    { what: 'one of three is away', views: [undefined, well, well], doubt: undefined },
    { what: 'one of two is away', views: [undefined, well], doubt: undefined },
    { what: 'two of three miss it', views: [well, missing, missing], doubt: reaching(1, 3) },
    { what: 'two of three are away', views: [well, undefined, undefined], doubt: reaching(1, 3) },
    {
      what: 'three of five miss it',
      views: [well, well, ...Array(3).fill(missing)],
      doubt: reaching(2, 5),
    },
    { what: 'the only one misses it', views: [missing], doubt: reaching(0, 1) },
    { what: 'one has begun a failover', views: [well, well, electing], doubt: REPLACING },
    {
      what: 'one names another master, by a newer configuration',
      views: [well, well, moved],
      doubt: REPLACED,
    },
    {
      what: 'none answers',
      views: [undefined, undefined],
      doubt: 'no Sentinel (REDIS_SENTINELS) answers',
    },
  ])('$what → $doubt', ({ views, doubt }) => {
    expect(findDoubt(views, OLD)).toBe(doubt);
  });

  it('a Sentinel that was cut off still misses the former master → no doubt about the new one', () => {
    expect(findDoubt([electing, moved, moved], NEW)).toBeUndefined();
  });

  it('the connection is closed → doubt', () => {
    expect(findDoubt([well, well, well], undefined)).toBe(REPLACED);
  });
});

it('a Sentinel that was cut off answers first → the master of the newest configuration', () => {
  expect(newestMaster([well, undefined, moved])).toEqual(NEW);
});

it.each([
  ['first', [{ ...electing, epoch: 1 }, moved, moved]],
  ['last', [moved, moved, { ...electing, epoch: 1 }]],
])(
  'the leader of a failover, which answers %s, still names the former master → the new one',
  (_, views) => {
    expect(newestMaster(views)).toEqual(NEW);
  },
);

describe('check of the Sentinels', () => {
  it.each([
    { views: [well, well, well], level: 'ok', message: '3 of 3 answer' },
    { views: [well, undefined, well], level: 'warning', message: '2 of 3 answer' },
    {
      views: [well, missing, missing],
      level: 'error',
      message: `${reaching(1, 3)}; signals are refused`,
    },
  ])('$message → $level', ({ views, level, message }) => {
    expect(checkSentinels(views, OLD)).toEqual({ subject: 'Sentinels', level, message });
  });
});
