import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request as it came over the wire. */
export type RecordedRequest = {
  path: string;
  method: string;
  headers: IncomingHttpHeaders;
  text: string;
  /** The parsed body; `undefined` where it is not JSON. */
  body: unknown;
};

/** What the server does with one request. */
export type ScriptedAnswer = (response: ServerResponse, socket: Socket) => void;

/**
 * Answers in the order of the requests, the default once they are used up; or a function that looks
 * at the request and its number, from 1.
 */
export type Script =
  | readonly ScriptedAnswer[]
  | ((
      request: RecordedRequest,
      number: number,
    ) => ScriptedAnswer | undefined | Promise<ScriptedAnswer | undefined>);

type Head = { status?: number; headers?: Record<string, string> };

/** Any body under any head. No content type unless one is given. */
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

/** SEEK took the signal. */
export const delivered = (): ScriptedAnswer => json({ data: { sendSignal: true } });

/** SEEK refuses with an error code, as GraphQL does: under HTTP 200 unless told otherwise. */
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

/** The connection is torn down before anything is answered. */
export const reset = (): ScriptedAnswer => (_response, socket) => {
  socket.resetAndDestroy();
};

/** The head promises more than comes before the connection ends. */
export const cutOff = (): ScriptedAnswer => (response, socket) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"data":{"sendSig', () => socket.destroy());
};

/** The head at once, then a byte now and then, for ever: no single read waits long. */
export const trickle =
  (everyMs = 5): ScriptedAnswer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), everyMs);
    response.once('close', () => clearInterval(timer));
  };

/** Never answers. */
export const hang = (): ScriptedAnswer => () => {};

/** Answers late. */
export const slow =
  (delayMs: number, answer: ScriptedAnswer): ScriptedAnswer =>
  (response, socket) => {
    const timer = setTimeout(() => answer(response, socket), delayMs);
    response.once('close', () => clearTimeout(timer));
  };

/** Answers once the test says so. */
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

const createPlayer = (script: Script, fallback: (number: number) => ScriptedAnswer) => {
  let current = script;
  let position = 0;
  const requests: RecordedRequest[] = [];

  return {
    requests,
    play: async (request: RecordedRequest): Promise<ScriptedAnswer> => {
      requests.push(request);
      const number = requests.length;
      const answer =
        typeof current === 'function' ? await current(request, number) : current[position++];
      return answer ?? fallback(number);
    },
    follow: (next: Script): void => {
      current = next;
      position = 0;
    },
  };
};

type Options = {
  /** For `/graphql`. Whatever the script leaves open is accepted. */
  answers?: Script;
  /** For `/oauth/token`. Whatever the script leaves open is `partner-token-<number of the request>`. */
  token?: Script;
};

/** Both of SEEK's endpoints on a loopback port, playing what they are told and recording every request. */
export const startScriptedSeek = async ({ answers = [], token = [] }: Options = {}) => {
  const graphql = createPlayer(answers, delivered);
  const oauth = createPlayer(token, (number) => partnerToken(`partner-token-${number}`));

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The caller let go before it had said everything.
      return;
    }
    const text = Buffer.concat(chunks).toString('utf8');
    const { url: path = '', method = '', headers, socket } = request;
    const recorded = { path, method, headers, text, body: parse(text) };
    const player = { '/graphql': graphql, '/oauth/token': oauth }[path];
    const answer = player === undefined ? empty(404) : await player.play(recorded);
    answer(response, socket);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = `http://127.0.0.1:${address.port}`;

  return {
    url,
    apiUrl: `${url}/graphql`,
    authUrl: `${url}/oauth/token`,
    /** What a worker needs to speak to this SEEK. */
    env: {
      SEEK_API_URL: `${url}/graphql`,
      SEEK_AUTH_URL: `${url}/oauth/token`,
      SEEK_CLIENT_ID: 'scripted-client',
      SEEK_CLIENT_SECRET: 'scripted-client-secret',
    },
    /** To `/graphql`, in the order of their arrival. */
    requests: graphql.requests,
    /** To `/oauth/token`. */
    tokenRequests: oauth.requests,
    /** The `input` of every mutation, in the order of arrival. */
    inputs: (): unknown[] => graphql.requests.map(({ text }) => JSON.parse(text)?.variables?.input),
    /** From now on. */
    answerWith: graphql.follow,
    answerTokenWith: oauth.follow,
    close: async (): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
};

export type ScriptedSeek = Awaited<ReturnType<typeof startScriptedSeek>>;
