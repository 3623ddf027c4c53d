import * as z from 'zod';

/** Version, trace id, span id and flags (W3C Trace Context, "traceparent"). */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
// The length that W3C Trace Context requires everyone to propagate. A longer one is dropped.
const MAX_TRACESTATE_LENGTH = 512;

export const isTraceparent = (value: unknown): boolean =>
  typeof value === 'string' && TRACEPARENT.test(value);

export const isTracestate = (value: unknown): boolean =>
  typeof value === 'string' && value.length <= MAX_TRACESTATE_LENGTH;

/** The trace that a signal belongs to. An unreadable value counts as absent, so it never costs a signal. */
export type TraceContext = z.infer<typeof TraceContextSchema>;

export const TraceContextSchema = z.object({
  traceparent: z.string().regex(TRACEPARENT).optional().catch(undefined),
  tracestate: z.string().max(MAX_TRACESTATE_LENGTH).optional().catch(undefined),
});

/** The trace id of a job of any version; `undefined` if the trace was not sampled. */
export const traceIdOf = (data: unknown): string | undefined => {
  const { traceparent } = TraceContextSchema.safeParse(data).data ?? {};
  if (traceparent === undefined) return undefined;
  const [, traceId, , flags = ''] = traceparent.split('-');
  return Number.parseInt(flags, 16) % 2 === 1 ? traceId : undefined;
};
