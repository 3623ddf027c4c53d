import { Pool } from 'undici';

const MAX_BATCH = 100;
const MAX_WAIT_MS = 3;
const MUTATION = 'mutation ($input: SendSignalsInput!) { sendSignals(input: $input) }';
const headers = { 'content-type': 'application/json', authorization: 'Bearer bench' };

type Waiting = { signal: object; resolve: () => void; reject: (error: unknown) => void };

/** Returns a function that sends a signal to SEEK together with those of other calls, up to 100. */
export const createBatcher = (seekUrl: string) => {
  const pool = new Pool(seekUrl, { connections: 8 });
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;

  const post = async (signals: object[]): Promise<void> => {
    const body = JSON.stringify({ query: MUTATION, variables: { input: { signals } } });
    const answer = await pool.request({ method: 'POST', path: '/graphql', headers, body });
    const text = await answer.body.text();
    if (answer.statusCode !== 200 || JSON.parse(text).errors !== undefined) throw new Error(text);
  };
  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    waiting = [];
    try {
      await post(batch.map(({ signal }) => signal));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };
  return (signal: object): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push({ signal, resolve, reject });
      if (waiting.length === MAX_BATCH) void flush();
      else timer ??= setTimeout(flush, MAX_WAIT_MS);
    });
};
