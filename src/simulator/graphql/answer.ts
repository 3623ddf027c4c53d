import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { ExecutionResult } from 'graphql';
import type { Context } from 'hono';

/** Node's own request and response, when a server is under the app; none in `app.request()`. */
export type SimulatorEnv = { Bindings: Partial<HttpBindings> };

/** What goes back for one GraphQL request, as data. */
export type Answer = {
  /** `OK`, the code of the first error, or a word for an answer that is no GraphQL. */
  outcome: string;
  status: number;
  headers: Record<string, string>;
  body: string;
  /** How much of it arrives: `half` breaks off in the body, `nothing` resets the connection. */
  arrives: 'whole' | 'half' | 'nothing';
};

/**
 * SEEK documents no statuses, only that errors may come with 200. Here: 200 for whatever was
 * executed and for UNAUTHENTICATED, 400 for a request that was refused before execution.
 */
export const graphqlAnswer = (result: ExecutionResult, status?: number): Answer => {
  const code = result.errors?.[0]?.extensions.code;
  const outcome = result.errors ? String(code ?? 'INTERNAL_SERVER_ERROR') : 'OK';
  const refused = result.data === undefined && outcome !== 'UNAUTHENTICATED';

  return {
    outcome,
    status: status ?? (refused ? 400 : 200),
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(result),
    arrives: 'whole',
  };
};

/** Puts an answer on the wire, or as much of it as shall arrive. */
export const send = (
  c: Context<SimulatorEnv>,
  { status, headers, body, arrives }: Answer,
): Response => {
  if (arrives === 'whole') {
    return new Response(body, { status, headers });
  }

  // `app.request()` passes no bindings at all, whatever the type says.
  const outgoing = c.env?.outgoing;

  if (outgoing === undefined) {
    return Response.error();
  }

  if (arrives === 'nothing') {
    outgoing.socket?.resetAndDestroy();
  } else {
    outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
    outgoing.write(body.slice(0, body.length / 2), () => outgoing.destroy());
  }

  return RESPONSE_ALREADY_SENT;
};
