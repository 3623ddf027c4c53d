import { singleFlight } from '../../runtime/async.ts';
import { parseJson } from '../../schemas/json.ts';
import { PartnerTokenAnswerSchema, TokenErrorSchema } from '../../schemas/seekApi.ts';
import { type Http, type HttpAnswer, NoAnswerError } from './http.ts';

const RENEW_EARLY_MS = 60_000;
// A gateway can refuse every token, or every request. Then renewals would only burden the token endpoint.
const MIN_SUSPICION_INTERVAL_MS = 60_000;

/** The token endpoint issued no partner token. The message contains no secret. */
export class PartnerTokenError extends Error {
  override readonly name = 'PartnerTokenError';
  readonly retryAfterMs: number | undefined;
  /** Our own codes, because SEEK gives none: the credentials are wrong, or the endpoint fails. */
  readonly code: 'CREDENTIALS_REFUSED' | 'PARTNER_TOKEN';

  /** This process was frozen during the request, so the failure says nothing about the endpoint. */
  readonly frozen: boolean;

  constructor(message: string, options: Options = {}) {
    super(message, { cause: options.cause });
    this.frozen = options.cause instanceof NoAnswerError && options.cause.frozen;
    this.retryAfterMs = options.retryAfterMs;
    this.code = options.refused ? 'CREDENTIALS_REFUSED' : 'PARTNER_TOKEN';
  }
}

type Options = { cause?: unknown; retryAfterMs?: number | undefined; refused?: boolean };

// RFC 6749, section 5.2: how a token endpoint rejects credentials. Auth0 uses `access_denied`.
const REFUSED = new Set([400, 401, 403]);
const REFUSED_ERRORS = new Set([
  'invalid_client',
  'unauthorized_client',
  'invalid_grant',
  'access_denied',
]);
// RFC 6749, section 4.1.2.1, and RFC 8628, section 3.5: under any status, these pass by themselves.
const TRANSIENT_ERRORS = new Set([
  'server_error',
  'temporarily_unavailable',
  'slow_down',
  'too_many_requests',
]);

type Deps = {
  http: Pick<Http, 'post'>;
  authUrl: string;
  audience: string;
  /** Returns the current credentials. They change when they are rotated. */
  credentials: () => { clientId: string; clientSecret: string };
  userAgent: string;
  /** Called once for each failed request, however many signals waited for the token. */
  onFailure?: (err: PartnerTokenError) => void;
  now?: () => number;
};

type CachedToken = { value: string; renewAt: number };

/**
 * The access token that authenticates us with SEEK (developer.seek.com, "Partner tokens"). It is cached
 * as long as its `expires_in` says and renewed a minute early. Only one request for it runs at a time.
 */
export const createPartnerToken = ({ now = () => performance.now(), ...deps }: Deps) => {
  let cached: CachedToken | undefined;
  let isSuspected = false;
  let suspicionAllowedAt = Number.NEGATIVE_INFINITY;

  const unexpired = (): CachedToken | undefined =>
    cached !== undefined && now() < cached.renewAt ? cached : undefined;

  const request = singleFlight(async (): Promise<CachedToken> => {
    try {
      cached = await requestToken(deps, now);
      return cached;
    } catch (err) {
      if (err instanceof PartnerTokenError) deps.onFailure?.(err);
      const suspect = isSuspected ? unexpired() : undefined;
      if (suspect === undefined) throw err;
      return suspect;
    } finally {
      isSuspected = false;
    }
  });

  /** The cached token, if it is still valid. */
  const peek = (): string | undefined => (isSuspected ? undefined : unexpired()?.value);

  return {
    peek,

    get: async (): Promise<string> => peek() ?? (await request()).value,

    /** Call when SEEK has rejected `stale`. Of several callers at once, the first renews it for all. */
    renew: async (stale: string): Promise<string> => {
      const value = peek();
      return value === undefined || value === stale ? (await request()).value : value;
    },

    /**
     * Call when a gateway may have refused `value`. It is renewed before the next request, at most once a
     * minute. If that fails, it is used until it expires: the gateway may have meant something else.
     */
    suspect: (value: string): void => {
      if (value !== cached?.value || now() < suspicionAllowedAt) return;
      suspicionAllowedAt = now() + MIN_SUSPICION_INTERVAL_MS;
      isSuspected = true;
    },
  };
};

export type PartnerToken = ReturnType<typeof createPartnerToken>;

const requestToken = async (
  { http, authUrl, audience, credentials, userAgent }: Omit<Deps, 'now'>,
  now: () => number,
): Promise<CachedToken> => {
  const requestedAt = now();
  const { clientId, clientSecret } = credentials();
  const answer = await http
    .post({
      url: authUrl,
      headers: {
        'accept-encoding': 'identity',
        'content-type': 'application/json',
        'user-agent': userAgent,
      },
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
  const lifetimeMs = expires_in * 1000;
  // Half the lifetime is the lower bound: a token that is valid for a minute or less would otherwise
  // never be cached.
  return { value, renewAt: requestedAt + Math.max(lifetimeMs - RENEW_EARLY_MS, lifetimeMs / 2) };
};

// The messages quote nothing of the body, which can contain a token, except the name of an error.
const readToken = ({ status, body, undecoded, retryAfterMs }: HttpAnswer) => {
  const parsed = parseJson(body.replace(/^\uFEFF/, ''));
  const isSuccess = status >= 200 && status <= 299;
  const token = PartnerTokenAnswerSchema.safeParse(parsed);
  if (isSuccess && token.success) return token.data;

  const error = (TokenErrorSchema.safeParse(parsed).data?.error ?? '').toLowerCase();
  // A page, for example of a firewall: its status says nothing about the credentials.
  const isPage = parsed === undefined && body !== '';
  const refused =
    REFUSED_ERRORS.has(error) ||
    (isSuccess && error !== '' && !TRANSIENT_ERRORS.has(error)) ||
    (REFUSED.has(status) && !TRANSIENT_ERRORS.has(error) && (status === 401 || !isPage));
  // Nothing but the name of an error can look like this.
  const problem = undecoded ?? (/^[a-z_]{1,40}$/.test(error) ? error : undefined);
  const found = isSuccess ? 'answer has no token' : `HTTP ${status}`;
  throw new PartnerTokenError(
    `token endpoint: ${found}${problem === undefined ? '' : `: ${problem}`}`,
    { retryAfterMs, refused },
  );
};
