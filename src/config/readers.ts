import type { VARIABLES } from './variables.ts';

type Variable = keyof typeof VARIABLES;

const PROCESSES = ['api', 'worker', 'board', 'relay'] as const;
const CLIENTS = ['status', 'show', 'find', 'send', 'dead-letters', 'tokens'] as const;
const QUEUE = [...PROCESSES, ...CLIENTS, 'outbox'] as const;
const ACCEPTING = ['api', 'relay', 'send', 'outbox'] as const;
const TRACED = ['api', 'worker'] as const;
const ALL_PROCESSES = [...PROCESSES, 'simulator'] as const;

type Reader = (typeof QUEUE)[number] | 'simulator';

/** A command as the configuration knows it. `check` reads every variable. */
export type Command = Reader | 'dev' | 'check';

/** Which commands read a variable, in addition to `check` and `dev`. `.env.example` says the same. */
const READERS: Record<Variable, readonly Reader[]> = {
  REDIS_URL: QUEUE,
  REDIS_SENTINELS: QUEUE,
  ALLOW_UNSAFE_REDIS: ['api', 'worker', 'relay', 'send', 'dead-letters', 'outbox'],
  WAIT_REPLICAS: ['worker', ...ACCEPTING, 'dead-letters'],
  QUEUE_PREFIX: QUEUE,
  EMBEDDED_PATH: CLIENTS,
  SEEK_API_URL: ['worker'],
  SEEK_AUTH_URL: ['worker'],
  SEEK_AUDIENCE: ['worker', ...ACCEPTING],
  SEEK_CLIENT_ID: ['worker', 'simulator'],
  SEEK_CLIENT_SECRET: ['worker', 'simulator'],
  SEEK_USER_AGENT: ['worker'],
  SEEK_TIMEOUT_MS: ['worker'],
  HTTPS_PROXY: ['worker'],
  HTTP_PROXY: ['worker'],
  NO_PROXY: ['worker'],
  WORKER_CONCURRENCY: ['worker'],
  BATCH_SIZE: ['worker'],
  BATCH_LINGER_MS: ['worker'],
  RATE_LIMIT_PER_SECOND: ['worker'],
  DELIVERY_SUSPEND_MAX_MS: ['worker'],
  RETRY_MAX_ATTEMPTS: ['worker'],
  RETRY_BASE_MS: ['worker'],
  RETRY_MAX_MS: ['worker'],
  RETRY_MAX_AGE_MS: ['worker'],
  DEDUPE_WINDOW_MS: ['worker', ...ACCEPTING],
  KEEP_DELIVERED_MS: ['worker', 'api', 'relay', 'dead-letters', 'outbox'],
  KEEP_DELIVERED_COUNT: ['worker'],
  ALLOW_UNKNOWN_TYPES: ACCEPTING,
  MAX_SIGNAL_BYTES: ['api', 'send'],
  SEEK_TOKEN_TTL_DAYS: [...PROCESSES, 'tokens'],
  EXPIRED_TOKENS: ['worker'],
  TOKEN_ENCRYPTION_KEYS: ['worker', ...ACCEPTING, 'tokens'],
  DATABASE_URL: ['relay', 'outbox', 'status'],
  OUTBOX_TRACK_OUTCOMES: ['relay'],
  OUTBOX_KEEP_MS: ['relay'],
  API_HOST: ['api'],
  API_PORT: ['api'],
  PORT: ['api'],
  API_KEYS: ['api'],
  BOARD_HOST: ['board'],
  BOARD_PORT: ['board'],
  BOARD_USERNAME: ['board'],
  BOARD_PASSWORD: ['board'],
  BOARD_READ_ONLY: ['board'],
  BOARD_VIEWER_USERNAME: ['board'],
  BOARD_VIEWER_PASSWORD: ['board'],
  METRICS_HOST: ['worker', 'relay'],
  METRICS_PORT: ['worker', 'relay'],
  SIMULATOR_HOST: ['simulator'],
  SIMULATOR_PORT: ['simulator'],
  OTEL_EXPORTER_OTLP_ENDPOINT: TRACED,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: TRACED,
  OTEL_EXPORTER_OTLP_PROTOCOL: TRACED,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: TRACED,
  OTEL_TRACES_EXPORTER: TRACED,
  OTEL_SDK_DISABLED: TRACED,
  SHUTDOWN_TIMEOUT_MS: ALL_PROCESSES,
  LOG_LEVEL: ALL_PROCESSES,
  LOG_BODIES: TRACED,
};

const IN_DEV: readonly Reader[] = ['api', 'worker', 'board', 'simulator'];

export const isReadBy = (command: Command, variable: Variable): boolean => {
  if (command === 'check') return true;
  const readers = READERS[variable];
  return command === 'dev'
    ? variable === 'EMBEDDED_PATH' || readers.some((reader) => IN_DEV.includes(reader))
    : readers.includes(command);
};
