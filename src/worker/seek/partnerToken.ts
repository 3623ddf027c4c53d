import { singleFlight } from '../../runtime/async.ts';
import { parseJson } from '../../schemas/json.ts';
import { PartnerTokenAnswerSchema } from '../../schemas/seekApi.ts';
import { type Answer, type Http, NoAnswerError } from './http.ts';

const RENEW_EARLY_MS = 60_000;

/** No partner token could be had. The message is safe to show. */
export class PartnerTokenError extends Error {
  override readonly name = 'PartnerTokenError';
  readonly retryAfterMs: number | undefined;
  /** Ours, for want of one of SEEK's: whether the credentials are wrong, or the endpoint in trouble. */
  readonly code: 'CREDENTIALS_REFUSED' | 'PARTNER_TOKEN';

  constructor(message: string, options: Options = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
    this.code = options.refused ? 'CREDENTIALS_REFUSED' : 'PARTNER_TOKEN';
  }
}

type Options = { cause?: unknown; retryAfterMs?: number | undefined; refused?: boolean };

// RFC 6749, 5.2: what a token endpoint answers to credentials that it does not take.
const REFUSED = new Set([400, 401, 403]);

type Deps = {
  http: Pick<Http, 'post'>;
  authUrl: string;
  audience: string;
  /** As they are at present. */
  credentials: () => { clientId: string; clientSecret: string };
  userAgent: string;
  /** Told once of each failure, however many signals waited for the token. */
  onFailure?: (err: PartnerTokenError) => void;
  now?: () => number;
};

type Held = { value: string; renewAt: number };

/**
 * The access token that SEEK knows us by (developer.seek.com, "Partner tokens"): kept for what each
 * answer's `expires_in` says, renewed a minute early, asked for by one request at a time.
 */
export const createPartnerToken = ({ now = () => performance.now(), ...deps }: Deps) => {
  let held: Held | undefined;

  const ask = singleFlight(async (): Promise<Held> => {
    try {
      held = await requestToken(deps, now);
      return held;
    } catch (err) {
      if (err instanceof PartnerTokenError) deps.onFailure?.(err);
      throw err;
    }
  });

  /** The token, where one is at hand. */
  const peek = (): string | undefined =>
    held !== undefined && now() < held.renewAt ? held.value : undefined;

  return {
    peek,

    get: async (): Promise<string> => peek() ?? (await ask()).value,

    /** SEEK rejected `stale`. Signals in flight together find it renewed by the first of them. */
    renew: async (stale: string): Promise<string> => {
      const value = peek();
      return value === undefined || value === stale ? (await ask()).value : value;
    },
  };
};

export type PartnerToken = ReturnType<typeof createPartnerToken>;

const requestToken = async (
  { http, authUrl, audience, credentials, userAgent }: Omit<Deps, 'now'>,
  now: () => number,
): Promise<Held> => {
  const askedAt = now();
  const { clientId, clientSecret } = credentials();
  const answer = await http
    .post({
      url: authUrl,
      headers: { 'content-type': 'application/json', 'user-agent': userAgent },
      body: JSON.stringify({
        audience,
        client_id: clientId,
        client_secret: clientSecret,
        grant_type: 'client_credentials',
      }),
    })
    .catch((cause: unknown) => {
      const reason = cause instanceof NoAnswerError ? cause.message : 'request failed';
      throw new PartnerTokenError(`token endpoint: ${reason}`, { cause });
    });

  const { access_token: value, expires_in } = readToken(answer);
  const lifeMs = expires_in * 1000;
  // A token that lives for less than two minutes would otherwise be asked for again at every turn.
  return { value, renewAt: askedAt + Math.max(lifeMs - RENEW_EARLY_MS, lifeMs / 2) };
};

const readToken = ({ status, body, retryAfterMs }: Answer) => {
  if (status !== 200) {
    throw new PartnerTokenError(`token endpoint: HTTP ${status}`, {
      retryAfterMs,
      refused: REFUSED.has(status),
    });
  }
  const parsed = PartnerTokenAnswerSchema.safeParse(parseJson(body));
  // The body is not repeated: a token may stand in it.
  if (!parsed.success) throw new PartnerTokenError('token endpoint: answer has no token');
  return parsed.data;
};
