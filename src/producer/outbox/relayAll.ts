import type { Enqueue } from '../enqueue.ts';
import { InvalidSignalError } from '../errors.ts';
import type { Relayed, Taken } from './outboxStore.ts';

/** Those of one sender and without a key together, each with a key by itself. */
export const relayAll = async (
  enqueue: Enqueue,
  taken: readonly Taken[],
  reportTo: 'outbox' | undefined,
): Promise<Relayed[]> => {
  const groups = new Map<string, Taken[]>();
  for (const row of taken) {
    const name = row.idempotencyKey === undefined ? `all of ${row.sender}` : `row ${row.id}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  const relayed = await Promise.all(
    [...groups.values()].map((group) => relayGroup(enqueue, group, reportTo)),
  );
  return relayed.flat();
};

const relayGroup = async (
  enqueue: Enqueue,
  group: Taken[],
  reportTo: 'outbox' | undefined,
): Promise<Relayed[]> => {
  const { sender = '', idempotencyKey } = group[0] ?? {};
  const results = await enqueue(
    group.map(({ signal }) => signal),
    { from: sender, idempotencyKey, reportTo },
  );
  return group.map(({ id }, index): Relayed => {
    const result = results[index];
    if (result === undefined) throw new Error('A row, but no result');
    if (!(result instanceof Error)) {
      const { signalId, state } = result;
      return { kind: 'queued', id, signalId, state };
    }
    return { kind: 'rejected', id, reason: rejection(result) };
  });
};

const rejection = (error: Error): string =>
  error instanceof InvalidSignalError ? JSON.stringify(error.invalidFields) : error.message;
