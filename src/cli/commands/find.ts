import { ConfigError } from '../../config/config.ts';
import type { Criterion } from '../../producer/search.ts';
import { renderLives } from '../io/render.ts';
import { complain, type Output, print, withAdminClient } from './inspect.ts';

const MOST = 1_000;

export type FindOptions = Output & {
  requestId?: string;
  application?: string;
  position?: string;
  idempotencyKey?: string;
  from?: string;
  limit: string;
};

/** `seek-signals find`: by what is at hand where the signal's id is not. */
export const find = (env: NodeJS.ProcessEnv, options: FindOptions): Promise<number> => {
  const { by, limit } = read(options);
  return withAdminClient(env, async (admin) => {
    const lookup = await admin.search(by, limit);
    print(lookup, options, renderLives);
    if (lookup.length === limit) complain(`The first ${limit} only`);
    return lookup.length > 0 ? 0 : 1;
  });
};

const read = (options: FindOptions): { by: Criterion; limit: number } => {
  const { requestId, application, position, idempotencyKey, from } = options;
  const criteria: Criterion[] = [
    ...(requestId === undefined ? [] : [{ requestId }]),
    ...(application === undefined ? [] : [{ applicationId: application }]),
    ...(position === undefined ? [] : [{ positionProfileId: position }]),
    ...(idempotencyKey === undefined || from === undefined ? [] : [{ idempotencyKey, from }]),
  ];
  const limit = /^[1-9]\d{0,3}$/.test(options.limit) ? Number(options.limit) : MOST + 1;
  const [by, ...more] = criteria;
  const problems = [
    ...(by === undefined || more.length > 0
      ? [
          'Give one of --request-id, --application, --position, or --idempotency-key together with --from',
        ]
      : []),
    ...(limit > MOST ? [`--limit must be a whole number from 1 to ${MOST}`] : []),
  ];
  if (by === undefined || problems.length > 0) throw new ConfigError(problems.join('\n'));
  return { by, limit };
};
