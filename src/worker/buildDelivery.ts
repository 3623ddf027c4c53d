import { v4 as uuidV4 } from 'uuid';

import type { Config } from '../config/config.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { IndexedRequest } from '../queue/searchIndex.ts';
import type { Attempts } from './buildAttempts.ts';
import type { CircuitBreaker } from './circuitBreaker/circuitBreaker.ts';
import { createBatcher } from './delivery/batcher.ts';
import { createBisectBatch } from './delivery/bisectBatch.ts';
import { createDeliverSet, withTokenUsed } from './delivery/deliverSet.ts';
import { createReportUnconfirmed } from './delivery/reportUnconfirmed.ts';
import type { ResolveIdentifiers } from './delivery/resolveIdentifiers.ts';
import { createSendAuthorised } from './delivery/sendAuthorised.ts';
import type { Counters } from './heartbeat.ts';
import type { ResolvedEntry } from './inFlight.ts';
import type { Http } from './seek/http.ts';
import { createPartnerToken } from './seek/partnerToken.ts';
import { createSeekClient } from './seek/seekClient.ts';

export type WorkerConfig = Config<'SEEK_CLIENT_ID' | 'SEEK_CLIENT_SECRET'>;
export type Credentials = Pick<WorkerConfig, 'SEEK_CLIENT_ID' | 'SEEK_CLIENT_SECRET'>;

type Deps = {
  config: WorkerConfig;
  logger: Logger;
  metrics: Pick<Counters, 'tokenFailures'> & Pick<Metrics, 'requestSeconds' | 'unconfirmed'>;
  breaker: CircuitBreaker;
  resolveIdentifiers: ResolveIdentifiers;
  http: Http;
  /** Called before each request that carries signals. */
  onRequest: (request: IndexedRequest) => void;
  /** Returns the current credentials. They change when they are rotated. */
  secrets: () => Credentials;
  attempts: Attempts;
  /** Fires when the worker stops. */
  abort: AbortSignal;
};

/** Assembles the steps of one attempt: resolve token → batch → send → bisect a rejected batch. */
export const buildDelivery = ({
  config,
  secrets,
  breaker,
  resolveIdentifiers,
  http,
  onRequest,
  attempts: { isHeld, endAttempt },
  abort,
  ...deps
}: Deps) => {
  const { logger, metrics } = deps;
  const partnerToken = createPartnerToken({
    http,
    authUrl: config.SEEK_AUTH_URL,
    audience: config.SEEK_AUDIENCE,
    credentials: () => {
      const { SEEK_CLIENT_ID: clientId, SEEK_CLIENT_SECRET: clientSecret } = secrets();
      return { clientId, clientSecret };
    },
    userAgent: config.SEEK_USER_AGENT,
    onFailure: ({ code, message: reason }) => {
      metrics.tokenFailures.inc({ code });
      if (code === 'CREDENTIALS_REFUSED') {
        logger.error({ reason }, 'SEEK refuses SEEK_CLIENT_ID and SEEK_CLIENT_SECRET');
      }
    },
  });
  const sendAuthorised = createSendAuthorised({
    partnerToken,
    send: createSeekClient({
      http,
      apiUrl: config.SEEK_API_URL,
      userAgent: config.SEEK_USER_AGENT,
      secrets: () => [secrets().SEEK_CLIENT_SECRET],
      logger,
      logBodies: config.LOG_BODIES,
      onRequest: (seconds) => metrics.requestSeconds.observe(seconds),
    }),
    breaker,
    newRequestId: uuidV4,
    onRequest,
  });
  const bisectBatch = createBisectBatch<ResolvedEntry>({
    sendAuthorised,
    isHeld: ({ inFlight }) => isHeld(inFlight),
    abort,
    logger,
    onUnconfirmed: createReportUnconfirmed({ logger, metrics }),
    onUnknownMutation: () => {
      if (batcher.stopBatching()) {
        logger.warn('SEEK does not know sendSignals; each signal is sent alone');
      }
    },
  });
  const batcher = createBatcher({
    bisectBatch,
    onResult: (entry, delivery) => endAttempt(entry.inFlight, withTokenUsed(entry, delivery)),
    size: config.BATCH_SIZE,
    lingerMs: config.BATCH_LINGER_MS,
  });
  return createDeliverSet({
    breaker,
    resolveIdentifiers,
    batcher,
    bisectBatch,
    onResult: endAttempt,
    abort,
  });
};
