import colours from 'picocolors';

import { type Config, ConfigError, loadConfig } from '../../config/config.ts';
import { proxyFor } from '../../config/proxy.ts';
import { describeUrl } from '../../config/urls.ts';
import { createLogger } from '../../observability/logger.ts';
import { MIN_SECRET_LENGTH } from '../../observability/redact.ts';
import { orUnavailable } from '../../producer/available.ts';
import type { Backend, QueueUse, SafetyFinding } from '../../queue/backend.ts';
import { viewDelivery } from '../../queue/breakerState.ts';
import { commandOf } from '../../queue/redis/access.ts';
import { messageOf } from '../../runtime/errors.ts';
import { packageInfo } from '../../runtime/packageInfo.ts';
import { LIVE_AUDIENCE } from '../../schemas/seekApi.ts';
import { createHttp } from '../../worker/seek/http.ts';
import { createPartnerToken, PartnerTokenError } from '../../worker/seek/partnerToken.ts';
import { type OutputOptions, printResult } from '../io/output.ts';
import { columns, renderDelivery } from '../io/render.ts';
import { checkNeed } from '../processes/readiness.ts';
import { openRedisBackend } from '../processes/service.ts';
import { checkPlayground } from './playground.ts';

const REDIS_TIMEOUT_MS = 5_000;
// Less than the whole check has, so that the other findings are still shown.
const WRITE_TIMEOUT_MS = 3_000;
const TOKEN_TIMEOUT_MS = 8_000;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export type CheckOptions = OutputOptions & { playground?: boolean };

/** `seek-signals check`. With `playground`, it also sends sample signals to SEEK's Playground. */
export const check = async (env: NodeJS.ProcessEnv, options: CheckOptions): Promise<number> => {
  const { playground = false, ...output } = options;
  const { config, problems } = readConfiguration(env);
  const checks = [checkRedis(config), checkCredentials(config, playground)];
  const findings = [
    ...checkConfiguration(config, problems),
    ...checkSecrets(config),
    ...checkEncryption(config),
    checkProxy(config),
    ...(await Promise.all(checks)).flat(),
  ];
  printResult(findings, output, renderFindings);
  return findings.some(({ level }) => level === 'error') ? 1 : 0;
};

/** Leaves out the variables that are wrong, so that the rest of the deployment can be checked. */
const readConfiguration = (env: NodeJS.ProcessEnv): { config: Config; problems: string[] } => {
  try {
    return { config: loadConfig(env, [], 'check'), problems: [] };
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err;
    const problems = err.message.split('\n');
    const variableOf = (text: string) => /^\w+?(?=_FILE\b|\b)/.exec(text)?.[0];
    const wrong = new Set(problems.map(variableOf));
    const rest = Object.entries(env).filter(([name]) => !wrong.has(variableOf(name)));
    // Leaving out one variable can make another one wrong, so the rest is read in the same way. The first
    // reading named every problem.
    return { ...readConfiguration(Object.fromEntries(rest)), problems };
  }
};

const checkConfiguration = (config: Config, problems: string[]): SafetyFinding[] => {
  const hasProblem = (name: string) => problems.some((problem) => problem.startsWith(name));
  const finding = (level: SafetyFinding['level'], message: string): SafetyFinding => ({
    subject: 'configuration',
    level,
    message,
  });
  const findings = problems.map((problem) => finding('error', problem));
  if (config.REDIS_URL === undefined && !hasProblem('REDIS_URL')) {
    findings.push(finding('error', 'REDIS_URL is not set'));
  }
  // A warning only, because a container needs only the variables of its own process.
  for (const [name, command] of [
    ['SEEK_CLIENT_ID', 'worker'],
    ['SEEK_CLIENT_SECRET', 'worker'],
    ['API_KEYS', 'api'],
  ] as const) {
    if (config[name] !== undefined || hasProblem(name)) continue;
    findings.push(finding('warning', `${name} is not set: ${command} refuses to start`));
  }
  if (
    config.SEEK_AUDIENCE === LIVE_AUDIENCE &&
    config.SEEK_USER_AGENT.startsWith(`${packageInfo.name}/`) &&
    !hasProblem('SEEK_USER_AGENT')
  ) {
    const message = `SEEK_USER_AGENT is ${config.SEEK_USER_AGENT}: SEEK expects the name and version of your own product`;
    findings.push(finding('warning', message));
  }
  return findings.length > 0 ? findings : [finding('ok', 'complete')];
};

/** Warns of secrets that are too short to be masked where an answer repeats them, and easy to guess. */
const checkSecrets = (config: Config): SafetyFinding[] => {
  const { REDIS_URL, API_KEYS = [] } = config;
  const secrets: [string, string | undefined][] = [
    ['The password in REDIS_URL', REDIS_URL && decodeURIComponent(new URL(REDIS_URL).password)],
    ['SEEK_CLIENT_SECRET', config.SEEK_CLIENT_SECRET],
    ...API_KEYS.map(({ name, key }): [string, string | undefined] => [
      `The key ${name} of API_KEYS`,
      key,
    ]),
    ['BOARD_PASSWORD', config.BOARD_PASSWORD],
    ['BOARD_VIEWER_PASSWORD', config.BOARD_VIEWER_PASSWORD],
  ];
  return secrets
    .filter(([, secret = '']) => secret !== '' && secret.length < MIN_SECRET_LENGTH)
    .map(([name]) => ({
      subject: 'secrets',
      level: 'warning',
      message: `${name} has fewer than ${MIN_SECRET_LENGTH} characters: it is not masked in messages that repeat it`,
    }));
};

