import { v4 as uuidV4 } from 'uuid';

import type { Config } from '../config/config.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Requested } from '../queue/searchIndex.ts';
import type { Lane } from './circuitBreaker/circuitBreaker.ts';
import { createBatcher } from './delivery/batcher.ts';
import { createIsolate } from './delivery/bisectBatch.ts';
import { createDispatchSignal } from './delivery/deliverSignal.ts';
import type { Bind } from './delivery/resolveToken.ts';
import { createExchange } from './delivery/sendAuthorised.ts';
import type { Counters } from './heartbeat.ts';
import type { Http } from './seek/http.ts';
import { createPartnerToken } from './seek/partnerToken.ts';
import { createSeekClient } from './seek/seekClient.ts';

export type WorkerConfig = Config<'SEEK_CLIENT_ID' | 'SEEK_CLIENT_SECRET'>;
export type Credentials = Pick<WorkerConfig, 'SEEK_CLIENT_ID' | 'SEEK_CLIENT_SECRET'>;

type Deps = {
  config: WorkerConfig;
  logger: Logger;
  metrics: Pick<Counters, 'tokenFailures'> & Pick<Metrics, 'requestSeconds'>;
  lane: Lane;
  bind: Bind;
  http: Http;
  onRequest: (requested: Requested) => void;
  /** The credentials as they are at present. */
  secrets: () => Credentials;
};

/** Puts together what one attempt goes through: bind, batch, authorise, send, isolate. */
export const composeDispatch = ({
  config,
  secrets,
  lane,
  bind,
  http,
  onRequest,
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
  const exchange = createExchange({
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
    lane,
    newRequestId: uuidV4,
    onRequest,
  });
  const isolate = createIsolate({
    exchange,
    logger,
    onUnknown: () => {
      if (batcher.stopBatching()) logger.warn('SEEK does not know sendSignals: batches are off');
    },
  });
  const batcher = createBatcher({
    isolate,
    size: config.BATCH_SIZE,
    lingerMs: config.BATCH_LINGER_MS,
  });
  return createDispatchSignal({ lane, bind, batcher, isolate });
};
