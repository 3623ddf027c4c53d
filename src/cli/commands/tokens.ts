import { ConfigError, loadConfig } from '../../config/config.ts';
import { parseDuration } from '../../runtime/duration.ts';
import { createReencrypt, type ReencryptResult } from '../../seekTokens/reencrypt.ts';
import type { ApplicationView } from '../../seekTokens/registry.ts';
import { connectRedis } from '../admin/openAdminClient.ts';
import { withAdminClient } from '../admin/withAdminClient.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';
import { columns } from '../io/render.ts';

export type ExpiringOptions = OutputOptions & { within: string; limit: string };

/** `seek-signals tokens expiring` */
export const expiring = (env: NodeJS.ProcessEnv, options: ExpiringOptions): Promise<number> => {
  const ms = parseDuration(options.within);
  const limit = /^(?:[1-9]\d{0,2}|1000)$/.test(options.limit) ? Number(options.limit) : undefined;
  const problems = [
    ...(ms === undefined ? ['--within must be a duration, such as 14d, 12h or 30m'] : []),
    ...(limit === undefined ? ['--limit must be a whole number from 1 to 1000'] : []),
  ];
  if (ms === undefined || limit === undefined) throw new ConfigError(problems.join('\n'));

  return withAdminClient(env, 'tokens', async (admin) => {
    const applications = await admin.expiring(ms, limit);
    printResult(applications, options, renderExpiring);
    if (applications.length === limit) printMessage(`Showing the first ${limit} only`);
    return 0;
  });
};

/** `seek-signals tokens re-encrypt`. Every process must have the first key before it runs. */
export const reencrypt = async (env: NodeJS.ProcessEnv, output: OutputOptions): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'TOKEN_ENCRYPTION_KEYS'], 'tokens');
  const { backend, seekTokens, cipher } = await connectRedis(config);
  try {
    const result = await createReencrypt({ backend, tokens: seekTokens, cipher })();
    printResult(result, output, renderReencrypted);
    return result.done && result.undecryptable === 0 ? 0 : 1;
  } finally {
    await backend.close();
  }
};

const renderReencrypted = ({ reencrypted, undecryptable, done }: ReencryptResult): string =>
  [
    `re-encrypted ${reencrypted} tokens with the first key`,
    ...(undecryptable > 0
      ? [`failed to decrypt ${undecryptable}: none of TOKEN_ENCRYPTION_KEYS is the key`]
      : []),
    done
      ? 'no other token needs another key'
      : 'not complete: a producer still encrypts with another key, or a signal stayed in flight; run it again',
  ].join('\n');

const renderExpiring = (applications: ApplicationView[]): string =>
  applications.length === 0
    ? 'no token expires by then'
    : columns([
        ['application', 'expires', 'received', 'source'],
        ...applications.map(({ applicationId, expiresAt, receivedAt, source }) => [
          applicationId,
          expiresAt,
          receivedAt,
          source,
        ]),
      ]);
