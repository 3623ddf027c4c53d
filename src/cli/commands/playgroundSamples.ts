import type { SeekSignal } from '../../schemas/signal.ts';

// SEEK's public test data (developer.seek.com, "Playground environment"). They belong to no real application.
const TOKEN = 'globalPublicTest-WfRFAhG25YC8ADe3QvxAVz';
const POSITION = 'seekAnzPublicTest:positionProfile:jobAd:27cuZeA47';
const APPLICATION_PROFILE = 'seekAnzPublicTest:candidateProfile:apply:7DtW6Q68gk2R4okNGhvg1Y';

// Wrong on purpose. The prefix keeps it test data, should a live environment ever receive it.
const INVALID_TOKEN = 'globalPublicTest-invalid-token';

/** The invalid row of the last sample, from 0. In the middle, so that a count from 1 shows. */
export const INVALID_ROW = 1;

/** What one request sends. */
export type Sample = { subject: string; signals: SeekSignal[]; isValid: boolean };

const MINUTE_MS = 60_000;

export const samples = (now: Date): Sample[] => {
  const timestamp = now.toISOString();
  const state = { status: { label: 'Interview', index: 2, total: 4 }, success: null, timestamp };
  const phase = { label: 'In review', index: 1, total: 2 };
  const earlier = {
    ...state,
    status: { label: 'Received', index: 1, total: 4 },
    timestamp: new Date(now.getTime() - MINUTE_MS).toISOString(),
  };
  const complete: SeekSignal = { typeCode: 'ApplicationComplete', token: TOKEN, timestamp };
  const update: SeekSignal = {
    typeCode: 'ApplicationStatusUpdate',
    token: TOKEN,
    current: state,
  };
  const positionUpdate: SeekSignal = {
    typeCode: 'PositionStatusUpdate',
    positionProfileIds: [POSITION],
    current: state,
  };
  const { token, ...withoutToken } = update;
  const byProfile = { ...withoutToken, candidateApplicationProfileId: APPLICATION_PROFILE };
  const withPrevious = {
    ...update,
    current: { ...state, phase },
    previous: { ...earlier, phase },
  };
  const valid = (subject: string, ...signals: SeekSignal[]): Sample => ({
    subject,
    signals,
    isValid: true,
  });
  return [
    ...[complete, update, positionUpdate].map((signal) => valid(signal.typeCode, signal)),
    valid('ApplicationStatusUpdate with candidateApplicationProfileId', byProfile),
    valid('ApplicationStatusUpdate with phase and previous', withPrevious),
    valid('sendSignals', complete, update, positionUpdate),
    {
      subject: 'sendSignals with an invalid row',
      signals: [complete, { ...update, token: INVALID_TOKEN }, positionUpdate],
      isValid: false,
    },
  ];
};
