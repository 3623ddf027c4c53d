import { partnerToken, type ScriptedAnswer, startScriptedSeek } from '../support/scriptedSeek.ts';
import { type Arrival, createHistory } from './history.ts';
import { marksIn } from './signals.ts';
import { type Decide, take } from './verdicts.ts';

const PARTNER_TOKEN = 'chaos-partner-token-';

const header = (value: string | string[] | undefined): string => String(value ?? '');

/** A SEEK that remembers who came when, and what it answered. */
export const startSeek = async () => {
  const history = createHistory();
  let decide: Decide = (request) => take(request);
  let token: ((number: number) => ScriptedAnswer) | undefined;
  let tokenLifeSeconds = 1800;

  const seek = await startScriptedSeek({
    answers: ({ text, headers }) => {
      const marks = marksIn(text);
      const [first = ''] = marks;
      const arrival: Arrival = {
        at: Date.now(),
        requestId: header(headers['x-request-id']),
        by: header(headers['user-agent']),
        marks,
        ...{ verdict: '', took: false, heard: false },
      };
      history.note(arrival);
      const together = text.includes('sendSignals(');
      const { name, took, answer } = decide({
        ...{ marks, together, by: arrival.by, nth: history.of(first).length },
      });
      Object.assign(arrival, { verdict: name, took });
      return (response, socket) => {
        response.once('finish', () => {
          arrival.heard = true;
        });
        answer(response, socket);
      };
    },
    token: (_request, number) =>
      token?.(number) ?? partnerToken(`${PARTNER_TOKEN}${number}`, tokenLifeSeconds),
  });

  return {
    ...{ ...seek, history },
    port: Number(new URL(seek.url).port),
    /** From now on. */
    behave: (next: Decide) => {
      decide = next;
    },
    tokensLive: (seconds: number) => {
      tokenLifeSeconds = seconds;
    },
    /** From now on the token endpoint answers this; without an argument, tokens. */
    answerTokens: (next: ((number: number) => ScriptedAnswer) | undefined = undefined) => {
      token = next;
    },
  };
};

export type Seek = Awaited<ReturnType<typeof startSeek>>;
