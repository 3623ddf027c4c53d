import { ConfigError } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Backend, SafetyFinding } from '../../queue/backend.ts';
import { APPEND_ONLY_FILE, EVICTION } from '../../queue/redis/safetyCheck.ts';
import { withDeadline } from '../../runtime/async.ts';

// The process starts without Redis if it is not reached by then.
const CONNECT_TIMEOUT_MS = 2_000;

type Deps = { backend: Pick<Backend, 'inspect' | 'onConnected'>; logger: Logger };

/**
 * Checks whether Redis may evict signals, as soon as Redis is first reached. Throws `ConfigError` if it may.
 * If Redis is not reached in time, `failedPrecondition` resolves with the reason as soon as the check fails.
 * The same finding about a later Redis, after a failover, is logged and does not stop the process.
 */
export const guardRedis = async (
  { backend, logger }: Deps,
  allowUnsafe: boolean,
): Promise<{ failedPrecondition: Promise<string> }> => {
  let isFirst = true;
  const inspect = async (): Promise<SafetyFinding[]> => {
    const findings = await backend.inspect();
    const evicting = evictionOf(findings);
    if (evicting !== undefined && (allowUnsafe || !isFirst)) {
      logger.error({ reason: evicting, allowUnsafe }, 'Redis may evict signals');
    }
    if (isFirst) warn(findings, logger);
    isFirst = false;
    return findings;
  };
  const firstFindings = new Promise<SafetyFinding[]>((resolve) => {
    // A failure means that the connection broke again. The next `onConnected` repeats the inspection.
    backend.onConnected(() => void inspect().then(resolve, () => {}));
  });
  const refusal = firstFindings.then((findings) => {
    const evicting = evictionOf(findings);
    return evicting === undefined || allowUnsafe ? undefined : explain(evicting);
  });

  const reason = await withDeadline(
    refusal,
    CONNECT_TIMEOUT_MS,
    () => new Error('Redis not reached'),
  ).catch(() => undefined);
  if (reason !== undefined) throw new ConfigError(reason);
  return {
    failedPrecondition: new Promise((resolve) => {
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
  `Redis may evict signals: maxmemory-policy is ${evicting}, or ALLOW_UNSAFE_REDIS=true to start anyway`;
