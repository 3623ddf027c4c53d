import { ConfigError } from '../../config/config.ts';
import type { Criterion } from '../../producer/search.ts';
import { withAdminClient } from '../admin/withAdminClient.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';
import { renderSignals } from '../io/render.ts';

const MAX_LIMIT = 1_000;

export type FindOptions = OutputOptions & {
  requestId?: string;
  application?: string;
  position?: string;
  idempotencyKey?: string;
  from?: string;
  limit: string;
};

/** `seek-signals find` */
export const find = (env: NodeJS.ProcessEnv, options: FindOptions): Promise<number> => {
  const { by, limit } = read(options);
  return withAdminClient(env, 'find', async (admin) => {
    const signals = await admin.search(by, limit);
    printResult(signals, options, renderSignals);
    if (signals.length === limit) printMessage(`Showing the first ${limit} only`);
    return signals.length > 0 ? 0 : 1;
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
  const limit = /^[1-9]\d{0,3}$/.test(options.limit) ? Number(options.limit) : MAX_LIMIT + 1;
  const [by, ...more] = criteria;
  const problems = [
    ...(by === undefined || more.length > 0
      ? [
          'Give one of --request-id, --application, --position, or --idempotency-key together with --from',
        ]
      : []),
    ...(limit > MAX_LIMIT ? [`--limit must be a whole number from 1 to ${MAX_LIMIT}`] : []),
  ];
  if (by === undefined || problems.length > 0) throw new ConfigError(problems.join('\n'));
  return { by, limit };
};
