import { ConfigError, loadConfig } from '../../config/config.ts';
import { parseDuration } from '../../runtime/duration.ts';
import { createReencrypt, type ReencryptResult } from '../../seekTokens/reencrypt.ts';
import type { ApplicationView } from '../../seekTokens/registry.ts';
import { reachRedis } from '../admin/openAdminClient.ts';
import { columns } from '../io/render.ts';
import { complain, type Output, print, withAdminClient } from './inspect.ts';

type Options = Output & { within: string; limit: string };

/** `seek-signals tokens expiring` */
export const expiring = (env: NodeJS.ProcessEnv, options: Options): Promise<number> => {
  const ms = parseDuration(options.within);
  const limit = /^(?:[1-9]\d{0,2}|1000)$/.test(options.limit) ? Number(options.limit) : undefined;
  const problems = [
    ...(ms === undefined ? ['--within must be a duration, such as 14d, 12h or 30m'] : []),
    ...(limit === undefined ? ['--limit must be a whole number from 1 to 1000'] : []),
  ];
  if (ms === undefined || limit === undefined) throw new ConfigError(problems.join('\n'));

  return withAdminClient(env, async (admin) => {
    const applications = await admin.expiring(ms, limit);
    print(applications, options, renderExpiring);
    if (applications.length === limit) complain(`The first ${limit} only`);
    return 0;
  });
};

/** `seek-signals tokens reseal`: only where every process has the first key already. */
export const reencrypt = async (env: NodeJS.ProcessEnv, output: Output): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'TOKEN_ENCRYPTION_KEYS']);
  const { backend, seekTokens, cipher } = await reachRedis(config);
  try {
    const reencrypted = await createReencrypt({ backend, tokens: seekTokens, cipher })();
    print(reencrypted, output, renderReencrypted);
    return reencrypted.done && reencrypted.undecryptable === 0 ? 0 : 1;
  } finally {
    await backend.close();
  }
};

const renderReencrypted = ({ reencrypted, undecryptable, done }: ReencryptResult): string =>
  [
    `${reencrypted} tokens were sealed with the first key.`,
    ...(undecryptable > 0
      ? [`${undecryptable} cannot be opened: none of TOKEN_ENCRYPTION_KEYS is theirs.`]
      : []),
    done
      ? 'Nothing else needs another key.'
      : 'Not all is done: a producer seals with another key, or a signal was in hand all the time.',
  ].join('\n');

const renderExpiring = (applications: ApplicationView[]): string =>
  applications.length === 0
    ? 'No token expires by then.'
    : columns([
        ['application', 'expires', 'received', 'source'],
        ...applications.map(({ applicationId, expiresAt, receivedAt, source }) => [
          ...[applicationId, expiresAt, receivedAt, source],
        ]),
      ]);
