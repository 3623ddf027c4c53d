import { ConfigError } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Backend, QueueUse, SafetyFinding } from '../../queue/backend.ts';
import type { QueueFailure } from '../../queue/failure.ts';
import { APPEND_ONLY_FILE, EVICTION, PERMISSIONS } from '../../queue/redis/safetyCheck.ts';
import { withDeadline } from '../../runtime/async.ts';

// The process starts without Redis if it is not reached by then.
const CONNECT_TIMEOUT_MS = 2_000;

const INSPECT_AGAIN_MS = 1_000;

type Deps = {
  backend: Pick<Backend, 'inspect' | 'onConnected' | 'explainFailure'>;
  logger: Logger;
};
type Options = { allowUnsafe: boolean; uses?: readonly QueueUse[] };

/**
 * Checks whether Redis may evict signals, and allows what this process needs, as soon as Redis is first
 * reached. Throws `ConfigError` if not, or if Redis refuses the login.
 * If Redis is not reached in time, `failedPrecondition` resolves with the reason as soon as the check fails.
 * The same findings about a later Redis, after a failover, are logged and do not stop the process.
 */
export const guardRedis = async (
  { backend, logger }: Deps,
  { allowUnsafe, uses = [] }: Options,
): Promise<{ failedPrecondition: Promise<string> }> => {
  let isFirst = true;
  const inspect = async (): Promise<SafetyFinding[]> => {
    const findings = await backend.inspect(uses);
    for (const { subject, message } of errorsOf(findings)) {
      if (isFirst && !(subject === EVICTION && allowUnsafe)) continue;
      if (subject === EVICTION) {
        logger.error({ reason: message, allowUnsafe }, 'Redis may evict signals');
      } else logger.error({ reason: message }, 'Redis refuses commands to this user');
    }
    if (isFirst) warn(findings, logger);
    isFirst = false;
    return findings;
  };
  const firstFindings = new Promise<SafetyFinding[]>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const tryInspect = (): void =>
      void inspect().then(resolve, () => {
        // The connection broke, and the next `onConnected` repeats the inspection; or Redis is busy.
        clearTimeout(timer);
        timer = setTimeout(() => isFirst && tryInspect(), INSPECT_AGAIN_MS).unref();
      });
    backend.onConnected(tryInspect);
  });
  const refusal = firstFindings.then((findings) => explain(findings, allowUnsafe));

  const reason = await withDeadline(
    refusal,
    CONNECT_TIMEOUT_MS,
    () => new Error('Redis not reached'),
  ).catch(() => explainLogin(backend.explainFailure()));
  if (reason !== undefined) throw new ConfigError(reason);
  return {
    failedPrecondition: new Promise((resolve) => {
      void refusal.then((late) => {
        if (late !== undefined) resolve(late);
      });
    }),
  };
};

const errorsOf = (findings: SafetyFinding[]): SafetyFinding[] =>
  findings.filter(
    ({ subject, level }) => level === 'error' && (subject === EVICTION || subject === PERMISSIONS),
  );

const warn = (findings: SafetyFinding[], logger: Logger): void => {
  for (const { subject, level, message } of findings) {
    if (level === 'warning' && (subject === EVICTION || subject === APPEND_ONLY_FILE)) {
      logger.warn({ subject, reason: message }, 'Redis may lose signals');
    }
  }
};

/** One line for each reason not to start. */
const explain = (findings: SafetyFinding[], allowUnsafe: boolean): string | undefined => {
  const reasons = errorsOf(findings).flatMap(({ subject, message }) => {
    if (subject === PERMISSIONS) return [`${message}. See docs/operations/security.md`];
    return allowUnsafe
      ? []
      : [
          `Redis may evict signals: maxmemory-policy is ${message}, or ALLOW_UNSAFE_REDIS=true to start anyway`,
        ];
  });
  return reasons.length === 0 ? undefined : reasons.join('\n');
};

// Redis is there, and no later attempt succeeds with the same user and password.
const LOGIN_REFUSALS = new Set(['WRONGPASS', 'NOAUTH', 'NOPERM']);

const explainLogin = ({ code, message }: QueueFailure): string | undefined =>
  LOGIN_REFUSALS.has(code) ? message : undefined;
