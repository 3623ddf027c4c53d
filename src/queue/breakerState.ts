import * as z from 'zod';

import { parseJson } from '../schemas/json.ts';

const OpenBreakerSchema = z.object({
  since: z.number(),
  /** The code and reason of the last failure: SEEK's error code or one of ours, as in attempts. */
  code: z.string(),
  reason: z.string(),
  /** How many pauses there were, including the present one. */
  pauses: z.number(),
  /** The end of the present pause. */
  until: z.number(),
  /** Present while the breaker is half-open: the worker that probes, and until when no other may. */
  probe: z.object({ by: z.string(), until: z.number() }).optional(),
});

export type OpenBreaker = z.infer<typeof OpenBreakerSchema>;

const BreakerStateSchema = z.object({
  /** Absent while the breaker is closed. */
  open: OpenBreakerSchema.optional(),
  /** Present after SEEK limited our rate: the requests per second allowed at that time. */
  throttle: z.object({ perSecond: z.number(), at: z.number() }).optional(),
});

/** The circuit breaker's state, shared by all workers. Times are milliseconds of the store's clock. */
export type BreakerState = z.infer<typeof BreakerStateSchema>;

export type BreakerReading = {
  state: BreakerState;
  now: number;
  /** Pass it to `replace`, which checks that the state has not changed since. */
  version: string;
  /** The requests per second of all workers that sent any in the last two seconds. */
  perSecond: number;
};

/** The requests per second of one worker. */
export type SendRate = { by: string; perSecond: number };

/** How long the rate of a worker counts after it was recorded. `readBreaker.lua` repeats it. */
export const SEND_RATE_MS = 2_000;

export type BreakerStore = {
  /** A worker that sends requests passes its own rate. */
  read: (sending?: SendRate) => Promise<BreakerReading>;
  /** Compare-and-set. `false`: another worker has written since `version` was read. */
  replace: (version: string, state: BreakerState) => Promise<boolean>;
  /**
   * Reserves the next free slot at this rate, and resolves with the milliseconds until it comes.
   * Below 0: the slot is too far ahead and was not reserved; call again after that many milliseconds.
   */
  reserveSlot: (perSecond: number) => Promise<number>;
};

/** How far ahead a slot can be reserved. A worker that crashes loses no more slots than these. */
export const SLOT_HORIZON_MS = 200;

/** Whether signals are sent to SEEK, as an operator reads it. */
export type DeliveryView =
  | { state: 'running' }
  | {
      state: 'suspended';
      since: string;
      seconds: number;
      code: string;
      reason: string;
      /** From then on a worker may send the next probe. In the past while a probe is due or in flight. */
      nextProbeAt: string;
    };

export const viewDelivery = ({ state: { open }, now }: BreakerReading): DeliveryView =>
  open === undefined
    ? { state: 'running' }
    : {
        state: 'suspended',
        since: new Date(open.since).toISOString(),
        seconds: Math.max(0, Math.round((now - open.since) / 1000)),
        code: open.code,
        reason: open.reason,
        nextProbeAt: new Date(open.until).toISOString(),
      };

/** Parses the stored state. A value that cannot be read counts as a closed breaker. */
export const parseBreakerState = (text: string): BreakerState =>
  BreakerStateSchema.safeParse(parseJson(text)).data ?? {};
