import fc from 'fast-check';

// The same cases on every run: a build must not turn red on a commit that nobody has touched. Take
// the seed away for an hour of looking for more.
fc.configureGlobal({ seed: 20_260_301 });

/** Text that may stand in a signal: any Unicode but NUL and lone surrogates. */
export const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((made) => !made.includes('\0'));

/** The same without white space around it. */
export const exactText = text.filter((made) => !/^\s|\s$/u.test(made));

export const identifier = exactText.filter((made) => Buffer.byteLength(made) <= 255);

export type Moment = { seconds: number; fraction: string };

const SECOND_YEAR = Date.UTC(1, 0, 2) / 1000 + 1900 * 365.25 * 86_400;

/** Far enough from the ends of time for every offset, and never in the future. */
export const moment: fc.Arbitrary<Moment> = fc.record({
  seconds: fc.integer({ min: -SECOND_YEAR, max: Date.UTC(2026, 2, 2) / 1000 }),
  fraction: fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 12 }),
});

const MOST_MINUTES = 23 * 60 + 59;

/** Minutes ahead of UTC. */
export const offset = fc.integer({ min: -MOST_MINUTES, max: MOST_MINUTES });

/** The moment as RFC 3339 writes it under an offset, with as many zeros behind it. */
export const writeMoment = ({ seconds, fraction }: Moment, minutes: number, zeros = 0): string => {
  const local = new Date((seconds + minutes * 60) * 1000).toISOString().slice(0, 19);
  const digits = `${fraction}${'0'.repeat(zeros)}`;
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const pair = (number: number) => String(number).padStart(2, '0');
  const zone = minutes === 0 ? 'Z' : `${minutes < 0 ? '-' : '+'}${pair(hours)}:${pair(rest)}`;
  return `${local}${digits === '' ? '' : `.${digits}`}${zone}`;
};

const timestamp = fc.tuple(moment, offset).map(([when, minutes]) => writeMoment(when, minutes));

const place = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const rank = fc.record({ label: text, index: place, total: place });
const nothing = fc.constant(null);

const state = fc.record(
  {
    status: rank,
    timestamp,
    phase: fc.oneof(rank, nothing),
    success: fc.constantFrom(true, false, null),
  },
  { requiredKeys: ['status', 'timestamp'] },
);

const positions = fc.oneof(identifier, fc.array(identifier, { minLength: 1, maxLength: 5 }));
const common = { current: state, previous: fc.oneof(state, nothing) };

/** Every signal that a caller may write, optional fields left out or `null` now and then. */
export const signalInput: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.record(
    {
      typeCode: fc.constant('ApplicationComplete'),
      token: exactText,
      timestamp: fc.oneof(timestamp, nothing),
    },
    { requiredKeys: ['typeCode', 'token'] },
  ),
  fc
    .record(
      {
        typeCode: fc.constant('ApplicationStatusUpdate'),
        identity: fc.oneof(
          fc.record({ token: exactText }),
          fc.record({ candidateApplicationProfileId: identifier, token: nothing }),
        ),
        positionProfileIds: fc.oneof(positions, nothing),
        ...common,
      },
      { requiredKeys: ['typeCode', 'identity', 'current'] },
    )
    .map(({ identity, ...rest }) => ({ ...rest, ...identity })),
  fc.record(
    { typeCode: fc.constant('PositionStatusUpdate'), positionProfileIds: positions, ...common },
    { requiredKeys: ['typeCode', 'positionProfileIds', 'current'] },
  ),
);
