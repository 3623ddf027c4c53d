import type { DeadLetterCount, DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { DeadLetterFilter } from '../../deadLetters/filter.ts';
import type { RedriveOutcome } from '../../deadLetters/redrive.ts';
import type { RedrivePreview } from '../../deadLetters/redriveMany.ts';
import type { ImportResult } from '../../deadLetters/transfer.ts';
import type { EnqueueResult, InvalidResult } from '../../producer/enqueue.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { DeadLetter } from '../../schemas/deadLetter.ts';
import type { InvalidFields } from '../../schemas/invalidFields.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { ApplicationView } from '../../seekTokens/registry.ts';
import { readLines } from '../io/lines.ts';
import type { AdminClient, DeadLetterPage } from './adminClient.ts';

const REQUEST_TIMEOUT_MS = 10_000;
// For requests that read every dead letter: longer than the API itself allows them.
const LONG_REQUEST_TIMEOUT_MS = 65_000;
// Larger than any dead letter, because the dispatcher bounds both the signal and SEEK's answers.
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const NEWLINE = Buffer.from('\n');

type RequestOptions = { query?: URLSearchParams; body?: string | Buffer; signal?: AbortSignal };

type Api = { apiUrl: string; apiKey: string };
type Requests = ReturnType<typeof createRequests>;

/** The admin client over the HTTP API of a running dispatcher. */
export const createHttpAdminClient = (api: Api): AdminClient => {
  const requests = createRequests(api);
  const { get, requestOk } = requests;

  return {
    ...createDeadLetterRequests(requests),
    status: async () => {
      const status = await get<QueueStatus>('/status');
      if (status === undefined) throw new Error(`${api.apiUrl} is not the API of a dispatcher`);
      return status;
    },
    enqueue: async (signals) => {
      const response = await requestOk('POST', '/signals/batch', {
        body: JSON.stringify({ signals }),
      });
      const { results }: { results: (EnqueueResult | InvalidResult)[] } = JSON.parse(
        await response.text(),
      );
      return results;
    },
    search: async (by, limit) => {
      const query = new URLSearchParams({ ...by, limit: String(limit) });
      return (await get<{ signals: SignalRecord[] }>('/signals', query))?.signals ?? [];
    },
    find: (signalId) => get<SignalRecord>(`/signals/${encodeURIComponent(signalId)}`),
    expiring: async (ms, limit) => {
      const within = `${Math.round(ms / 1000)}s`;
      const query = new URLSearchParams({ within, limit: String(limit) });
      type Page = { applications: ApplicationView[] };
      return (await get<Page>('/applications/expiring', query))?.applications ?? [];
    },
    close: async () => {},
  };
};

const createRequests = ({ apiUrl, apiKey }: Api) => {
  const request = (method: string, path: string, { query, body, signal }: RequestOptions = {}) =>
    fetch(`${apiUrl}${path}${query?.size ? `?${query}` : ''}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}` },
      ...(body === undefined ? {} : { body }),
      signal: signal ?? AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  /** Throws for every status except a success, 404 and 409. The caller interprets these two. */
  const requestUnlessFailed = async (
    method: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<Response> => {
    const response = await request(method, path, options);
    if (response.ok || response.status === 404 || response.status === 409) return response;
    return fail(response);
  };

  return {
    request,
    requestUnlessFailed,
    /** Throws for every status except a success. */
    requestOk: async (method: string, path: string, options: RequestOptions): Promise<Response> => {
      const response = await request(method, path, options);
      return response.ok ? response : fail(response);
    },
    /** `undefined` for 404. */
    get: async <Body>(path: string, query?: URLSearchParams): Promise<Body | undefined> => {
      const response = await requestUnlessFailed('GET', path, { ...(query && { query }) });
      if (response.status === 404) return undefined;
      const body: Body = JSON.parse(await response.text());
      return body;
    },
  };
};

const fail = async (response: Response): Promise<never> => {
  throw new Error(`The API answered ${response.status}: ${await response.text()}`);
};

type DeadLetterRequests = Pick<
  AdminClient,
  | 'deadLetters'
  | 'countDeadLetters'
  | 'deadLetter'
  | 'redrive'
  | 'previewRedrive'
  | 'exportDeadLetters'
  | 'importDeadLetters'
  | 'discard'
>;

const createDeadLetterRequests = ({
  request,
  requestUnlessFailed,
  requestOk,
  get,
}: Requests): DeadLetterRequests => ({
  deadLetters: async (filter) =>
    (await get<DeadLetterPage>('/dead-letters', toQuery(filter))) ?? { deadLetters: [] },
  countDeadLetters: async ({ limit, ...filter }) =>
    (await get<{ counts: DeadLetterCount[] }>('/dead-letters/counts', toQuery(filter)))?.counts ??
    [],
  deadLetter: (signalId) => get<DeadLetterView>(pathOf(signalId)),
  redrive: async (signalId, { dryRun } = { dryRun: false }) => {
    const query = new URLSearchParams(dryRun ? { dryRun: 'true' } : {});
    return readRedriven(await request('POST', `${pathOf(signalId)}/redrive`, { query }));
  },
  previewRedrive: async (filter) => {
    const query = toQuery(filter);
    query.set('dryRun', 'true');
    const signal = AbortSignal.timeout(LONG_REQUEST_TIMEOUT_MS);
    const response = await requestOk('POST', '/dead-letters/redrive', { query, signal });
    const preview: RedrivePreview = JSON.parse(await response.text());
    return preview;
  },
  exportDeadLetters: async function* (filter) {
    // The timeout covers the start of the response only. Its length decides how long the rest takes.
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), LONG_REQUEST_TIMEOUT_MS);
    const options = { query: toQuery(filter), signal: abort.signal };
    const response = await requestOk('GET', '/dead-letters/export', options).finally(() =>
      clearTimeout(timer),
    );
    for await (const { bytes } of readLines(response.body ?? [], MAX_LINE_BYTES)) {
      yield parseDeadLetter(bytes);
    }
  },
  importDeadLetters: async (lines) => {
    const body = Buffer.concat(lines.flatMap((line, n) => (n === 0 ? [line] : [NEWLINE, line])));
    const signal = AbortSignal.timeout(LONG_REQUEST_TIMEOUT_MS);
    const response = await requestOk('POST', '/dead-letters/import', { body, signal });
    const imported: ImportResult = JSON.parse(await response.text());
    return imported;
  },
  discard: async (signalId, reason) => {
    const query = new URLSearchParams({ reason });
    const { status } = await requestUnlessFailed('DELETE', pathOf(signalId), { query });
    return status === 404 ? 'not-found' : status === 409 ? 'busy' : 'discarded';
  },
});

const pathOf = (signalId: string): string => `/dead-letters/${encodeURIComponent(signalId)}`;

const readRedriven = async (response: Response): Promise<RedriveOutcome> => {
  switch (response.status) {
    case 404:
      return { kind: 'not-found' };
    case 409:
      return { kind: 'busy' };
    case 422: {
      const { invalidFields }: { invalidFields: InvalidFields } = JSON.parse(await response.text());
      return { kind: 'invalid', invalidFields };
    }
    default:
      return response.ok ? { kind: 'redriven' } : fail(response);
  }
};

/** Throws if the response ended within a line. The message of the parser is dropped, because it quotes the line. */
const parseDeadLetter = (bytes: Buffer | undefined): DeadLetter => {
  try {
    const deadLetter: DeadLetter = JSON.parse(bytes?.toString() ?? '');
    return deadLetter;
  } catch {
    throw new Error('The connection to the API broke before the end of the export');
  }
};

const toQuery = ({ since, until, ...rest }: DeadLetterFilter & { cursor?: string | undefined }) => {
  const filter = { ...rest, since: since?.toISOString(), until: until?.toISOString() };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query;
};
