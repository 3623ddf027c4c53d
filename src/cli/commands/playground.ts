import { v4 as uuidV4 } from 'uuid';

import type { Config } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import { redactBody } from '../../observability/redact.ts';
import type { SafetyFinding } from '../../queue/backend.ts';
import { LIVE_AUDIENCE, PLAYGROUND_AUDIENCE } from '../../schemas/seekApi.ts';
import { rejectedRows } from '../../worker/delivery/bisectBatch.ts';
import { classify, type Dead, type SendResult } from '../../worker/seek/classify.ts';
import type { Http, HttpAnswer } from '../../worker/seek/http.ts';
import { createSeekClient } from '../../worker/seek/seekClient.ts';
import { INVALID_ROW, type Sample, samples } from './playgroundSamples.ts';

const FORBIDDEN = 'FORBIDDEN';
const BAD_USER_INPUT = 'BAD_USER_INPUT';
const MAX_ANSWER_LENGTH = 2_000;

type Verdict = Pick<SafetyFinding, 'level' | 'message'>;

/**
 * Sends sample signals to SEEK's Playground, and evaluates the answers. The Playground validates a mutation
 * like the live environment and then rejects it, so FORBIDDEN means that the signals are valid.
 */
export const checkPlayground = async (
  config: Config<'SEEK_CLIENT_SECRET'>,
  http: Http,
  partnerToken: string,
): Promise<SafetyFinding[]> => {
  if (config.SEEK_AUDIENCE === LIVE_AUDIENCE) {
    const message = `SEEK_AUDIENCE is the live environment; set it to ${PLAYGROUND_AUDIENCE}`;
    return [{ subject: 'playground', level: 'error', message }];
  }
  const recorder = createAnswerRecorder(http);
  const send = createSeekClient({
    http: recorder,
    apiUrl: config.SEEK_API_URL,
    userAgent: config.SEEK_USER_AGENT,
    secrets: () => [config.SEEK_CLIENT_SECRET],
    logBodies: false,
    logger: createLogger({ level: 'silent' }),
  });
  const check = async ({ subject, signals, isValid }: Sample): Promise<SafetyFinding> => {
    const requestId = uuidV4();
    const result = await send({ signals, partnerToken, requestId });
    const { level, message } = evaluate(result, (outcome) =>
      isValid ? evaluateValid(outcome) : evaluateInvalidRow(outcome, result, signals.length),
    );
    const tokens = signals.flatMap(({ token }) => (token === undefined ? [] : [token]));
    const secrets = [partnerToken, config.SEEK_CLIENT_SECRET, ...tokens];
    const answer = isValid ? '' : `; SEEK's answer: ${describeAnswer(recorder.last(), secrets)}`;
    return { subject, level, message: `${message} (X-Request-Id ${requestId})${answer}` };
  };
  const findings: SafetyFinding[] = [];
  for (const sample of samples(new Date())) findings.push(await check(sample));
  return findings;
};

const evaluate = (result: SendResult, evaluateDead: (outcome: Dead) => Verdict): Verdict => {
  if (result.kind === 'aborted') return { level: 'error', message: 'aborted' };
  const outcome = classify(result);
  switch (outcome.kind) {
    case 'delivered':
    case 'skipped':
      return { level: 'error', message: 'accepted: this is not the Playground' };
    case 'retry':
      return { level: 'error', message: `unknown: ${outcome.code}: ${outcome.reason}` };
    case 'dead':
      return evaluateDead(outcome);
  }
};

const evaluateValid = ({ code, reason }: Dead): Verdict =>
  code === FORBIDDEN
    ? { level: 'ok', message: 'valid: the Playground answers FORBIDDEN to valid signals' }
    : { level: 'error', message: `${code}: ${reason}` };

/** SEEK does not document how it names rows. The worker relies on the form that it reads here. */
const evaluateInvalidRow = ({ code, reason }: Dead, result: SendResult, rows: number): Verdict => {
  if (code === FORBIDDEN) {
    const message = 'SEEK did not reject the invalid row, so how it names rows stays unknown';
    return { level: 'warning', message };
  }
  if (code !== BAD_USER_INPUT) return { level: 'error', message: `${code}: ${reason}` };
  const named = [...rejectedRows(result, rows).keys()];
  if (named.length === 1 && named[0] === INVALID_ROW) {
    return { level: 'ok', message: 'SEEK names the invalid row in the form that workers read' };
  }
  const found = named.length === 0 ? 'none' : named.join(', ');
  return {
    level: 'warning',
    message: `workers cannot read which row is invalid (found ${found}, expected ${INVALID_ROW}), so they bisect such a batch`,
  };
};

/** Passes requests on, and keeps the last answer as it arrived. */
const createAnswerRecorder = (http: Http) => {
  let last: HttpAnswer | undefined;
  const post: Http['post'] = async (request) => {
    last = undefined;
    last = await http.post(request);
    return last;
  };
  return { post, last: (): HttpAnswer | undefined => last };
};

// Control characters, line breaks and characters that change the direction of text: one finding is one line.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;

/** An answer without secrets, on one line, cut to a readable length. */
const describeAnswer = (answer: HttpAnswer | undefined, secrets: readonly string[]): string => {
  if (answer === undefined) return 'no answer';
  const text = redactBody(answer.body, secrets).replace(UNPRINTABLE, ' ');
  const cut = text.length > MAX_ANSWER_LENGTH ? `${text.slice(0, MAX_ANSWER_LENGTH)}…` : text;
  return `HTTP ${answer.status}: ${cut.toWellFormed()}`;
};
