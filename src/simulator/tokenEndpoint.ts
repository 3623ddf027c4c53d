import type { Context } from 'hono';
import * as z from 'zod';

import { nameProblems, toInvalidFields } from '../schemas/invalidFields.ts';
import { type AccessTokens, AUDIENCES, type Audience } from './accessTokens.ts';
import type { Faults } from './faults.ts';
import type { WriteLog } from './log.ts';
import type { Settings } from './settings.ts';

const TokenRequestSchema = z.object({
  audience: z.string(),
  client_id: z.string(),
  client_secret: z.string(),
  grant_type: z.literal('client_credentials'),
});

type Deps = {
  clientId: string;
  clientSecret: string;
  tokens: AccessTokens;
  settings: Settings;
  faults: Faults;
  log: WriteLog;
};

type ErrorStatus = 400 | 401 | 403 | 503;
type TokenResponse = { status: 200 | ErrorStatus; body: Record<string, unknown> };

const errorResponse = (status: ErrorStatus, error: string, description: string): TokenResponse => ({
  status,
  body: { error, error_description: description },
});

const audienceOf = (url: string): Audience | undefined => {
  switch (url) {
    case AUDIENCES.live:
      return 'live';
    case AUDIENCES.playground:
      return 'playground';
    default:
      return undefined;
  }
};

/** `POST /oauth/token`. SEEK documents no errors, so the simulator uses the error names of OAuth (RFC 6749). */
export const createTokenEndpoint = ({ tokens, settings, faults, log, ...client }: Deps) => {
  const respond = (body: unknown): TokenResponse => {
    if (faults.take('token')) {
      return errorResponse(503, 'temporarily_unavailable', 'The token endpoint is down');
    }

    const request = TokenRequestSchema.safeParse(body);

    if (!request.success) {
      return errorResponse(400, 'invalid_request', nameProblems(toInvalidFields(request.error)));
    }

    const { client_id, client_secret, audience: url } = request.data;

    if (client_id !== client.clientId || client_secret !== client.clientSecret) {
      return errorResponse(401, 'access_denied', 'Unauthorized');
    }

    const audience = audienceOf(url);

    if (audience === undefined) {
      return errorResponse(403, 'access_denied', `Service not found: ${url}`);
    }

    const expiresIn = settings.nextExpiresIn();

    return {
      status: 200,
      body: {
        access_token: tokens.issue(audience, expiresIn),
        expires_in: expiresIn,
        token_type: 'Bearer',
      },
    };
  };

  return async (c: Context) => {
    const { status, body } = respond(await c.req.json().catch(() => undefined));
    log({ status, error: body.error }, 'Access token requested');

    return c.json(body, status);
  };
};
