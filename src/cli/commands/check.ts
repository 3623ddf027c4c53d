import colours from 'picocolors';

import { type Config, ConfigError, loadConfig } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import type { SafetyFinding } from '../../queue/backend.ts';
import { type DeliveryView, viewDelivery } from '../../queue/breakerState.ts';
import { queueTimedOut, withDeadline } from '../../runtime/async.ts';
import { messageOf } from '../../runtime/errors.ts';
import { createHttp } from '../../worker/seek/http.ts';
import { createPartnerToken, PartnerTokenError } from '../../worker/seek/partnerToken.ts';
import { columns, renderDelivery } from '../io/render.ts';
import { describeConnectionError } from '../processes/guardRedis.ts';
import { openRedisBackend } from '../processes/service.ts';
import { type Output, print } from './inspect.ts';
import { tryPlayground } from './playground.ts';

const REDIS_WITHIN_MS = 5_000;
const TOKEN_WITHIN_MS = 8_000;

type Options = Output & { playground?: boolean };

/** `seek-signals check`: is this deployment safe? With `playground`: does SEEK understand us? */
export const check = async (env: NodeJS.ProcessEnv, options: Options): Promise<number> => {
  const { playground = false, ...output } = options;
  const { config, problems } = readConfiguration(env);
  const inspections = [inspectQueue(config), inspectCredentials(config, playground)];
  const findings = [
    ...judgeConfiguration(config, problems),
    ...(await Promise.all(inspections)).flat(),
  ];
  print(findings, output, renderFindings);
  return findings.some(({ level }) => level === 'error') ? 1 : 0;
};

/** With what is wrong left out, so that the rest can be looked at all the same. */
const readConfiguration = (env: NodeJS.ProcessEnv): { config: Config; problems: string[] } => {
  try {
    return { config: loadConfig(env), problems: [] };
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err;
    const problems = err.message.split('\n');
    const variable = (text: string) => /^\w+?(?=_FILE\b|\b)/.exec(text)?.[0];
    const wrong = new Set(problems.map(variable));
    const rest = Object.entries(env).filter(([name]) => !wrong.has(variable(name)));
    // What goes with one that is left out is wrong without it.
    return { ...readConfiguration(Object.fromEntries(rest)), problems };
  }
};

const judgeConfiguration = (config: Config, problems: string[]): SafetyFinding[] => {
  const told = (name: string) => problems.some((problem) => problem.startsWith(name));
  const finding = (level: SafetyFinding['level'], message: string): SafetyFinding => ({
    ...{ subject: 'configuration', level, message },
  });
  const findings = problems.map((problem) => finding('error', problem));
  if (config.REDIS_URL === undefined && !told('REDIS_URL')) {
    findings.push(finding('error', 'REDIS_URL is not set'));
  }
  // Not every container has them.
  for (const [name, who] of [
    ['SEEK_CLIENT_ID', 'worker'],
    ['SEEK_CLIENT_SECRET', 'worker'],
    ['API_KEYS', 'api'],
  ] as const) {
    if (config[name] !== undefined || told(name)) continue;
    findings.push(finding('warning', `${name} is not set: ${who} refuses to start`));
  }
  return findings.length > 0 ? findings : [finding('ok', 'complete')];
};

const inspectQueue = async (config: Config): Promise<SafetyFinding[]> => {
  const { REDIS_URL } = config;
  if (REDIS_URL === undefined) return [];
  const logger = createLogger({ level: 'silent' });
  const backend = openRedisBackend({ ...config, REDIS_URL }, 'fail-fast', logger);
  const { host } = new URL(REDIS_URL);
  try {
    const asking = async (): Promise<SafetyFinding[]> => {
      await backend.ping();
      return [
        { subject: 'Redis', level: 'ok', message: `${host} answers` },
        ...(await backend.inspect()),
        judgeLane(viewDelivery(await backend.breaker.read())),
      ];
    };
    return await withDeadline(asking(), REDIS_WITHIN_MS, queueTimedOut);
  } catch (err) {
    const { refusal, lastError } = describeConnectionError(err, backend, REDIS_URL);
    const message =
      refusal === undefined
        ? `${host} does not answer${lastError === undefined ? '' : ` (${lastError})`}`
        : `${host} refuses: ${refusal}`;
    return [{ subject: 'Redis', level: 'error', message }];
  } finally {
    await backend.close();
  }
};

const judgeLane = (delivery: DeliveryView): SafetyFinding => ({
  subject: 'delivery',
  level: delivery.state === 'running' ? 'ok' : 'warning',
  message: renderDelivery(delivery),
});

const inspectCredentials = async (
  config: Config,
  playground: boolean,
): Promise<SafetyFinding[]> => {
  const { SEEK_CLIENT_ID: clientId, SEEK_CLIENT_SECRET: clientSecret } = config;
  if (clientId === undefined || clientSecret === undefined) {
    const message = 'SEEK_CLIENT_ID and SEEK_CLIENT_SECRET are needed';
    return playground ? [{ subject: 'playground', level: 'error', message }] : [];
  }
  const http = createHttp({
    timeoutMs: Math.min(config.SEEK_TIMEOUT_MS, TOKEN_WITHIN_MS),
    connections: 1,
  });
  const partnerToken = createPartnerToken({
    http,
    authUrl: config.SEEK_AUTH_URL,
    audience: config.SEEK_AUDIENCE,
    credentials: () => ({ clientId, clientSecret }),
    userAgent: config.SEEK_USER_AGENT,
  });
  const finding = (level: SafetyFinding['level'], message: string): SafetyFinding[] => [
    { subject: 'credentials', level, message },
  ];
  try {
    const token = await partnerToken.get();
    return [
      ...finding('ok', `${config.SEEK_AUTH_URL} gave a partner token`),
      ...(playground
        ? await tryPlayground({ ...config, SEEK_CLIENT_SECRET: clientSecret }, http, token)
        : []),
    ];
  } catch (err) {
    const reason = messageOf(err);
    return err instanceof PartnerTokenError && err.code === 'CREDENTIALS_REFUSED'
      ? finding('error', `SEEK refuses SEEK_CLIENT_ID and SEEK_CLIENT_SECRET (${reason})`)
      : finding(
          playground ? 'error' : 'warning',
          `not known: no partner token to be had (${reason})`,
        );
  } finally {
    await http.close();
  }
};

const COLOUR = { ok: colours.green, warning: colours.yellow, error: colours.red };

const renderFindings = (findings: SafetyFinding[]): string =>
  columns(findings.map(({ level, subject, message }) => [COLOUR[level](level), subject, message]));
