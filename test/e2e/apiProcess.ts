import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';

import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { buildCommands, type Env } from '../support/commands.ts';
import { startRedis } from '../support/redisServer.ts';
import { refused, startScriptedSeek } from '../support/scriptedSeek.ts';
import { API_KEY, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

export type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
export type ApiProcess = Awaited<ReturnType<typeof startApiProcess>>;

/** SEEK rejects signals whose token begins with this. */
export const REJECTED = 'refuse-';

/** The headers that every raw request needs. */
export const HEADERS = `Host: x\r\nAuthorization: Bearer ${API_KEY}\r\n`;

export const buildComplete = () => buildApplicationComplete({ token: newToken() });

/** The API as a process, and on request a worker, on a Redis of their own and a scripted SEEK. */
export const startApiProcess = async ({ withWorker = false } = {}) => {
  const [commands, redis, seek] = await Promise.all([
    buildCommands(),
    startRedis(),
    startScriptedSeek({
      answers: ({ text }) => (text.includes(`"${REJECTED}`) ? refused('FORBIDDEN') : undefined),
    }),
  ]);
  const env: Env = {
    ...seek.env,
    REDIS_URL: redis.url,
    API_KEYS: `ats:${API_KEY}`,
    API_PORT: '0',
    METRICS_PORT: '0',
  };
  const start = async (more: Env = {}) => {
    const api = commands.start(['api'], { ...env, ...more });
    return { url: await api.waitForOutput(/"url":"([^"]+)"/), isRunning: api.isRunning };
  };
  const { url, isRunning } = await start();
  if (withWorker) await commands.start(['worker'], env).waitForOutput(/Worker started/);
  const post = (path: string, body: Body, headers: object = {}) => postTo(url, path, body, headers);
  const call = (path: string, method = 'GET') =>
    fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${API_KEY}` } });

  return {
    url,
    seek,
    post,
    call,
    /** Another API on the same Redis. */
    startAnother: start,
    /** Every input must leave the API running, and the next signal must be accepted. */
    expectNextAccepted: async (): Promise<void> => {
      const { status } = await post('/signals', JSON.stringify(buildComplete()));
      expect([status, isRunning()]).toEqual([202, true]);
    },
    /** Hostile input is an error of the caller, so the log must not report it as our error. */
    expectNoErrorInLog: (): void => {
      const lines = commands.output().split('\n');
      expect(lines.filter((line) => /"level":"(?:error|fatal)"/.test(line))).toEqual([]);
      expect(commands.output()).toContain('signal.accepted');
    },
    waitForState: async (signalId: string, state: string): Promise<void> => {
      await waitFor(async () => {
        const record: SignalRecord = JSON.parse(await (await call(`/signals/${signalId}`)).text());
        return record.state === state;
      });
    },
    openConnection: () => openConnection(url),
    sendRaw: (...parts: (string | Buffer)[]) => sendRaw(url, parts),
    measurePeakMemory: (work: () => Promise<unknown>) => measurePeakMemory(commands.folder, work),
    stop: async (): Promise<void> => {
      await commands.stop();
      await Promise.all([redis.stop(), seek.close()]);
    },
  };
};

export const postTo = async (url: string, path: string, body: Body, headers: object = {}) => {
  const init = {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, ...headers },
    body,
  };
  const stream = body instanceof ReadableStream ? { duplex: 'half' as const } : {};
  const response = await fetch(`${url}${path}`, { ...init, ...stream });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
};

/** A new connection. `closed` resolves with what the API sent, once the API has closed the connection. */
const openConnection = (url: string) => {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  // A client that still writes when the API closes gets a reset, which also closes the connection. Not by
  // `once`, which would reject.
  socket.on('error', () => {});
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(received)));
  return { socket, closed };
};

/** Sends bytes on a new connection. Resolves with what the API sent. */
const sendRaw = async (url: string, parts: (string | Buffer)[]): Promise<string> => {
  const { socket, closed } = openConnection(url);
  for (const part of parts) {
    if (socket.destroyed) break;
    if (!socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)) {
      await Promise.race([once(socket, 'drain'), closed]).catch(() => {});
    }
  }
  return closed;
};

/** The peak memory of the API during `work`, in MiB. 0 on systems other than Linux, which do not report it. */
const measurePeakMemory = async (folder: string, work: () => Promise<unknown>): Promise<number> => {
  if (process.platform !== 'linux') {
    await work();
    return 0;
  }
  const pid = await findApi(folder);
  // Resets the peak: see proc(5).
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  await work();
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
};

const findApi = async (folder: string): Promise<string> => {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(folder) && line.endsWith('\0api\0')) return pid;
  }
  throw new Error('No API runs');
};
