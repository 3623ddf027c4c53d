import { readFileSync } from 'node:fs';
import * as z from 'zod';

import { VARIABLES } from './variables.ts';

/** The configuration is invalid. Lists every problem, so that one deployment can fix them all. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const EnvironmentSchema = z.object(VARIABLES);

type Environment = z.infer<typeof EnvironmentSchema>;
export type Variable = keyof Environment;

/** `Required` names the variables that a command needs. They are present in its configuration. */
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
 * Reads the environment; no other code does. An empty value counts as unset. `NAME_FILE` names a file
 * that holds the value of `NAME`. Throws `ConfigError` with every problem, one per line.
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
  problems.push(...checkViewer(values));
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

const VIEWER_VARIABLES = ['BOARD_VIEWER_USERNAME', 'BOARD_VIEWER_PASSWORD'] as const;

const checkViewer = (values: Record<string, string>): string[] => {
  const [present, ...others] = VIEWER_VARIABLES.filter((name) => values[name] !== undefined);
  const [missing] = VIEWER_VARIABLES.filter((name) => name !== present);
  return present === undefined || others.length > 0 ? [] : [`${present} is set without ${missing}`];
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
    const value = env[name] || undefined;
    const file = env[`${name}_FILE`] || undefined;
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

/**
 * The configuration as the log line at start shows it. A secret appears as `[set]`, a URL without its
 * credentials and query.
 */
export const describeConfig = (config: Config): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({
      ...config,
      REDIS_URL: withoutCredentials(config.REDIS_URL),
      DATABASE_URL: withoutCredentials(config.DATABASE_URL),
      // Some collectors expect their key in the query.
      OTEL_EXPORTER_OTLP_ENDPOINT: withoutCredentials(config.OTEL_EXPORTER_OTLP_ENDPOINT),
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: withoutCredentials(
        config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
      ),
    }).map(([name, value]) => [
      name,
      SECRETS.some((secret) => secret === name) && value !== undefined ? '[set]' : value,
    ]),
  );

const withoutCredentials = (url: string | undefined): string | undefined => {
  if (url === undefined) return undefined;
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
};

// Reserved for closing connections after the work in flight has ended.
const CLOSE_RESERVE_MS = 3_000;

/** How long a process that stops waits for the work in flight. */
export const shutdownGraceMs = ({ SHUTDOWN_TIMEOUT_MS }: Config): number =>
  Math.max(0, SHUTDOWN_TIMEOUT_MS - CLOSE_RESERVE_MS);

/**
 * The URL that receives traces, from the variables that the OpenTelemetry specification defines.
 * `undefined`: tracing is off.
 */
export const tracesUrlOf = (config: Config): string | undefined => {
  if (config.OTEL_SDK_DISABLED || config.OTEL_TRACES_EXPORTER === 'none') return undefined;
  const { OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: full } = config;
  if (full !== undefined || base === undefined) return full;
  const url = new URL(base);
  url.pathname = url.pathname.replace(/\/*$/, '/v1/traces');
  return url.href;
};

/** `PORT` is how platforms with one web process per container pass the port. */
export const apiPort = (config: Config): number => config.API_PORT ?? config.PORT ?? 3000;
