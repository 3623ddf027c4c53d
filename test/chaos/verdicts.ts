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

/** What SEEK does with one request. */
export type Verdict = { name: string; took: boolean; answer: ScriptedAnswer };

const yes = (together: boolean): ScriptedAnswer =>
  together ? json({ data: { sendSignals: true } }) : delivered();

/** What a request is judged by. */
export type Request = {
  marks: string[];
  /** By `sendSignals`. */
  together: boolean;
  /** The worker that sent it. */
  by: string;
  /** How often its first signal has arrived, this time included. */
  nth: number;
};

export type Decide = (request: Request) => Verdict;

/** SEEK takes it, after so long. */
export const take = ({ together }: Request, afterMs = 0): Verdict => ({
  ...{ name: 'delivered', took: true },
  answer: afterMs === 0 ? yes(together) : slow(afterMs, yes(together)),
});

export const refuse = (code: string, message = code): Verdict => ({
  ...{ name: code, took: false, answer: refused(code, { message }) },
});

/** SEEK names the signals that it does not like by their place in the request, or says only that. */
export const refuseInput = (
  { marks, together }: Request,
  isBad: (mark: string) => boolean,
  names: boolean,
): Verdict => {
  const pointers = marks.flatMap((mark, place) => {
    if (!isBad(mark)) return [];
    return [together ? `/input/signals/${place}/typeCode` : '/input/typeCode'];
  });
  const invalidFields = Object.fromEntries(pointers.map((pointer) => [pointer, 'Is not valid']));
  const extensions = names ? { invalidFields } : {};
  return {
    ...{ name: 'BAD_USER_INPUT', took: false },
    answer: refused('BAD_USER_INPUT', { extensions }),
  };
};

const fault = (name: string, answer: ScriptedAnswer): Verdict => ({ name, took: false, answer });

export const silence = (): Verdict => fault('silence', hang());

/** Every kind of trouble, each with how often it comes among a hundred of them. */
const FAULTS: readonly { often: number; verdict: (request: Request) => Verdict }[] = [
  { often: 15, verdict: () => fault('reset', reset()) },
  { often: 15, verdict: () => fault('HTTP_502', html(502)) },
  { often: 10, verdict: () => fault('HTTP_200', empty(200)) },
  // SEEK has taken it, and the news is lost on the way.
  { often: 15, verdict: () => ({ name: 'cut off', took: true, answer: cutOff() }) },
  { often: 15, verdict: () => refuse('INTERNAL_SERVER_ERROR') },
  { often: 3, verdict: () => refuse('RATE_LIMITED') },
  {
    often: 2,
    verdict: () =>
      fault(
        'RATE_LIMITED',
        refused('RATE_LIMITED', { status: 429, headers: { 'retry-after': '1' } }),
      ),
  },
  { often: 10, verdict: () => refuse('UNAUTHENTICATED') },
  { often: 15, verdict: () => refuse('SOMETHING_NEW') },
];

/** One of them, by a number from 0 to below 1. */
export const faultAt = (request: Request, chance: number): Verdict => {
  const total = FAULTS.reduce((sum, { often }) => sum + often, 0);
  let left = chance * total;
  for (const { often, verdict } of FAULTS) {
    left -= often;
    if (left < 0) return verdict(request);
  }
  return refuse('SOMETHING_NEW');
};
