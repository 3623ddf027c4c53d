import { readFileSync } from 'node:fs';
import * as z from 'zod';

import { VARIABLES } from './variables.ts';

/** Refuses to start. Lists every problem, so that one deploy mends them all. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const EnvironmentSchema = z.object(VARIABLES);

type Environment = z.infer<typeof EnvironmentSchema>;
export type Variable = keyof Environment;

/** What a command can't do without: these are then present. */
export type Config<Required extends Variable = never> = Readonly<
  Environment & { [Name in Required]-?: NonNullable<Environment[Name]> }
>;

const SECRETS: readonly Variable[] = [
  'SEEK_CLIENT_SECRET',
  'API_KEYS',
  'BOARD_PASSWORD',
  'BOARD_VIEWER_PASSWORD',
  'TOKEN_ENCRYPTION_KEYS',
];

/**
 * The one reader of the environment. An empty value counts as unset; `NAME_FILE` names a file that
 * holds the value of `NAME`. Throws `ConfigError` with every problem, one a line.
 */
export const loadConfig = <Required extends Variable = never>(
  env: NodeJS.ProcessEnv,
  required: readonly Required[] = [],
): Config<Required> => {
  const { values, problems } = readValues(env);
  const parsed = EnvironmentSchema.safeParse(values);
  if (!parsed.success) {
    problems.push(
      ...parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`),
    );
  }
  problems.push(...judgeViewer(values));
  for (const name of required) {
    if (
      values[name] === undefined &&
      !problems.some((line) => line.startsWith(`${name} `) || line.startsWith(`${name}_FILE `))
    ) {
      problems.push(`${name} is required`);
    }
  }
  if (parsed.success && problems.length === 0 && has(parsed.data, required)) {
    return Object.freeze(parsed.data);
  }
  throw new ConfigError([...new Set(problems)].join('\n'));
};

const VIEWER = ['BOARD_VIEWER_USERNAME', 'BOARD_VIEWER_PASSWORD'] as const;

const judgeViewer = (values: Record<string, string>): string[] => {
  const [given, ...more] = VIEWER.filter((name) => values[name] !== undefined);
  const [missing] = VIEWER.filter((name) => name !== given);
  return given === undefined || more.length > 0 ? [] : [`${given} is set without ${missing}`];
};

const has = <Required extends Variable>(
  environment: Environment,
  required: readonly Required[],
): environment is Environment & { [Name in Required]-?: NonNullable<Environment[Name]> } =>
  required.every((name) => environment[name] !== undefined);

const readValues = (env: NodeJS.ProcessEnv) => {
  const values: Record<string, string> = {};
  const problems: string[] = [];

  for (const name of Object.keys(VARIABLES)) {
    const [value, file] = [env[name] || undefined, env[`${name}_FILE`] || undefined];
    if (value !== undefined && file !== undefined) {
      problems.push(`${name} and ${name}_FILE are both set; give one of them`);
    } else if (file !== undefined) {
      try {
        const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
        if (content !== '') values[name] = content;
      } catch {
        problems.push(`${name}_FILE names a file that cannot be read: ${file}`);
      }
    } else if (value !== undefined) {
      values[name] = value;
    }
  }

  return { values, problems };
};

/** For the log line at start: of secrets only that they are set, of queue and collector only where they are. */
export const describeConfig = (config: Config): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({
      ...config,
      REDIS_URL: placeOf(config.REDIS_URL),
      DATABASE_URL: placeOf(config.DATABASE_URL),
      // Some collectors want their key in the query.
      OTEL_EXPORTER_OTLP_ENDPOINT: placeOf(config.OTEL_EXPORTER_OTLP_ENDPOINT),
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: placeOf(config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
    }).map(([name, value]) => [
      name,
      SECRETS.some((secret) => secret === name) && value !== undefined ? '[set]' : value,
    ]),
  );

/** Without login and query. */
const placeOf = (url: string | undefined): string | undefined => {
  if (url === undefined) return undefined;
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
};

// Left for what has to be closed after what is under way has come to an end.
const CLOSING_MS = 3_000;

/** How long a process that is told to stop waits for what is under way. */
export const shutdownGraceMs = ({ SHUTDOWN_TIMEOUT_MS }: Config): number =>
  Math.max(0, SHUTDOWN_TIMEOUT_MS - CLOSING_MS);

/** Where traces go; `undefined`: nothing is traced. What OpenTelemetry's specification says of these. */
export const tracesUrlOf = (config: Config): string | undefined => {
  if (config.OTEL_SDK_DISABLED || config.OTEL_TRACES_EXPORTER === 'none') return undefined;
  const { OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: whole } = config;
  if (whole !== undefined || base === undefined) return whole;
  const url = new URL(base);
  url.pathname = url.pathname.replace(/\/*$/, '/v1/traces');
  return url.href;
};

/** Platforms that run one web process a container say its port as `PORT`. */
export const apiPort = (config: Config): number => config.API_PORT ?? config.PORT ?? 3000;
