import { setTimeout as delay } from 'node:timers/promises';

import type { DeadLetterView } from '../../src/deadLetters/deadLetters.ts';
import type { QueueStatus } from '../../src/queue/status.ts';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';

import type { Offered } from './signals.ts';

// The API promises an answer within 5 s; a machine under stress is given time to send it.
const PATIENCE_MS = 12_000;
const OFFER_AT_ONCE = 20;
const ASK_AT_ONCE = 20;
const OFFER_AGAIN_MS = 200;

type Deps = { url: () => string; apiKey: string };

/** Who offers signals and is told what became of them: the API's only client. */
export const createAts = ({ url, apiKey }: Deps) => {
  const accepted = new Map<string, Offered>();
  /** Offered without an answer that says yes: may have been taken, or not. */
  const unsure = new Map<string, Offered>();
  let longestAnswerMs = 0;

  const call = async (method: string, path: string, body?: unknown, patienceMs = PATIENCE_MS) => {
    const began = performance.now();
    try {
      const answer = await fetch(`${url()}${path}`, {
        method,
        headers: { authorization: `Bearer ${apiKey}` },
        signal: AbortSignal.timeout(patienceMs),
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
    const { status, text } = await call('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
    return JSON.parse(text);
  };

  /** Says whether they were accepted. */
  const offerSome = async (some: Offered[]): Promise<boolean> => {
    const body = { signals: some.map(({ signal }) => signal) };
    const { status, text } = await call('POST', '/signals/batch', body);
    if (status !== 202) {
      for (const one of some) if (!accepted.has(one.signalId)) unsure.set(one.signalId, one);
      return false;
    }
    const { results }: { results: { signalId?: string }[] } = JSON.parse(text);
    for (const [index, one] of some.entries()) {
      if (results[index]?.signalId !== one.signalId) {
        throw new Error(`${one.signalId} was answered as ${JSON.stringify(results[index])}`);
      }
      accepted.set(one.signalId, one);
      unsure.delete(one.signalId);
    }
    return true;
  };

  /** Each once, in portions. */
  const offer = async (signals: Offered[]): Promise<void> => {
    for (let at = 0; at < signals.length; at += OFFER_AT_ONCE) {
      await offerSome(signals.slice(at, at + OFFER_AT_ONCE));
    }
  };

  /** As the README tells: whoever is told "unavailable" offers the signal again. */
  const insist = async (signals: Offered[], withinMs = 90_000): Promise<void> => {
    const deadline = Date.now() + withinMs;
    for (let at = 0; at < signals.length; at += OFFER_AT_ONCE) {
      while (!(await offerSome(signals.slice(at, at + OFFER_AT_ONCE)))) {
        if (Date.now() > deadline) throw new Error(`Not accepted within ${withinMs} ms`);
        await delay(OFFER_AGAIN_MS);
      }
    }
  };

  /** As insistently, a seek token for an application. */
  const record = async (applicationId: string, token: object, withinMs = 90_000): Promise<void> => {
    const deadline = Date.now() + withinMs;
    const path = `/applications/${encodeURIComponent(applicationId)}/seek-token`;
    while ((await call('PUT', path, token)).status !== 204) {
      if (Date.now() > deadline) throw new Error(`Not recorded within ${withinMs} ms`);
      await delay(OFFER_AGAIN_MS);
    }
  };

  const find = async (signalId: string): Promise<SignalRecord | undefined> => {
    const { status, text } = await call('GET', `/signals/${signalId}`);
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`GET /signals/${signalId}: ${status} ${text}`);
    return JSON.parse(text);
  };

  return {
    ...{ accepted, unsure, call, offer, insist, record, find },
    /** The longest that a caller had to wait for the answer to a POST. */
    longestAnswerMs: (): number => longestAnswerMs,
    status: () =>
      get<Omit<QueueStatus, 'delivery'> & { delivery: Record<string, unknown> }>('/status'),
    lookup: async (signalIds: string[]): Promise<Map<string, SignalRecord | undefined>> => {
      const lookup = new Map<string, SignalRecord | undefined>();
      const left = [...signalIds];
      const ask = async () => {
        for (let id = left.pop(); id !== undefined; id = left.pop()) lookup.set(id, await find(id));
      };
      await Promise.all(Array.from({ length: ASK_AT_ONCE }, ask));
      return lookup;
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

export type Ats = ReturnType<typeof createAts>;