/** Warns of an address to which credentials and signals travel in plain text. */
const checkEncryption = (config: Config): SafetyFinding[] =>
  (['SEEK_API_URL', 'SEEK_AUTH_URL'] as const)
    .filter((name) => {
      const { protocol, hostname } = new URL(config[name]);
      return protocol === 'http:' && !LOOPBACK.test(hostname);
    })
    .map((name) => ({
      subject: 'encryption',
      level: 'warning',
      message: `${name} begins with http://: credentials and signals travel in plain text`,
    }));

/** Names the proxy that each address of SEEK is called through. */
const checkProxy = (config: Config): SafetyFinding => {
  const message = (['SEEK_API_URL', 'SEEK_AUTH_URL'] as const)
    .map((name) => {
      const proxy = proxyFor(config, config[name]);
      return `${name}: ${proxy === undefined ? 'none' : describeUrl(proxy)}`;
    })
    .join(', ');
  return { subject: 'proxy', level: 'ok', message };
};

const checkRedis = async (config: Config): Promise<SafetyFinding[]> => {
  const { REDIS_URL } = config;
  if (REDIS_URL === undefined) return [];
  const logger = createLogger({ level: 'silent' });
  const backend = openRedisBackend({ ...config, REDIS_URL }, 'fail-fast', logger);
  try {
    const inspect = async (): Promise<SafetyFinding[]> => {
      const findings = await backend.inspect(usesOf(config));
      return [
        { subject: 'Redis', level: 'ok', message: `${new URL(REDIS_URL).host} answers` },
        await checkWrite(backend),
        ...findings,
        await checkDelivery(backend),
      ];
    };
    // The first attempt of a user without INFO fails as a whole: see `skipRefusedReadyCheck`.
    const inspectAgain = (err: unknown) => {
      if (commandOf(err) !== 'info') throw err;
      return inspect();
    };
    return await orUnavailable(
      inspect().catch(inspectAgain),
      REDIS_TIMEOUT_MS,
      backend.explainFailure,
    );
  } catch (err) {
    return [{ subject: 'Redis', level: 'error', message: messageOf(err) }];
  } finally {
    await backend.close();
  }
};

const checkWrite = async (backend: Backend): Promise<SafetyFinding> => {
  const finding = (level: SafetyFinding['level'], message: string): SafetyFinding => ({
    subject: 'writes',
    level,
    message,
  });
  const accepting = checkNeed('accept', backend);
  return orUnavailable(accepting, WRITE_TIMEOUT_MS, backend.explainFailure).then(
    () => finding('ok', 'acknowledged'),
    (err: unknown) => finding('error', messageOf(err)),
  );
};

/** What the processes of the whole deployment do. */
const usesOf = (config: Config): QueueUse[] =>
  config.OUTBOX_TRACK_OUTCOMES ? ['work', 'outcomes'] : ['work'];

/** Redis may refuse this question. The answers to the others are shown all the same. */
const checkDelivery = async ({ breaker, explainFailure }: Backend): Promise<SafetyFinding> => {
  const finding = (level: SafetyFinding['level'], message: string): SafetyFinding => ({
    subject: 'delivery',
    level,
    message,
  });
  try {
    const delivery = viewDelivery(await breaker.read());
    return finding(delivery.state === 'running' ? 'ok' : 'warning', renderDelivery(delivery));
  } catch (err) {
    if (!(err instanceof Error) || err.name !== 'ReplyError') throw err;
    return finding('warning', `unknown: ${explainFailure(err).message}`);
  }
};

const checkCredentials = async (config: Config, playground: boolean): Promise<SafetyFinding[]> => {
  const { SEEK_CLIENT_ID: clientId, SEEK_CLIENT_SECRET: clientSecret } = config;
  if (clientId === undefined || clientSecret === undefined) {
    const message = 'SEEK_CLIENT_ID and SEEK_CLIENT_SECRET are required';
    return playground ? [{ subject: 'playground', level: 'error', message }] : [];
  }
  const http = createHttp({
    timeoutMs: Math.min(config.SEEK_TIMEOUT_MS, TOKEN_TIMEOUT_MS),
    connections: 1,
    proxyFor: (url) => proxyFor(config, url),
  });
  const partnerToken = createPartnerToken({
    http,
    authUrl: config.SEEK_AUTH_URL,
    audience: config.SEEK_AUDIENCE,
    credentials: () => ({ clientId, clientSecret }),
    userAgent: config.SEEK_USER_AGENT,
  });
  try {
    const token = await partnerToken.get();
    return [
      credentials('ok', `${describeUrl(config.SEEK_AUTH_URL)} issued a partner token`),
      ...(playground
        ? await checkPlayground({ ...config, SEEK_CLIENT_SECRET: clientSecret }, http, token)
        : []),
    ];
  } catch (err) {
    const reason = messageOf(err);
    return err instanceof PartnerTokenError && err.code === 'CREDENTIALS_REFUSED'
      ? [credentials('error', `SEEK refuses SEEK_CLIENT_ID and SEEK_CLIENT_SECRET (${reason})`)]
      : [credentials(playground ? 'error' : 'warning', `unknown: no partner token (${reason})`)];
  } finally {
    await http.close();
  }
};

const credentials = (level: SafetyFinding['level'], message: string): SafetyFinding => ({
  subject: 'credentials',
  level,
  message,
});

const COLOUR = { ok: colours.green, warning: colours.yellow, error: colours.red };

const renderFindings = (findings: SafetyFinding[]): string =>
  columns(findings.map(({ level, subject, message }) => [COLOUR[level](level), subject, message]));
