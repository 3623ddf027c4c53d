import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { ExecutionResult } from 'graphql';
import type { Context } from 'hono';

/** Node's request and response. They exist only behind a server; `app.request()` passes none. */
export type SimulatorEnv = { Bindings: Partial<HttpBindings> };

/** The response to one GraphQL request, as data. */
export type GraphqlResponse = {
  /** `OK`, the code of the first error, or the kind of the fault for a response without GraphQL. */
  outcome: string;
  status: number;
  headers: Record<string, string>;
  body: string;
  /** How much is sent: `half` ends the connection within the body, `nothing` resets it. */
  sends: 'all' | 'half' | 'nothing';
};

/**
 * SEEK documents no statuses, only that errors may have status 200. The simulator uses 200 for an executed
 * request and for UNAUTHENTICATED, and 400 for a request that it rejects before execution.
 */
export const toGraphqlResponse = (result: ExecutionResult, status?: number): GraphqlResponse => {
  const code = result.errors?.[0]?.extensions.code;
  const outcome = result.errors ? String(code ?? 'INTERNAL_SERVER_ERROR') : 'OK';
  const isRejected = result.data === undefined && outcome !== 'UNAUTHENTICATED';

  return {
    outcome,
    status: status ?? (isRejected ? 400 : 200),
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(result),
    sends: 'all',
  };
};

/** Sends a response, or the part of it that `sends` allows. */
export const send = (
  c: Context<SimulatorEnv>,
  { status, headers, body, sends }: GraphqlResponse,
): Response => {
  if (sends === 'all') {
    return new Response(body, { status, headers });
  }

  // `app.request()` passes no bindings at all, although the type says that `env` always exists.
  const outgoing = c.env?.outgoing;

  if (outgoing === undefined) {
    return Response.error();
  }

  if (sends === 'nothing') {
    outgoing.socket?.resetAndDestroy();
  } else {
    outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
    outgoing.write(body.slice(0, body.length / 2), () => outgoing.destroy());
  }

  return RESPONSE_ALREADY_SENT;
};
