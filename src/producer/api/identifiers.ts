import { type Context, Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { Logger } from '../../observability/logger.ts';
import { toInvalidFields } from '../../schemas/invalidFields.ts';
import { isObject } from '../../schemas/json.ts';
import { PositionIdSchema } from '../../schemas/recordedIdentifiers.ts';
import { ApplicationIdSchema } from '../../schemas/seekToken.ts';
import type { Positions } from '../../seekTokens/positions.ts';
import type { SeekTokens } from '../../seekTokens/registry.ts';
import { InvalidIdentifierError } from '../errors.ts';
import type { RecordIdentifiers } from '../recordIdentifiers.ts';
import type { Caller } from './authenticate.ts';
import { readJson } from './readRequest.ts';

export type IdentifierDeps = {
  recordIdentifiers: RecordIdentifiers;
  seekTokens: Pick<SeekTokens, 'findCandidateApplicationProfile'>;
  positions: Pick<Positions, 'find'>;
  logger: Logger;
};

const MAX_BATCH = 1_000;
const PROFILE = '/:applicationId/candidate-application-profile';

/** `/applications/:applicationId/candidate-application-profile` */
export const createProfileRoutes = ({ recordIdentifiers, seekTokens, logger }: IdentifierDeps) => {
  const app = new Hono<Caller>();
  const readId = (c: Context): string => readPathId(c, 'applicationId', ApplicationIdSchema);

  app.put(PROFILE, async (c) => {
    const applicationId = readId(c);
    const body = withPathId(await readJson(c, { mebibytes: 1 }), { applicationId });
    await recordIdentifiers.recordCandidateApplicationProfile(body);
    return c.body(null, 204);
  });

  app.get(PROFILE, async (c) => {
    const found = await seekTokens.findCandidateApplicationProfile(readId(c));
    if (found !== undefined) return c.json(found);
    throw new HTTPException(404, {
      message: 'No candidate application profile is recorded for this application',
    });
  });

  app.delete(PROFILE, async (c) => {
    const applicationId = readId(c);
    await recordIdentifiers.removeCandidateApplicationProfile(applicationId);
    logger.info({ by: c.get('keyName'), applicationId }, 'candidateApplicationProfile.removed');
    return c.body(null, 204);
  });

  return app;
};

/** `/positions/:positionId` */
export const createPositionRoutes = ({ recordIdentifiers, positions, logger }: IdentifierDeps) => {
  const app = new Hono<Caller>();
  const readId = (c: Context): string => readPathId(c, 'positionId', PositionIdSchema);

  app.put('/:positionId', async (c) => {
    const positionId = readId(c);
    const body = withPathId(await readJson(c, { mebibytes: 1 }), { positionId });
    await recordIdentifiers.recordPosition(body);
    return c.body(null, 204);
  });

  app.get('/:positionId', async (c) => {
    const found = await positions.find(readId(c));
    if (found !== undefined) return c.json(found);
    throw new HTTPException(404, {
      message: 'No position profiles are recorded for this position',
    });
  });

  app.delete('/:positionId', async (c) => {
    const positionId = readId(c);
    await recordIdentifiers.removePosition(positionId);
    logger.info({ by: c.get('keyName'), positionId }, 'position.removed');
    return c.body(null, 204);
  });

  return app;
};

/** `/identifiers/batch`: seek tokens, candidate application profiles and positions in one request. */
export const createIdentifierRoutes = ({ recordIdentifiers }: IdentifierDeps) => {
  const app = new Hono<Caller>();

  app.post('/batch', async (c) => {
    const body = await readJson(c, { mebibytes: 4 });
    const identifiers = isObject(body) ? body.identifiers : undefined;
    if (!Array.isArray(identifiers) || identifiers.length > MAX_BATCH) {
      throw new InvalidIdentifierError({
        '/identifiers': `Expected a list of up to ${MAX_BATCH} recordings`,
      });
    }
    return c.json({ results: await recordIdentifiers.recordMany(identifiers) });
  });

  return app;
};

const readPathId = (
  c: Context,
  name: 'applicationId' | 'positionId',
  schema: typeof ApplicationIdSchema,
): string => {
  const parsed = schema.safeParse(c.req.param(name));
  if (parsed.success) return parsed.data;
  const { '': problem = 'Is invalid' } = toInvalidFields(parsed.error);
  throw new InvalidIdentifierError({ [`/${name}`]: problem });
};

/** The path gives the id. An id in the body would be a second, perhaps different one. */
const withPathId = (body: unknown, pathId: Record<string, string>): unknown => {
  if (!isObject(body)) return body;
  const [name = ''] = Object.keys(pathId);
  if (name in body) throw new InvalidIdentifierError({ [`/${name}`]: 'Unknown field' });
  return { ...body, ...pathId };
};
