import { ConfigError } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Backend, SafetyFinding } from '../../queue/backend.ts';
import { createDescribeError } from '../../queue/redis/connection.ts';
import { APPEND_ONLY_FILE, EVICTION } from '../../queue/redis/safetyCheck.ts';
import { withDeadline } from '../../runtime/async.ts';

// A Redis that has not been reached by then is away, and must not keep the process from starting.
const REACHED_WITHIN_MS = 2_000;

type Deps = { backend: Pick<Backend, 'inspect' | 'onReached'>; logger: Logger };

/**
 * Looks whether the Redis may evict signals, as soon as it is first reached. Throws `ConfigError` if
 * so; where it is away at present, the answer comes with `unfit`, which then resolves with the
 * reason. What a later Redis is like, after a failover, is only told.
 */
export const guardRedis = async (
  { backend, logger }: Deps,
  allowUnsafe: boolean,
): Promise<{ unfit: Promise<string> }> => {
  let first = true;
  const examine = async (): Promise<SafetyFinding[]> => {
    const findings = await backend.inspect();
    const evicting = evictionOf(findings);
    if (evicting !== undefined && (allowUnsafe || !first)) {
      logger.error({ reason: evicting, allowUnsafe }, 'Redis may evict signals');
    }
    if (first) warn(findings, logger);
    first = false;
    return findings;
  };
  const firstFindings = new Promise<SafetyFinding[]>((resolve) => {
    // Where it was lost again meanwhile, it will be reached again.
    backend.onReached(() => void examine().then(resolve, () => {}));
  });
  const refusal = firstFindings.then((findings) => {
    const evicting = evictionOf(findings);
    return evicting === undefined || allowUnsafe ? undefined : explain(evicting);
  });

  const reason = await withDeadline(refusal, REACHED_WITHIN_MS, () => new Error('away')).catch(
    () => undefined,
  );
  if (reason !== undefined) throw new ConfigError(reason);
  return {
    unfit: new Promise((resolve) => {
      void refusal.then((late) => {
        if (late !== undefined) resolve(late);
      });
    }),
  };
};

const evictionOf = (findings: SafetyFinding[]): string | undefined =>
  findings.find(({ subject, level }) => subject === EVICTION && level === 'error')?.message;

const warn = (findings: SafetyFinding[], logger: Logger): void => {
  for (const { subject, level, message } of findings) {
    if (level === 'warning' && (subject === EVICTION || subject === APPEND_ONLY_FILE)) {
      logger.warn({ subject, reason: message }, 'Redis may lose signals');
    }
  }
};

const explain = (evicting: string): string =>
  `Redis may evict signals: maxmemory-policy is ${evicting}, or ALLOW_UNSAFE_REDIS=true to go on all the same`;

/** What to say of a Redis that could not be asked: its own refusal, such as NOAUTH, or why it was not reached. */
export const describeConnectionError = (
  err: unknown,
  backend: Pick<Backend, 'lastError'>,
  url: string,
): { refusal?: string; lastError?: string | undefined } =>
  err instanceof Error && err.name === 'ReplyError'
    ? { refusal: createDescribeError(url)(err) }
    : { lastError: backend.lastError() };
