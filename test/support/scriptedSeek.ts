import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request as it arrived. */
export type RecordedRequest = {
  path: string;
  method: string;
  headers: IncomingHttpHeaders;
  text: string;
  /** The parsed body; `undefined` if it is not JSON. */
  body: unknown;
};

/** What the server does with one request. */
export type ScriptedAnswer = (response: ServerResponse, socket: Socket) => void;

/**
 * Either answers in the order of the requests, or a function of the request and its number (from 1). After
 * the last answer, or where the function returns `undefined`, the default applies.
 */
export type Script =
  | readonly ScriptedAnswer[]
  | ((
      request: RecordedRequest,
      number: number,
    ) => ScriptedAnswer | undefined | Promise<ScriptedAnswer | undefined>);

type Head = { status?: number; headers?: Record<string, string> };

/** Any body, status and headers. Sets no content type by itself. */
export const raw =
  (body: string | Buffer, { status = 200, headers = {} }: Head = {}): ScriptedAnswer =>
  (response) => {
    response.writeHead(status, headers).end(body);
  };

export const json = (body: unknown, { status = 200, headers = {} }: Head = {}): ScriptedAnswer =>
  raw(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });

export const html = (status = 502, headers: Record<string, string> = {}): ScriptedAnswer =>
  raw('<html><body><h1>Bad Gateway</h1></body></html>', {
    status,
    headers: { 'content-type': 'text/html', ...headers },
  });

export const empty = (status = 200, headers: Record<string, string> = {}): ScriptedAnswer =>
  raw('', { status, headers });

/** SEEK has processed the signals, whichever mutation sent them. */
export const delivered = (): ScriptedAnswer =>
  json({ data: { sendSignal: true, sendSignals: true } });

/** SEEK refuses with an error code. As usual for GraphQL, the default status is 200. */
export const refused = (
  code: string,
  {
    message = code,
    extensions = {},
    ...head
  }: { message?: string; extensions?: object } & Head = {},
): ScriptedAnswer =>
  json({ errors: [{ message, extensions: { code, ...extensions } }], data: null }, head);

/** The answer of the token endpoint. */
export const partnerToken = (access_token: string, expires_in = 1800): ScriptedAnswer =>
  json({ access_token, expires_in, token_type: 'Bearer' });

/** Resets the connection instead of an answer. */
export const reset = (): ScriptedAnswer => (_response, socket) => {
  socket.resetAndDestroy();
};

/** Closes the connection in the middle of the body. */
export const cutOff = (): ScriptedAnswer => (response, socket) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"data":{"sendSig', () => socket.destroy());
};

/** Sends headers at once, then single bytes without end: no single read waits long. */
export const trickle =
  (everyMs = 5): ScriptedAnswer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), everyMs);
    response.once('close', () => clearInterval(timer));
  };

/** Never answers. */
export const hang = (): ScriptedAnswer => () => {};

/** Answers after a delay. */
export const slow =
  (delayMs: number, answer: ScriptedAnswer): ScriptedAnswer =>
  (response, socket) => {
    const timer = setTimeout(() => answer(response, socket), delayMs);
    response.once('close', () => clearTimeout(timer));
  };

/** Answers when `ready` resolves. */
export const after =
  (ready: Promise<unknown>, answer: ScriptedAnswer): ScriptedAnswer =>
  (response, socket) => {
    void ready.then(() => {
      if (!response.destroyed) answer(response, socket);
    });
  };

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const createScriptRunner = (script: Script, fallback: (number: number) => ScriptedAnswer) => {
  let current = script;
  let position = 0;
  const requests: RecordedRequest[] = [];

  return {
    requests,
    answer: async (request: RecordedRequest): Promise<ScriptedAnswer> => {
      requests.push(request);
      const number = requests.length;
      const answer =
        typeof current === 'function' ? await current(request, number) : current[position++];
      return answer ?? fallback(number);
    },
    replace: (next: Script): void => {
      current = next;
      position = 0;
    },
  };
};

type Options = {
  /** For `/graphql`. The default is `delivered()`. */
  answers?: Script;
  /** For `/oauth/token`. The default is the token `partner-token-<number of the request>`. */
  token?: Script;
};

/** SEEK's two endpoints on a loopback port. They answer by script and record every request. */
export const startScriptedSeek = async ({ answers = [], token = [] }: Options = {}) => {
  const graphql = createScriptRunner(answers, delivered);
  const oauth = createScriptRunner(token, (number) => partnerToken(`partner-token-${number}`));

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The caller closed the connection before the end of its request.
      return;
    }
    const text = Buffer.concat(chunks).toString('utf8');
    const { url: path = '', method = '', headers, socket } = request;
    const recorded = { path, method, headers, text, body: parse(text) };
    const endpoint = { '/graphql': graphql, '/oauth/token': oauth }[path];
    const answer = endpoint === undefined ? empty(404) : await endpoint.answer(recorded);
    answer(response, socket);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('The scripted SEEK has no port');
  const url = `http://127.0.0.1:${address.port}`;

  return {
    url,
    apiUrl: `${url}/graphql`,
    authUrl: `${url}/oauth/token`,
    /** The variables with which a worker uses this SEEK. */
    env: {
      SEEK_API_URL: `${url}/graphql`,
      SEEK_AUTH_URL: `${url}/oauth/token`,
      SEEK_CLIENT_ID: 'scripted-client',
      SEEK_CLIENT_SECRET: 'scripted-client-secret',
    },
    /** The requests to `/graphql`, in order of arrival. */
    requests: graphql.requests,
    /** The requests to `/oauth/token`, in order of arrival. */
    tokenRequests: oauth.requests,
    /** The `input` of every mutation, in order of arrival. */
    inputs: (): unknown[] => graphql.requests.map(({ text }) => JSON.parse(text)?.variables?.input),
    /** Replaces the script. */
    answerWith: graphql.replace,
    answerTokenWith: oauth.replace,
    close: async (): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
};

export type ScriptedSeek = Awaited<ReturnType<typeof startScriptedSeek>>;
