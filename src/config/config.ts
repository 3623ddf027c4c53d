import * as z from 'zod';

import {
  isVariable,
  type Problem,
  readEnvironment,
  type Values,
  type Variable,
} from './environment.ts';
import { describePostgresUrl } from './postgresUrl.ts';
import { type Command, isReadBy } from './readers.ts';
import { describeUrl } from './urls.ts';
import { VARIABLES } from './variables.ts';

export type { Variable };

/** The configuration is invalid. Lists every problem, so that one deployment can fix them all. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const EnvironmentSchema = z.object(VARIABLES);

type Environment = z.infer<typeof EnvironmentSchema>;

/** `Required` names the variables that a command needs. They are present in its configuration. */
export type Config<Required extends Variable = never> = Readonly<
  Environment & { [Name in Required]-?: NonNullable<Environment[Name]> }
>;

/**
 * Reads the environment; no other code does. An empty value counts as unset. `NAME_FILE` names a file
 * that holds the value of `NAME`. Throws `ConfigError` with every problem, one per line.
 *
 * An invalid value that the command does not read counts as unset: Kubernetes sets variables such as `API_PORT`
 * in every pod beside a Service of that name.
 */
export const loadConfig = <Required extends Variable = never>(
  env: NodeJS.ProcessEnv,
  required: readonly Required[] = [],
  command: Command = 'check',
): Config<Required> => {
  const { values, problems } = readEnvironment(env);
  const { environment, invalid } = parse(values);
  problems.push(...invalid);
  problems.push(...checkViewer(new Set([...Object.keys(values), ...problems.map(nameOf)])));
  for (const name of required) {
    if (values[name] === undefined && !problems.map(nameOf).includes(name)) {
      problems.push({ name, text: `${name} is required` });
    }
  }
  const isStopped = problems.some(({ name }) => isReadBy(command, name));
  if (!isStopped && has(environment, required)) return Object.freeze(environment);
  throw new ConfigError([...new Set(problems.map(({ text }) => text))].join('\n'));
};

const nameOf = ({ name }: Problem): string => name;

/** The variables that are valid, and the problems of the others. */
const parse = (values: Values): { environment: Environment; invalid: Problem[] } => {
  const parsed = EnvironmentSchema.safeParse(values);
  if (parsed.success) return { environment: parsed.data, invalid: [] };
  const invalid = parsed.error.issues.flatMap(({ path: [name], message }) =>
    isVariable(name) ? [{ name, text: `${name} ${message}` }] : [],
  );
  const wrong = new Set(invalid.map(nameOf));
  const rest = Object.entries(values).filter(([name]) => !wrong.has(name));
  return { environment: EnvironmentSchema.parse(Object.fromEntries(rest)), invalid };
};

const VIEWER_VARIABLES = ['BOARD_VIEWER_USERNAME', 'BOARD_VIEWER_PASSWORD'] as const;

const checkViewer = (given: ReadonlySet<string>): Problem[] => {
  const [present, ...others] = VIEWER_VARIABLES.filter((name) => given.has(name));
  const [missing] = VIEWER_VARIABLES.filter((name) => name !== present);
  return present === undefined || others.length > 0
    ? []
    : [{ name: present, text: `${present} is set without ${missing}` }];
};

const has = <Required extends Variable>(
  environment: Environment,
  required: readonly Required[],
): environment is Environment & { [Name in Required]-?: NonNullable<Environment[Name]> } =>
  required.every((name) => environment[name] !== undefined);

const hidden = (): string => '[set]';

/** How the log line at start shows the variables that can hold a secret. */
const DESCRIBED: Partial<Record<Variable, (text: string) => string>> = {
  SEEK_CLIENT_SECRET: hidden,
  API_KEYS: hidden,
  BOARD_PASSWORD: hidden,
  BOARD_VIEWER_PASSWORD: hidden,
  TOKEN_ENCRYPTION_KEYS: hidden,
  REDIS_URL: describeUrl,
  DATABASE_URL: describePostgresUrl,
  // Gateways and collectors may expect their key in the query.
  SEEK_API_URL: describeUrl,
  SEEK_AUTH_URL: describeUrl,
  HTTPS_PROXY: describeUrl,
  HTTP_PROXY: describeUrl,
  OTEL_EXPORTER_OTLP_ENDPOINT: describeUrl,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: describeUrl,
};

/**
 * The configuration as the log line at start shows it. A secret appears as `[set]`, a URL without its
 * credentials and query.
 */
export const describeConfig = (config: Config): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(config).map(([name, value]) => {
      const describe = isVariable(name) ? DESCRIBED[name] : undefined;
      return [
        name,
        describe === undefined || value === undefined ? value : describe(String(value)),
      ];
    }),
  );

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
