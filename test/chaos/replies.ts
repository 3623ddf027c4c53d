import {
  cutOff,
  delivered,
  empty,
  hang,
  html,
  json,
  refused,
  reset,
  type ScriptedAnswer,
  slow,
} from '../support/scriptedSeek.ts';

/** What SEEK does with one request. `name` goes into the history. */
export type Reply = { name: string; processed: boolean; answer: ScriptedAnswer };

/** What a reply depends on. */
export type Request = {
  marks: string[];
  /** Sent with `sendSignals`. */
  isBatch: boolean;
  /** The name of the worker that sent it. */
  worker: string;
  /** How often its first signal has arrived, this request included. */
  nth: number;
};

export type ReplyTo = (request: Request) => Reply;

const confirmed = (isBatch: boolean): ScriptedAnswer =>
  isBatch ? json({ data: { sendSignals: true } }) : delivered();

/** SEEK processes the request, and confirms it after `delayMs`. */
export const deliver = ({ isBatch }: Request, delayMs = 0): Reply => ({
  name: 'delivered',
  processed: true,
  answer: delayMs === 0 ? confirmed(isBatch) : slow(delayMs, confirmed(isBatch)),
});

export const refuse = (code: string): Reply => ({
  name: code,
  processed: false,
  answer: refused(code),
});

/** 429 as a gateway in front of SEEK sends it. */
export const tooManyRequests = (): Reply => ({
  name: 'RATE_LIMITED',
  processed: false,
  answer: refused('RATE_LIMITED', { status: 429, headers: { 'retry-after': '1' } }),
});

/** SEEK rejects the request as invalid. With `namesFields` it names the bad signals by their position. */
export const refuseInput = (
  { marks, isBatch }: Request,
  isBad: (mark: string) => boolean,
  namesFields: boolean,
): Reply => {
  const pointers = marks.flatMap((mark, place) => {
    if (!isBad(mark)) return [];
    return [isBatch ? `/input/signals/${place}/typeCode` : '/input/typeCode'];
  });
  const invalidFields = Object.fromEntries(pointers.map((pointer) => [pointer, 'Is not valid']));
  return {
    name: 'BAD_USER_INPUT',
    processed: false,
    answer: refused('BAD_USER_INPUT', { extensions: namesFields ? { invalidFields } : {} }),
  };
};

const fault = (name: string, answer: ScriptedAnswer): Reply => ({
  name,
  processed: false,
  answer,
});

export const neverReply = (): Reply => fault('no reply', hang());

/** Every kind of fault. `weight` is its share in percent. */
const FAULTS: readonly { weight: number; reply: () => Reply }[] = [
  { weight: 15, reply: () => fault('reset', reset()) },
  { weight: 15, reply: () => fault('HTTP_502', html(502)) },
  { weight: 10, reply: () => fault('HTTP_200', empty(200)) },
  // SEEK has processed the request; its confirmation is lost on the way.
  { weight: 15, reply: () => ({ name: 'cut off', processed: true, answer: cutOff() }) },
  { weight: 15, reply: () => refuse('INTERNAL_SERVER_ERROR') },
  { weight: 3, reply: () => refuse('RATE_LIMITED') },
  { weight: 2, reply: tooManyRequests },
  { weight: 10, reply: () => refuse('UNAUTHENTICATED') },
  { weight: 15, reply: () => refuse('SOMETHING_NEW') },
];

/** Picks a fault by `chance`, a number from 0 to below 1. */
export const faultAt = (chance: number): Reply => {
  const total = FAULTS.reduce((sum, { weight }) => sum + weight, 0);
  let left = chance * total;
  for (const { weight, reply } of FAULTS) {
    left -= weight;
    if (left < 0) return reply();
  }
  return refuse('SOMETHING_NEW');
};
