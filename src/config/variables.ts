import { isIP } from 'node:net';
import * as z from 'zod';

import { packageInfo } from '../runtime/packageInfo.ts';
import { parseTokenKey } from '../runtime/tokenCipher.ts';
import { LIVE_AUDIENCE } from '../schemas/seekApi.ts';
import { MAX_SIGNAL_BYTES, MAX_SIGNAL_BYTES_RANGE } from '../schemas/signal.ts';
import { DEDUPE_WINDOW_MS, MAX_DEDUPE_WINDOW_MS } from '../schemas/signalJob.ts';
import { type ApiKey, parseApiKey } from './apiKey.ts';
import { postgresUrlProblems } from './postgresUrl.ts';
import { identifierProblem, prefixProblem } from './text.ts';
import { completeProxyUrl, proxyUrlProblems, publicUrlProblems, redisUrlProblems } from './urls.ts';

const HOUR_MS = 3_600_000;

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

const milliseconds = (min = 1) => wholeNumber(min, MAX_DEDUPE_WINDOW_MS);
// Kubernetes sets NAME_PORT to such an address in every pod of the namespace of a Service `name`.
const SERVICE_LINK = /^(?:tcp|udp|sctp):\/\//;
const port = () =>
  z
    .string()
    .refine((text) => !SERVICE_LINK.test(text), {
      error:
        'must be a whole number from 0 to 65535, and is a service link of Kubernetes: set enableServiceLinks: false in the pod',
    })
    .pipe(wholeNumber(0, 65_535));
/** A text whose problems, one issue each, come from a function. */
const checked = (problemsOf: (text: string) => readonly string[]) =>
  z.string().check(({ value, issues }) => {
    for (const message of problemsOf(value)) {
      issues.push({ code: 'custom', message, input: undefined });
    }
  });
const publicUrl = (expected: string) => checked((text) => publicUrlProblems(text, expected));
const proxyUrl = () =>
  z.string().transform(completeProxyUrl).pipe(checked(proxyUrlProblems)).optional();
const host = () =>
  z
    .string()
    .refine(
      (text) => isIP(text) !== 0 || /^[\w.-]+$/.test(text),
      'must be a host name or an IP address',
    );
const free = (problemOf: (text: string) => string | undefined) =>
  checked((text) => {
    const problem = problemOf(text);
    return problem === undefined ? [] : [problem];
  });
const flag = () =>
  z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');

const otlpProtocol = () =>
  z.enum(['http/protobuf', 'http/json'], 'must be http/protobuf or http/json');

// HTTP Basic authentication can transport no other characters.
const credential = (allowed: RegExp, forbidden: string) =>
  z.string().regex(allowed, `must not hold ${forbidden}`);
const username = () => credential(/^[^:\p{Cc}]+$/u, 'a colon or a control character');
const password = () => credential(/^\P{Cc}+$/u, 'a control character');

// A file may hold one key per line.
const apiKeys = z.string().transform((text, context): ApiKey[] =>
  text.split(/,|\r?\n/).flatMap((entry) => {
    const parsed = parseApiKey(entry.trim());
    if (typeof parsed !== 'string') return [parsed];
    context.addIssue(parsed);
    return [];
  }),
);

const tokenKeys = z.string().transform((text, context): Buffer[] =>
  text.split(',').flatMap((entry) => {
    const key = parseTokenKey(entry.trim());
    if (key === undefined)
      context.addIssue('must be keys of 32 bytes in base64, separated by commas');
    return key === undefined ? [] : [key];
  }),
);

const sentinels = z.string().transform((text, context): { host: string; port: number }[] =>
  text.split(',').map((entry) => {
    const [, host = '', port = '26379'] = /^([\w.-]+)(?::(\d+))?$/.exec(entry.trim()) ?? [];
    if (host === '' || Number(port) === 0 || Number(port) > 65_535) {
      context.addIssue('must be host:port, separated by commas');
    }
    return { host, port: Number(port) };
  }),
);

