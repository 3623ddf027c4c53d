import * as z from 'zod';

/** Version, trace, span, and whether anybody records it: W3C Trace Context, "traceparent". */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
// What everybody has to pass on; a longer one may be cut, or left out.
const MOST_TRACESTATE = 512;

/** To which trace something belongs. Never worth a signal: what can't be read counts as absent. */
export type TraceContext = z.infer<typeof TraceContextSchema>;

export const TraceContextSchema = z.object({
  traceparent: z.string().regex(TRACEPARENT).optional().catch(undefined),
  tracestate: z.string().max(MOST_TRACESTATE).optional().catch(undefined),
});

/** The trace that a job, of whatever version, belongs to; `undefined` where none was recorded. */
export const traceIdOf = (data: unknown): string | undefined => {
  const { traceparent } = TraceContextSchema.safeParse(data).data ?? {};
  if (traceparent === undefined) return undefined;
  const [, traceId, , flags = ''] = traceparent.split('-');
  return Number.parseInt(flags, 16) % 2 === 1 ? traceId : undefined;
};
