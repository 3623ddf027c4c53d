import type { EnqueueResult, InvalidResult } from '../producer/enqueue.ts';
import type { LetterCount, LetterView } from '../queue/deadLetters.ts';
import type { LetterFilter } from '../queue/letterFilter.ts';
import type { QueueStatus } from '../queue/queueStatus.ts';
import type { ApplicationView } from '../queue/seekTokens.ts';
import type { SignalLife } from '../schemas/states.ts';
import type { Desk, LetterPage } from './desk.ts';

const TIMEOUT_MS = 10_000;

/** The desk over the HTTP API: an embedded queue belongs to one process, which has to be asked. */
export const createHttpDesk = ({ apiUrl, apiKey }: { apiUrl: string; apiKey: string }): Desk => {
  const call = async (
    method: string,
    path: string,
    query = new URLSearchParams(),
    body?: string,
  ) => {
    const url = `${apiUrl}${path}${query.size > 0 ? `?${query}` : ''}`;
    const answer = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${apiKey}` },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (answer.ok || answer.status === 404 || answer.status === 409) return answer;
    throw new Error(`The API answered ${answer.status}: ${await answer.text()}`);
  };
  const get = async <Body>(path: string, query?: URLSearchParams): Promise<Body | undefined> => {
    const answer = await call('GET', path, query);
    if (answer.status === 404) return undefined;
    const body: Body = JSON.parse(await answer.text());
    return body;
  };
  const letter = (signalId: string) => `/dead-letters/${encodeURIComponent(signalId)}`;

  return {
    status: async () => {
      const status = await get<QueueStatus>('/status');
      if (status === undefined) throw new Error(`${apiUrl} is not a dispatcher's API`);
      return status;
    },
    enqueue: async (signals) => {
      const body = JSON.stringify({ signals });
      const answer = await call('POST', '/signals/batch', undefined, body);
      const { results }: { results: (EnqueueResult | InvalidResult)[] } = JSON.parse(
        await answer.text(),
      );
      return results;
    },
    search: async (by, limit) => {
      const query = new URLSearchParams({ ...by, limit: String(limit) });
      return (await get<{ signals: SignalLife[] }>('/signals', query))?.signals ?? [];
    },
    find: (signalId) => get<SignalLife>(`/signals/${encodeURIComponent(signalId)}`),
    letters: async (filter) =>
      (await get<LetterPage>('/dead-letters', toQuery(filter))) ?? { deadLetters: [] },
    countLetters: async ({ limit, ...filter }) =>
      (await get<{ counts: LetterCount[] }>('/dead-letters/counts', toQuery(filter)))?.counts ?? [],
    letter: (signalId) => get<LetterView>(letter(signalId)),
    redrive: async (signalId) => {
      const { status } = await call('POST', `${letter(signalId)}/redrive`);
      return status === 404 ? 'not-found' : status === 409 ? 'busy' : 'redriven';
    },
    discard: async (signalId, reason) => {
      const { status } = await call('DELETE', letter(signalId), new URLSearchParams({ reason }));
      return status === 404 ? 'not-found' : status === 409 ? 'busy' : 'discarded';
    },
    expiring: async (ms, limit) => {
      const within = `${Math.round(ms / 1000)}s`;
      const query = new URLSearchParams({ within, limit: String(limit) });
      type Page = { applications: ApplicationView[] };
      return (await get<Page>('/applications/expiring', query))?.applications ?? [];
    },
    close: async () => {},
  };
};

const toQuery = ({ since, until, ...rest }: LetterFilter & { cursor?: string | undefined }) => {
  const filter = { ...rest, since: since?.toISOString(), until: until?.toISOString() };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query;
};
