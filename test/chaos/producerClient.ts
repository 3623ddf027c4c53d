import { setTimeout as delay } from 'node:timers/promises';

import type { DeadLetterView } from '../../src/deadLetters/deadLetters.ts';
import type { DeliveryView } from '../../src/queue/breakerState.ts';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';

import type { TestSignal } from './signals.ts';

// The API promises an answer within 5 s. A busy machine may need longer to send it.
const REQUEST_TIMEOUT_MS = 12_000;
const ACCEPT_TIMEOUT_MS = 90_000;
const RETRY_INTERVAL_MS = 200;
const BATCH = 20;
const MAX_LOOKUPS_AT_ONCE = 20;

type Deps = { url: () => string; apiKey: string };

/** The API's only client: enqueues signals, and reads what happened to them. */
export const createProducerClient = ({ url, apiKey }: Deps) => {
  const accepted = new Map<string, TestSignal>();
  /** Sent without an answer that accepts them: they may be in the queue or not. */
  const uncertain = new Map<string, TestSignal>();
  let longestAnswerMs = 0;

  const request = async (
    method: string,
    path: string,
    body?: unknown,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ) => {
    const began = performance.now();
    try {
      const answer = await fetch(`${url()}${path}`, {
        method,
        headers: { authorization: `Bearer ${apiKey}` },
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, text: await answer.text() };
    } catch (err) {
      return { status: 0, text: String(err) };
    } finally {
      if (method === 'POST') longestAnswerMs = Math.max(longestAnswerMs, performance.now() - began);
    }
  };

  const get = async <Body>(path: string): Promise<Body> => {
    const { status, text } = await request('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
    return JSON.parse(text);
  };

  /** Resolves with whether the API accepted the batch. */
  const enqueueBatch = async (batch: TestSignal[]): Promise<boolean> => {
    const body = { signals: batch.map(({ signal }) => signal) };
    const { status, text } = await request('POST', '/signals/batch', body);
    if (status !== 202) {
      for (const one of batch) if (!accepted.has(one.signalId)) uncertain.set(one.signalId, one);
      return false;
    }
    const { results }: { results: { signalId?: string }[] } = JSON.parse(text);
    for (const [index, one] of batch.entries()) {
      if (results[index]?.signalId !== one.signalId) {
        throw new Error(`${one.signalId}: the API answered ${JSON.stringify(results[index])}`);
      }
      accepted.set(one.signalId, one);
      uncertain.delete(one.signalId);
    }
    return true;
  };

  /** Sends each batch once, accepted or not. */
  const enqueueOnce = async (signals: TestSignal[]): Promise<void> => {
    for (let at = 0; at < signals.length; at += BATCH) {
      await enqueueBatch(signals.slice(at, at + BATCH));
    }
  };

  const retryUntil = async (what: string, isDone: () => Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + ACCEPT_TIMEOUT_MS;
    while (!(await isDone())) {
      if (Date.now() > deadline) throw new Error(`${what} within ${ACCEPT_TIMEOUT_MS} ms`);
      await delay(RETRY_INTERVAL_MS);
    }
  };

  /** Repeats each batch until the API accepts it, as callers are asked to do after a 503. */
  const enqueueUntilAccepted = async (signals: TestSignal[]): Promise<void> => {
    for (let at = 0; at < signals.length; at += BATCH) {
      const batch = signals.slice(at, at + BATCH);
      await retryUntil('The API did not accept a batch', () => enqueueBatch(batch));
    }
  };

  const recordSeekToken = async (applicationId: string, token: object): Promise<void> => {
    const path = `/applications/${encodeURIComponent(applicationId)}/seek-token`;
    const isRecorded = async () => (await request('PUT', path, token)).status === 204;
    await retryUntil('The API did not record a seek token', isRecorded);
  };

  const find = async (signalId: string): Promise<SignalRecord | undefined> => {
    const { status, text } = await request('GET', `/signals/${signalId}`);
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`GET /signals/${signalId}: ${status} ${text}`);
    return JSON.parse(text);
  };

  return {
    accepted,
    uncertain,
    request,
    enqueueOnce,
    enqueueUntilAccepted,
    recordSeekToken,
    find,
    /** The longest time in which a POST was answered, or given up. */
    longestAnswerMs: (): number => longestAnswerMs,
    delivery: async (): Promise<DeliveryView> =>
      (await get<{ delivery: DeliveryView }>('/status')).delivery,
    lookup: async (signalIds: string[]): Promise<Map<string, SignalRecord | undefined>> => {
      const records = new Map<string, SignalRecord | undefined>();
      const left = [...signalIds];
      const findAll = async () => {
        for (let id = left.pop(); id !== undefined; id = left.pop()) {
          records.set(id, await find(id));
        }
      };
      await Promise.all(Array.from({ length: MAX_LOOKUPS_AT_ONCE }, findAll));
      return records;
    },
    deadLetters: async (): Promise<DeadLetterView[]> => {
      const deadLetters: DeadLetterView[] = [];
      for (let cursor = ''; ; ) {
        const page: { deadLetters: DeadLetterView[]; nextCursor?: string } = await get(
          `/dead-letters?limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`,
        );
        deadLetters.push(...page.deadLetters);
        if (page.nextCursor === undefined) return deadLetters;
        cursor = encodeURIComponent(page.nextCursor);
      }
    },
  };
};
