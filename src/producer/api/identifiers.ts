import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { Logger } from '../../observability/logger.ts';
import { isObject } from '../../schemas/json.ts';
import { PositionIdSchema } from '../../schemas/recordedIdentifiers.ts';
import { ApplicationIdSchema } from '../../schemas/seekToken.ts';
import type { Positions } from '../../seekTokens/positions.ts';
import type { SeekTokens } from '../../seekTokens/registry.ts';
import { InvalidIdentifierError } from '../errors.ts';
import type { RecordIdentifiers } from '../recordIdentifiers.ts';
import type { Caller } from './authenticate.ts';
import { type PathId, readJson, readJsonOf, readPathId } from './readRequest.ts';

export type IdentifierDeps = {
  recordIdentifiers: RecordIdentifiers;
  seekTokens: Pick<SeekTokens, 'findCandidateApplicationProfile'>;
  positions: Pick<Positions, 'find'>;
  logger: Logger;
};

const APPLICATION: PathId = {
  name: 'applicationId',
  schema: ApplicationIdSchema,
  InvalidError: InvalidIdentifierError,
};
const POSITION: PathId = {
  name: 'positionId',
  schema: PositionIdSchema,
  InvalidError: InvalidIdentifierError,
};
const MAX_BATCH = 1_000;
const PROFILE = '/:applicationId/candidate-application-profile';

/** `/applications/:applicationId/candidate-application-profile` */
export const createProfileRoutes = ({ recordIdentifiers, seekTokens, logger }: IdentifierDeps) => {
  const app = new Hono<Caller>();

  app.put(PROFILE, async (c) => {
    const input = await readJsonOf(c, APPLICATION);
    await recordIdentifiers.recordCandidateApplicationProfile(input);
    return c.body(null, 204);
  });

  app.get(PROFILE, async (c) => {
    const found = await seekTokens.findCandidateApplicationProfile(readPathId(c, APPLICATION));
    if (found !== undefined) return c.json(found);
    throw new HTTPException(404, {
      message: 'No candidate application profile is recorded for this application',
    });
  });

  app.delete(PROFILE, async (c) => {
    const applicationId = readPathId(c, APPLICATION);
    await recordIdentifiers.removeCandidateApplicationProfile(applicationId);
    logger.info({ by: c.get('keyName'), applicationId }, 'candidateApplicationProfile.removed');
    return c.body(null, 204);
  });

  return app;
};

/** `/positions/:positionId` */
export const createPositionRoutes = ({ recordIdentifiers, positions, logger }: IdentifierDeps) => {
  const app = new Hono<Caller>();

  app.put('/:positionId', async (c) => {
    const input = await readJsonOf(c, POSITION);
    await recordIdentifiers.recordPosition(input);
    return c.body(null, 204);
  });

  app.get('/:positionId', async (c) => {
    const found = await positions.find(readPathId(c, POSITION));
    if (found !== undefined) return c.json(found);
    throw new HTTPException(404, {
      message: 'No position profiles are recorded for this position',
    });
  });

  app.delete('/:positionId', async (c) => {
    const positionId = readPathId(c, POSITION);
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
