import { partnerToken, type ScriptedAnswer, startScriptedSeek } from '../support/scriptedSeek.ts';
import { type Arrival, createHistory } from './history.ts';
import { deliver, type ReplyTo } from './replies.ts';
import { marksIn } from './signals.ts';

const PARTNER_TOKEN = 'chaos-partner-token-';

const header = (value: string | string[] | undefined): string => String(value ?? '');

/** A stand-in for SEEK that records every request and its reply. */
export const startRecordingSeek = async () => {
  const history = createHistory();
  let replyTo: ReplyTo = (request) => deliver(request);
  let answerTokenRequest: ((number: number) => ScriptedAnswer) | undefined;
  let tokenLifetimeSeconds = 1800;

  const seek = await startScriptedSeek({
    answers: ({ text, headers }) => {
      const marks = marksIn(text);
      const [first = ''] = marks;
      const arrival: Arrival = {
        at: Date.now(),
        requestId: header(headers['x-request-id']),
        worker: header(headers['user-agent']),
        marks,
        reply: '',
        processed: false,
        answered: false,
      };
      history.record(arrival);
      const { name, processed, answer } = replyTo({
        marks,
        isBatch: text.includes('sendSignals('),
        worker: arrival.worker,
        nth: history.of(first).length,
      });
      arrival.reply = name;
      arrival.processed = processed;
      return (response, socket) => {
        response.once('finish', () => {
          arrival.answered = true;
        });
        answer(response, socket);
      };
    },
    token: (_request, number) =>
      answerTokenRequest?.(number) ??
      partnerToken(`${PARTNER_TOKEN}${number}`, tokenLifetimeSeconds),
  });

  return {
    ...seek,
    history,
    port: Number(new URL(seek.url).port),
    /** Applies to all requests from now on. */
    replyWith: (next: ReplyTo) => {
      replyTo = next;
    },
    setTokenLifetime: (seconds: number) => {
      tokenLifetimeSeconds = seconds;
    },
    /** Replaces the answers of the token endpoint; without an argument it issues tokens again. */
    answerTokenRequestsWith: (next?: (number: number) => ScriptedAnswer) => {
      answerTokenRequest = next;
    },
  };
};
