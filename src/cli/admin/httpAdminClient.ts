import type { DeadLetterCount, DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { DeadLetterFilter } from '../../deadLetters/filter.ts';
import type { RedrivePreview } from '../../deadLetters/redriveMany.ts';
import type { Imported } from '../../deadLetters/transfer.ts';
import type { EnqueueResult, InvalidResult } from '../../producer/enqueue.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { DeadLetter } from '../../schemas/deadLetter.ts';
import type { InvalidFields } from '../../schemas/invalidFields.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { ApplicationView } from '../../seekTokens/registry.ts';
import { readLines } from '../io/lines.ts';
import type { AdminClient, DeadLetterPage } from './adminClient.ts';

const TIMEOUT_MS = 10_000;
// What reads all the dead letters may take as long as the API gives it.
const LONG_TIMEOUT_MS = 65_000;

// Longer than any dead letter that is accepted: SEEK's words in it are bounded.
const MOST_LINE_BYTES = 64 * 1024 * 1024;
const BREAK = Buffer.from('\n');

type Ask = { query?: URLSearchParams; body?: string | Buffer; signal?: AbortSignal };

/** The desk over the HTTP API: an embedded queue belongs to one process, which has to be asked. */
export const createHttpAdminClient = ({
  apiUrl,
  apiKey,
}: {
  apiUrl: string;
  apiKey: string;
}): AdminClient => {
  const ask = (method: string, path: string, { query, body, signal }: Ask = {}) =>
    fetch(`${apiUrl}${path}${query?.size ? `?${query}` : ''}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}` },
      ...(body === undefined ? {} : { body }),
      signal: signal ?? AbortSignal.timeout(TIMEOUT_MS),
    });
  const refuse = async (answer: Response): Promise<never> => {
    throw new Error(`The API answered ${answer.status}: ${await answer.text()}`);
  };
  const call = async (method: string, path: string, asked: Ask = {}): Promise<Response> => {
    const answer = await ask(method, path, asked);
    if (answer.ok || answer.status === 404 || answer.status === 409) return answer;
    return refuse(answer);
  };
  const insist = async (method: string, path: string, asked: Ask): Promise<Response> => {
    const answer = await ask(method, path, asked);
    return answer.ok ? answer : refuse(answer);
  };
  const get = async <Body>(path: string, query?: URLSearchParams): Promise<Body | undefined> => {
    const answer = await call('GET', path, { ...(query && { query }) });
    if (answer.status === 404) return undefined;
    const body: Body = JSON.parse(await answer.text());
    return body;
  };
  const deadLetter = (signalId: string) => `/dead-letters/${encodeURIComponent(signalId)}`;

  return {
    status: async () => {
      const status = await get<QueueStatus>('/status');
      if (status === undefined) throw new Error(`${apiUrl} is not a dispatcher's API`);
      return status;
    },
    enqueue: async (signals) => {
      const body = JSON.stringify({ signals });
      const answer = await insist('POST', '/signals/batch', { body });
      const { results }: { results: (EnqueueResult | InvalidResult)[] } = JSON.parse(
        await answer.text(),
      );
      return results;
    },
    search: async (by, limit) => {
      const query = new URLSearchParams({ ...by, limit: String(limit) });
      return (await get<{ signals: SignalRecord[] }>('/signals', query))?.signals ?? [];
    },
    find: (signalId) => get<SignalRecord>(`/signals/${encodeURIComponent(signalId)}`),
    deadLetters: async (filter) =>
      (await get<DeadLetterPage>('/dead-letters', toQuery(filter))) ?? { deadLetters: [] },
    countLetters: async ({ limit, ...filter }) =>
      (await get<{ counts: DeadLetterCount[] }>('/dead-letters/counts', toQuery(filter)))?.counts ??
      [],
    deadLetter: (signalId) => get<DeadLetterView>(deadLetter(signalId)),
    redrive: async (signalId, { dryRun } = { dryRun: false }) => {
      const query = new URLSearchParams(dryRun ? { dryRun: 'true' } : {});
      const answer = await ask('POST', `${deadLetter(signalId)}/redrive`, { query });
      switch (answer.status) {
        case 404:
          return { kind: 'not-found' };
        case 409:
          return { kind: 'busy' };
        case 422: {
          const { invalidFields }: { invalidFields: InvalidFields } = JSON.parse(
            await answer.text(),
          );
          return { kind: 'invalid', invalidFields };
        }
        default:
          return answer.ok ? { kind: 'redriven' } : refuse(answer);
      }
    },
    previewRedrive: async (filter) => {
      const query = toQuery(filter);
      query.set('dryRun', 'true');
      const asked = { query, signal: AbortSignal.timeout(LONG_TIMEOUT_MS) };
      const preview: RedrivePreview = JSON.parse(
        await (await insist('POST', '/dead-letters/redrive', asked)).text(),
      );
      return preview;
    },
    exportDeadLetters: async function* (filter) {
      // Its beginning is waited for, and then it takes as long as it is.
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), LONG_TIMEOUT_MS);
      const asked = { query: toQuery(filter), signal: late.signal };
      const answer = await insist('GET', '/dead-letters/export', asked).finally(() =>
        clearTimeout(timer),
      );
      for await (const { bytes } of readLines(answer.body ?? [], MOST_LINE_BYTES)) {
        yield readWhole(bytes);
      }
    },
    importDeadLetters: async (lines) => {
      const body = Buffer.concat(lines.flatMap((line, n) => (n === 0 ? [line] : [BREAK, line])));
      const signal = AbortSignal.timeout(LONG_TIMEOUT_MS);
      const answer = await insist('POST', '/dead-letters/import', { body, signal });
      const outcome: Imported = JSON.parse(await answer.text());
      return outcome;
    },
    discard: async (signalId, reason) => {
      const query = new URLSearchParams({ reason });
      const { status } = await call('DELETE', deadLetter(signalId), { query });
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

/** Not in the parser's words, which quote what there is of it. */
const readWhole = (bytes: Buffer | undefined): DeadLetter => {
  try {
    const deadLetter: DeadLetter = JSON.parse(bytes?.toString() ?? '');
    return deadLetter;
  } catch {
    throw new Error('The answer broke off');
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