/** One row per variable. `.env.example` describes each one. */
export const VARIABLES = {
  REDIS_URL: checked(redisUrlProblems).optional(),
  REDIS_SENTINELS: sentinels.optional(),
  ALLOW_UNSAFE_REDIS: flag().default(false),
  WAIT_REPLICAS: wholeNumber(0, 100).default(0),
  QUEUE_PREFIX: free(prefixProblem).default('{seek}'),
  EMBEDDED_PATH: z.string().default('.seek-signals'),
  SEEK_API_URL: publicUrl('https://…').default('https://graphql.seek.com/graphql'),
  SEEK_AUTH_URL: publicUrl('https://…').default('https://auth.seek.com/oauth/token'),
  SEEK_AUDIENCE: free(identifierProblem).default(LIVE_AUDIENCE),
  SEEK_CLIENT_ID: free(identifierProblem).optional(),
  SEEK_CLIENT_SECRET: z.string().optional(),
  SEEK_USER_AGENT: z
    .string()
    .regex(/^[\x20-\x7e]+$/, 'must be visible ASCII')
    .default(`${packageInfo.name}/${packageInfo.version}`),
  SEEK_TIMEOUT_MS: milliseconds().default(10_000),
  HTTPS_PROXY: proxyUrl(),
  HTTP_PROXY: proxyUrl(),
  NO_PROXY: z.string().optional(),
  WORKER_CONCURRENCY: wholeNumber(1, 1000).optional(),
  BATCH_SIZE: wholeNumber(1, 100).default(1),
  BATCH_LINGER_MS: milliseconds(0).default(5),
  RATE_LIMIT_PER_SECOND: wholeNumber(1, 100_000).optional(),
  DELIVERY_SUSPEND_MAX_MS: milliseconds().default(60_000),
  RETRY_MAX_ATTEMPTS: wholeNumber(1, 1_000_000).default(25),
  RETRY_BASE_MS: milliseconds().default(2_000),
  RETRY_MAX_MS: milliseconds().default(3 * HOUR_MS),
  RETRY_MAX_AGE_MS: milliseconds().default(72 * HOUR_MS),
  DEDUPE_WINDOW_MS: milliseconds().default(DEDUPE_WINDOW_MS),
  KEEP_DELIVERED_MS: milliseconds().default(24 * HOUR_MS),
  KEEP_DELIVERED_COUNT: wholeNumber(1, 100_000_000).default(10_000),
  ALLOW_UNKNOWN_TYPES: flag().default(false),
  MAX_SIGNAL_BYTES: wholeNumber(MAX_SIGNAL_BYTES_RANGE.min, MAX_SIGNAL_BYTES_RANGE.max).default(
    MAX_SIGNAL_BYTES,
  ),
  SEEK_TOKEN_TTL_DAYS: wholeNumber(1, 3_650).default(180),
  EXPIRED_TOKENS: z.enum(['send', 'skip'], 'must be send or skip').default('send'),
  TOKEN_ENCRYPTION_KEYS: tokenKeys.optional(),
  DATABASE_URL: checked(postgresUrlProblems).optional(),
  OUTBOX_TRACK_OUTCOMES: flag().default(false),
  OUTBOX_KEEP_MS: milliseconds().default(7 * 24 * HOUR_MS),
  API_HOST: host().default('127.0.0.1'),
  API_PORT: port().optional(),
  PORT: port().optional(),
  API_KEYS: apiKeys.optional(),
  BOARD_HOST: host().default('127.0.0.1'),
  BOARD_PORT: port().default(3001),
  BOARD_USERNAME: username().optional(),
  BOARD_PASSWORD: password().optional(),
  BOARD_READ_ONLY: flag().default(false),
  BOARD_VIEWER_USERNAME: username().optional(),
  BOARD_VIEWER_PASSWORD: password().optional(),
  METRICS_HOST: host().default('127.0.0.1'),
  METRICS_PORT: port().optional(),
  SIMULATOR_HOST: host().default('127.0.0.1'),
  SIMULATOR_PORT: port().default(3002),
  OTEL_EXPORTER_OTLP_ENDPOINT: publicUrl('http://host:4318').optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: publicUrl('http://host:4318/v1/traces').optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: otlpProtocol().default('http/protobuf'),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: otlpProtocol().optional(),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none'], 'must be otlp or none').default('otlp'),
  OTEL_SDK_DISABLED: z.string().toLowerCase().pipe(flag()).default(false),
  SHUTDOWN_TIMEOUT_MS: milliseconds().default(25_000),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'must be trace, debug, info, warn, error, fatal or silent',
    )
    .default('info'),
  LOG_BODIES: flag().default(false),
};
