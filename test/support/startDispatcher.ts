import { startApi } from '../../src/cli/processes/api.ts';
import { createService } from '../../src/cli/processes/service.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { DeadLetterView } from '../../src/deadLetters/deadLetters.ts';
import type { Tracer } from '../../src/observability/tracing.ts';
import type { Backend } from '../../src/queue/backend.ts';
import type { QueueStatus } from '../../src/queue/status.ts';
import { withDeadline } from '../../src/runtime/async.ts';
import type { SignalRecord, SignalState } from '../../src/schemas/signalRecord.ts';
import { startWorker } from '../../src/worker/startWorker.ts';

import { captureLogs } from './captureLogs.ts';
import type { Platform } from './platforms.ts';
import { type Script, startScriptedSeek } from './scriptedSeek.ts';
import { waitFor } from './waitFor.ts';

export const API_KEY = 'api-key-of-the-ats';

const CLOSE_TIMEOUT_MS = 8_000;

let created = 0;
/** A token that no other test in the file uses. Encoding or decoding it once too often would change it. */
export const newToken = (): string => {
  created += 1;
  return `seek-token-${created}+of/one%20application`;
};

export type Accepted = { signalId: string; duplicate: boolean; state: SignalState };

type Options = {
  answers?: Script;
  token?: Script;
  /** Variables for all processes. */
  env?: Record<string, string>;
  workers?: number;
  /** Used by all processes. */
  tracer?: Tracer;
};

/** Starts an API and workers in this process, built as real processes build them, and a scripted SEEK. */
export const startDispatcher = async (platform: Platform, options: Options = {}) => {
  await platform.clear();
  const { answers = [], token = [], env = {}, workers = 1, tracer } = options;
  const seek = await startScriptedSeek({ answers, token });
  const logs = captureLogs();
  const running: { close: () => Promise<void> }[] = [];

  const configOf = (more: Record<string, string> = {}) =>
    loadConfig(
      {
        ...seek.env,
        API_KEYS: `ats:${API_KEY}`,
        LOG_LEVEL: 'trace',
        RETRY_BASE_MS: '5',
        RETRY_MAX_MS: '40',
        SEEK_TIMEOUT_MS: '5000',
        DELIVERY_SUSPEND_MAX_MS: '40',
        SHUTDOWN_TIMEOUT_MS: '1',
        ...env,
        ...more,
      },
      ['SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET', 'API_KEYS'],
    );
  const openService = (profile: 'fail-fast' | 'patient', config = configOf()) => {
    const backend = platform.open(config, profile, logs.logger);
    const service = createService(backend, logs.logger, config);
    const close = service.closers.closeAll;
    running.push({ close });
    return { ...service, tracer, close };
  };

  const startOneWorker = async (more: Record<string, string> = {}) => {
    const config = configOf(more);
    const service = openService('patient', config);
    await startWorker({ ...service, config });
    return service;
  };

  const service = openService('fail-fast');
  const { url } = await startApi(service, configOf(), 0);
  for (let started = 0; started < workers; started += 1) await startOneWorker();

  const call = (method: string, path: string, body?: unknown, headers: object = {}) =>
    fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${API_KEY}`, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const get = async <Body>(path: string): Promise<Body> => {
    const answer = await call('GET', path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status}`);
    return JSON.parse(await answer.text());
  };

  const find = async (signalId: string): Promise<SignalRecord | undefined> => {
    const answer = await call('GET', `/signals/${signalId}`);
    return answer.status === 404 ? undefined : JSON.parse(await answer.text());
  };

  return {
    seek,
    logs,
    url,
    call,
    get,
    find,
    backend: service.backend,
    startWorker: startOneWorker,
    /** Opens the queue as a worker does, without starting one. */
    openBackend: (): Backend => openService('patient').backend,
    /** Rejects unless the API answers 202. */
    send: async (signal: object, headers: object = {}): Promise<Accepted> => {
      const answer = await call('POST', '/signals', signal, headers);
      const text = await answer.text();
      if (answer.status !== 202) throw new Error(`POST /signals: ${answer.status} ${text}`);
      return JSON.parse(text);
    },
    sendAll: async (signals: object[]): Promise<Accepted[]> => {
      const answer = await call('POST', '/signals/batch', { signals });
      const body: { results: Accepted[] } = JSON.parse(await answer.text());
      return body.results;
    },
    status: () => get<QueueStatus>('/status'),
    deadLetters: async (query = ''): Promise<DeadLetterView[]> =>
      (await get<{ deadLetters: DeadLetterView[] }>(`/dead-letters${query}`)).deadLetters,
    redrive: async (signalId: string): Promise<number> =>
      (await call('POST', `/dead-letters/${signalId}/redrive`)).status,
    /** Resolves with the signal's record when it is in this state. */
    until: (signalId: string, state: SignalState): Promise<SignalRecord> => {
      let seen: SignalRecord | undefined;
      return waitFor(
        async () => {
          seen = await find(signalId);
          return seen?.state === state && seen;
        },
        { what: `${signalId} to be ${state}` },
      );
    },
    /** Resolves with the dead letter when a worker has failed it and the signal's job is removed. */
    untilDeadLettered: (signalId: string, redrives = 0): Promise<DeadLetterView> =>
      waitFor(
        async () => {
          const queue = await service.backend.queue('dead-letters');
          if ((await queue.getJobState(signalId)) !== 'failed') return undefined;
          const answer = await call('GET', `/dead-letters/${signalId}`);
          const deadLetter: DeadLetterView = JSON.parse(await answer.text());
          const state = await (await service.backend.queue('signals')).getJobState(signalId);
          return deadLetter.redrives === redrives && state === 'unknown' && deadLetter;
        },
        { what: `${signalId} to be a dead letter after ${redrives} redrives` },
      ),
    stop: async (): Promise<void> => {
      const late = () => new Error('A process did not close in time');
      for (const { close } of running.reverse())
        await withDeadline(close(), CLOSE_TIMEOUT_MS, late);
      await seek.close();
    },
  };
};

export type Dispatcher = Awaited<ReturnType<typeof startDispatcher>>;
