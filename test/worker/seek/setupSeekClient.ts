import { createHttp } from '../../../src/worker/seek/http.ts';
import { createSeekClient } from '../../../src/worker/seek/seekClient.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { type Script, startScriptedSeek } from '../../support/scriptedSeek.ts';

export const REQUEST_ID = '6f1c2a52-3b53-4dc1-9d53-0c7f0a0b6a01';
/** A partner token with characters that are easily misspelled. */
export const PARTNER_TOKEN = 'partner.token+%2F="/ü';
export const TOKEN = 'seek+token%2B="/\\ü😀';
export const CLIENT_SECRET = 'client+secret/%2F';

const open: (() => Promise<unknown>)[] = [];

export const setup = async (
  answers: Script = [],
  { timeoutMs = 10_000, logBodies = false } = {},
) => {
  const seek = await startScriptedSeek({ answers });
  const http = createHttp({ timeoutMs, connections: 10 });
  open.push(http.close, seek.close);
  const logs = captureLogs();
  const seconds: number[] = [];
  const client = createSeekClient({
    http,
    apiUrl: seek.apiUrl,
    userAgent: 'test/1.2.3',
    secrets: () => [CLIENT_SECRET],
    logger: logs.logger,
    logBodies,
    onRequest: (duration) => seconds.push(duration),
  });
  const sendAll = (signals: unknown[], partnerToken = 'partner-1', abort?: AbortSignal) =>
    client({
      signals: signals.map((signal) => acceptedBySeek(signal)),
      partnerToken,
      requestId: REQUEST_ID,
      abort,
    });
  const send = (signal: unknown = buildSignal(), partnerToken?: string, abort?: AbortSignal) =>
    sendAll([signal], partnerToken, abort);

  return { send, sendAll, seek, logs, seconds };
};

/** A client whose requests all fail with `err`. */
export const setupFailing = (err: Error) => {
  const client = createSeekClient({
    http: { post: () => Promise.reject(err) },
    apiUrl: 'https://graphql.example/graphql',
    userAgent: 'test/1.2.3',
    secrets: () => [],
    logger: captureLogs().logger,
    logBodies: false,
  });
  const signals = [acceptedBySeek(buildSignal())];
  return { client: () => client({ signals, partnerToken: 'p', requestId: REQUEST_ID }) };
};

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});
