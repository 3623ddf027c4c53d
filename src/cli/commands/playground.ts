import { v4 as uuidV4 } from 'uuid';

import type { Config } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import type { SafetyFinding } from '../../queue/backend.ts';
import { LIVE_AUDIENCE, PLAYGROUND_AUDIENCE } from '../../schemas/seekApi.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import { classify, type SendResult } from '../../worker/seek/classify.ts';
import type { Http } from '../../worker/seek/http.ts';
import { createSeekClient } from '../../worker/seek/seekClient.ts';

// SEEK's public test data (developer.seek.com, "Playground environment"). They belong to no real application.
const TOKEN = 'globalPublicTest-WfRFAhG25YC8ADe3QvxAVz';
const POSITION = 'seekAnzPublicTest:positionProfile:jobAd:27cuZeA47';
const FORBIDDEN = 'FORBIDDEN';

const sampleSignals = (now: Date): SeekSignal[] => {
  const state = {
    status: { label: 'Interview', index: 2, total: 4 },
    success: null,
    timestamp: now.toISOString(),
  };
  return [
    { typeCode: 'ApplicationComplete', token: TOKEN },
    { typeCode: 'ApplicationStatusUpdate', token: TOKEN, current: state },
    { typeCode: 'PositionStatusUpdate', positionProfileIds: [POSITION], current: state },
  ];
};

/**
 * Sends one signal of each type to SEEK's Playground, and evaluates the answers. The Playground validates a
 * mutation like the live environment and then rejects it, so FORBIDDEN means that the signal is valid.
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
  const send = createSeekClient({
    http,
    apiUrl: config.SEEK_API_URL,
    userAgent: config.SEEK_USER_AGENT,
    secrets: () => [config.SEEK_CLIENT_SECRET],
    logBodies: false,
    logger: createLogger({ level: 'silent' }),
  });
  const findings: SafetyFinding[] = [];
  for (const signal of sampleSignals(new Date())) {
    const requestId = uuidV4();
    const result = await send({ signals: [signal], partnerToken, requestId });
    findings.push(evaluate(signal.typeCode, result, requestId));
  }
  return findings;
};

const evaluate = (typeCode: string, result: SendResult, requestId: string): SafetyFinding => {
  const finding = (level: SafetyFinding['level'], message: string): SafetyFinding => ({
    subject: typeCode,
    level,
    message: `${message} (X-Request-Id ${requestId})`,
  });
  if (result.kind === 'aborted') return finding('error', 'aborted');
  const outcome = classify(result);
  switch (outcome.kind) {
    case 'delivered':
    case 'skipped':
      return finding('error', 'accepted: this is not the Playground');
    case 'retry':
      return finding('error', `unknown: ${outcome.code}: ${outcome.reason}`);
    case 'dead':
      return outcome.code === FORBIDDEN
        ? finding('ok', 'valid: the Playground answers FORBIDDEN to a valid signal')
        : finding('error', `${outcome.code}: ${outcome.reason}`);
  }
};
