import type { Redis } from 'ioredis';
import { singleFlight } from '../../runtime/async.ts';
import type { QueueClock } from '../backend.ts';

// The clocks of two healthy machines drift apart by less than 10 ms in that time.
const MAX_AGE_MS = 60_000;
// A frozen process may have read its own clock long before or after Redis did.
const MAX_ROUND_TRIP_MS = 5_000;
// The clock of this process was set, or its machine was suspended, if its two clocks differ by more.
const MAX_JUMP_MS = 1_000;

/** `wall` can be set to another time. `steady` cannot, and has no relation to the date. */
type Clocks = { wall: () => number; steady: () => number };

/** Redis's clock minus `steady`, and `wall` minus `steady`, both at `at` of `steady`. */
type Measured = { at: number; ahead: number; wallAhead: number };

type Clockwork = Pick<Redis, 'time'> & { on: (event: 'ready', listener: () => void) => unknown };

/** The clock of Redis. Between measurements it follows the steady clock of this process. */
export const createRedisClock = (
  client: Clockwork,
  { wall, steady }: Clocks = { wall: Date.now, steady: () => performance.now() },
): QueueClock => {
  let measured: Measured | undefined;

  const measure = singleFlight(async () => {
    const sentAt = steady();
    const [seconds, microseconds] = await client.time();
    const receivedAt = steady();
    if (measured !== undefined && receivedAt - sentAt > MAX_ROUND_TRIP_MS) return;
    const time = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    // Compares with the middle between request and answer, when Redis most likely read its clock.
    measured = {
      at: receivedAt,
      ahead: time - (sentAt + receivedAt) / 2,
      wallAhead: wall() - receivedAt,
    };
  });

  const isFresh = ({ at, wallAhead }: Measured): boolean =>
    steady() - at < MAX_AGE_MS && Math.abs(wall() - steady() - wallAhead) < MAX_JUMP_MS;

  const time = (): number =>
    Math.round(measured === undefined ? wall() : steady() + measured.ahead);
  const isDue = (): boolean => measured === undefined || !isFresh(measured);
  // After a failover, another Redis answers.
  client.on('ready', () => void measure().catch(() => {}));

  return {
    estimate: () => {
      if (isDue()) measure().catch(() => {});
      return time();
    },
    read: async () => {
      if (isDue()) await measure().catch(rethrowUnlessRefused);
      return time();
    },
  };
};

// A producer may have no permission for TIME. Its own clock is better than no signal.
const rethrowUnlessRefused = (err: unknown): void => {
  if (!(err instanceof Error) || err.name !== 'ReplyError') throw err;
};
