import { v4 as uuidV4 } from 'uuid';

import type { Config } from '../config.ts';
import type { Logger } from '../logging.ts';
import type { Metrics } from '../metrics.ts';
import type { Requested } from '../queue/signalIndex.ts';
import { createBatcher } from './batcher.ts';
import type { Bind } from './bind.ts';
import type { Counters } from './countAnswers.ts';
import { createDispatchSignal } from './dispatchSignal.ts';
import { createExchange } from './exchange.ts';
import type { Http } from './http.ts';
import { createIsolate } from './isolate.ts';
import type { Lane } from './lane.ts';
import { createPartnerToken } from './partnerToken.ts';
import { createSeekClient } from './seekClient.ts';

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
