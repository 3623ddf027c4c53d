import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { KEY, startApi } from './api.js';
import { buildSignal } from './payload.js';
import { startRedis } from './processes.js';

const AUTOCANNON = new URL('../node_modules/autocannon/autocannon.js', import.meta.url).pathname;
const SECONDS = 10;
const CONNECTIONS = 50;

/** `perSecond` is the number of accepted signals; `p50` and `p99` are in ms. */
export type ApiLoad = { perSecond: number; p50: number; p99: number };

type CannonReport = {
  latency: { p50: number; p99: number };
  '2xx': number;
  non2xx: number;
  errors: number;
  duration: number;
};

/** Sends `POST /signals` with one signal each, at a constant rate that does not wait for the answers. */
export const measureApiLoad = async (perSecond: number): Promise<ApiLoad> => {
  const redis = await startRedis();
  const api = await startApi(redis.url);
  // autocannon replaces `[<id>]` by another number in each request, so no signal is a duplicate.
  const body = JSON.stringify({ ...buildSignal(0), token: `${buildSignal(0).token}[<id>]` });
  const headers = [`authorization=Bearer ${KEY}`, 'content-type=application/json'];
  const run = async (seconds: number): Promise<CannonReport> => {
    const cannon = spawn(
      process.execPath,
      [
        AUTOCANNON,
        '--json',
        '--idReplacement',
        '--method',
        'POST',
        '--body',
        body,
        ...headers.flatMap((header) => ['--headers', header]),
        '--overallRate',
        perSecond,
        '--connections',
        CONNECTIONS,
        '--duration',
        seconds,
        `${api.url}/signals`,
      ].map(String),
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let text = '';
    cannon.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await once(cannon, 'close');
    return JSON.parse(text);
  };
  try {
    await run(3);
    const report = await run(SECONDS);
    if (report.non2xx + report.errors > 0)
      throw new Error(
        `The API did not accept every signal: ${report.non2xx} rejected, ${report.errors} failed`,
      );
    const { p50, p99 } = report.latency;
    return { perSecond: report['2xx'] / report.duration, p50, p99 };
  } finally {
    await api.stop();
    await redis.stop();
  }
};
