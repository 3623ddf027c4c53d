import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import * as z from 'zod';
import type { Logger } from '../../observability/logger.ts';
import { parseDuration } from '../../runtime/duration.ts';
import { ApplicationIdSchema } from '../../schemas/seekToken.ts';
import type { EraseApplication } from '../../seekTokens/eraseApplication.ts';
import type { SeekTokens } from '../../seekTokens/registry.ts';
import { InvalidSeekTokenError } from '../errors.ts';
import type { RecordSeekToken } from '../recordSeekToken.ts';
import type { Caller } from './authenticate.ts';
import { count, type PathId, readJsonOf, readPathId, readQuery } from './readRequest.ts';

export type ApplicationDeps = {
  recordSeekToken: RecordSeekToken;
  seekTokens: Pick<SeekTokens, 'find' | 'expiring'>;
  eraseApplication: EraseApplication;
  logger: Logger;
};

// A 204 has no body, so warnings go into the header that RFC 9110 made obsolete. It omits the id of the other
// application, because a header value can only hold ASCII.
const toWarning = (warning: string): string =>
  `299 - "${warning.replace(/^\/\w+: | \(.*\)$/gs, '')}"`;
const APPLICATION: PathId = {
  name: 'applicationId',
  schema: ApplicationIdSchema,
  InvalidError: InvalidSeekTokenError,
};
const MAX_LIMIT = 1_000;

const NOT_A_DURATION = 'Expected a duration, such as 14d, 12h or 30m';
const ExpiringSchema = z.strictObject({
  within: z
    .string()
    .default('14d')
    .transform((text, context) => {
      const ms = parseDuration(text);
      if (ms === undefined) context.addIssue(NOT_A_DURATION);
      return ms ?? z.NEVER;
    }),
  limit: count.max(MAX_LIMIT, `Expected at most ${MAX_LIMIT}`).default(MAX_LIMIT),
});

/** `/applications`: records, shows and erases seek tokens. */
export const createApplicationRoutes = ({ logger, ...deps }: ApplicationDeps) => {
  const app = new Hono<Caller>();

  app.get('/expiring', async (c) => {
    const { within, limit } = readQuery(ExpiringSchema, c.req.query());
    return c.json({ applications: await deps.seekTokens.expiring(within, limit) });
  });

  app.put('/:applicationId/seek-token', async (c) => {
    const { warnings } = await deps.recordSeekToken(await readJsonOf(c, APPLICATION));
    return c.body(null, 204, warnings?.[0] ? { warning: toWarning(warnings[0]) } : {});
  });

  app.get('/:applicationId/seek-token', async (c) => {
    const found = await deps.seekTokens.find(readPathId(c, APPLICATION));
    if (found === undefined) {
      throw new HTTPException(404, { message: 'No seek token is stored for this application' });
    }
    return c.json(found);
  });

  app.delete('/:applicationId/seek-token', async (c) => {
    const applicationId = readPathId(c, APPLICATION);
    const signals = await deps.eraseApplication(applicationId);
    logger.warn({ by: c.get('keyName'), applicationId, signals }, 'application.erased');
    return c.body(null, 204);
  });

  return app;
};
