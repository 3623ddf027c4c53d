import { createMiddleware } from 'hono/factory';

// A request takes about ten times the memory of its body until it is answered. These bounds keep the API
// within 320 MiB: docs/operations/performance.md has the measurement.
const MAX_BYTES = 10 * 1024 * 1024;
// Large requests leave this room, so that signals sent one by one are still accepted beside them.
const RESERVED_BYTES = 2 * 1024 * 1024;
const SMALL_BYTES = 128 * 1024;

/** The bytes that one request holds of the budget. */
export type HeldBytes = {
  /** Takes more of the budget. `false`: too many bytes are in flight, and nothing was taken. */
  take: (bytes: number) => boolean;
  /** Gives everything back. */
  release: () => void;
};

/** Bounds the bytes of the request bodies that the API reads and handles at a time. */
export const createBodyBudget = ({
  max = MAX_BYTES,
  reserved = RESERVED_BYTES,
  small = SMALL_BYTES,
} = {}) => {
  let inFlight = 0;

  return {
    hold: (): HeldBytes => {
      let held = 0;
      return {
        take: (bytes) => {
          const isSmall = held + bytes <= small;
          if (inFlight + bytes > (isSmall ? max : max - reserved)) return false;
          held += bytes;
          inFlight += bytes;
          return true;
        },
        release: () => {
          inFlight -= held;
          held = 0;
        },
      };
    },
  };
};

export type BodyBudget = ReturnType<typeof createBodyBudget>;

/** Set on every request whose body counts. */
export type BodyHolder = { Variables: { heldBytes: HeldBytes } };

/** Counts the body of each request until its response is ready. */
export const countBodies = ({ hold }: BodyBudget) =>
  createMiddleware<BodyHolder>(async (c, next) => {
    const heldBytes = hold();
    c.set('heldBytes', heldBytes);
    try {
      await next();
    } finally {
      heldBytes.release();
    }
  });
