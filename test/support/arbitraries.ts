import fc from 'fast-check';

// A fixed seed: a build must not fail without a change. Remove the seed to search for more cases.
fc.configureGlobal({ seed: 20_260_301 });

/** Text that a signal may contain: any Unicode except NUL and lone surrogates. */
export const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((made) => !made.includes('\0'));

/** Text without white space at either end. */
export const exactText = text.filter((made) => !/^\s|\s$/u.test(made));

export const identifier = exactText.filter((made) => Buffer.byteLength(made) <= 255);

type Instant = { seconds: number; fraction: string };

// In the year 138.
const MIN_SECONDS = -57_782_073_600;

/** Never in the future. Any offset keeps the year between 1 and 9999. */
export const instant: fc.Arbitrary<Instant> = fc.record({
  seconds: fc.integer({ min: MIN_SECONDS, max: Date.UTC(2026, 2, 2) / 1000 }),
  fraction: fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 12 }),
});

const MAX_OFFSET_MINUTES = 23 * 60 + 59;

/** Minutes ahead of UTC. */
export const offset = fc.integer({ min: -MAX_OFFSET_MINUTES, max: MAX_OFFSET_MINUTES });

/** RFC 3339 text of the instant at an offset in minutes, with `zeros` appended to the fraction. */
export const formatInstant = (
  { seconds, fraction }: Instant,
  minutes: number,
  zeros = 0,
): string => {
  const local = new Date((seconds + minutes * 60) * 1000).toISOString().slice(0, 19);
  const digits = `${fraction}${'0'.repeat(zeros)}`;
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const pair = (number: number) => String(number).padStart(2, '0');
  const zone = minutes === 0 ? 'Z' : `${minutes < 0 ? '-' : '+'}${pair(hours)}:${pair(rest)}`;
  return `${local}${digits === '' ? '' : `.${digits}`}${zone}`;
};

const timestamp = fc.tuple(instant, offset).map(([when, minutes]) => formatInstant(when, minutes));

const rankNumber = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const rank = fc.record({ label: text, index: rankNumber, total: rankNumber });
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

/** Any valid signal as a caller writes it. Optional fields are sometimes absent or `null`. */
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
