import * as z from 'zod';

import { parseJson } from '../schemas/json.ts';

/** What all workers share about the lane, in milliseconds of the clock that they share, too. */
export type BreakerState = z.infer<typeof BreakerStateSchema>;

const OpenBreakerSchema = z.object({
  since: z.number(),
  /** SEEK's error code or ours, as with attempts, and what was said. */
  code: z.string(),
  reason: z.string(),
  /** How many pauses there were, the present one included. */
  pauses: z.number(),
  /** The end of the present pause. */
  until: z.number(),
  /** Who may try next, and how long nobody else may. */
  probe: z.object({ by: z.string(), until: z.number() }).optional(),
});

export type OpenBreaker = z.infer<typeof OpenBreakerSchema>;

const BreakerStateSchema = z.object({
  /** Absent while the lane is open. */
  closed: OpenBreakerSchema.optional(),
  /** SEEK limited our rate: so many requests a second seemed right at that time. */
  pace: z.object({ perSecond: z.number(), at: z.number() }).optional(),
});

export type BreakerReading = {
  state: BreakerState;
  now: number;
  /** What `replace` wants to see unchanged. */
  version: string;
};

export type BreakerStore = {
  read: () => Promise<BreakerReading>;
  /** Writes, unless somebody else has written since `version` was read: then `false`. */
  replace: (version: string, state: BreakerState) => Promise<boolean>;
  /**
   * Takes the next free slot of so many a second, and resolves with the milliseconds until it comes.
   * Below 0: it is too far ahead to be taken, and may be asked for again in so many.
   */
  reserveSlot: (perSecond: number) => Promise<number>;
};

/** Nobody holds a slot for longer than this, and loses more than this by dying. */
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
      /** One signal may be tried from then on, or is being tried already. */
      nextProbeAt: string;
    };

export const viewDelivery = ({ state: { closed }, now }: BreakerReading): DeliveryView =>
  closed === undefined
    ? { state: 'running' }
    : {
        state: 'suspended',
        since: new Date(closed.since).toISOString(),
        seconds: Math.max(0, Math.round((now - closed.since) / 1000)),
        code: closed.code,
        reason: closed.reason,
        nextProbeAt: new Date(closed.until).toISOString(),
      };

/** What is stored; what cannot be read counts as an open lane. */
export const parseBreakerState = (text: string): BreakerState =>
  BreakerStateSchema.safeParse(parseJson(text)).data ?? {};
