import { type Backend, DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import type { RecordedRequest } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** An hour, longer than any test. */
export const FOREVER = '3600000';

/** The values of one header, request by request. */
export const header = (requests: RecordedRequest[], name: string) =>
  requests.map(({ headers }) => headers[name]);
export const inputOf = ({ text }: RecordedRequest): Record<string, unknown> =>
  JSON.parse(text).variables.input;
export const complete = (token = newToken()) => buildApplicationComplete({ token });
/** A promise that resolves when `open` is called. */
export const gate = () => {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
};

/** BullMQ's own queues, as the board or another program uses them. */
export const bullQueues = async (backend: Backend) => ({
  signals: await backend.bullQueue(SIGNALS),
  deadLetters: await backend.bullQueue(DEAD_LETTERS),
});
