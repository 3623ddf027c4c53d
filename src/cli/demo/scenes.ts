import type { SignalInput, StateInput } from '../../schemas/signal.ts';
import type { Simulator } from '../../simulator/createSimulator.ts';

/** One sample signal, what happens to it, and its expected outcome. */
export type Scene = {
  title: string;
  story: string;
  signal: SignalInput;
  /** Makes the simulator fail for this signal. */
  before?: (simulator: Simulator) => void;
  ends: 'delivered' | 'dead';
  /** Explains the redrive of the dead letter. The signal must then be delivered. */
  redrive?: string;
};

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

const state = (
  status: [label: string, index: number, total: number],
  timestamp: string,
  success: boolean | null = null,
): StateInput => {
  const [label, index, total] = status;
  return { status: { label, index, total }, success, timestamp };
};

export const createScenes = (): Scene[] => [
  {
    title: 'application completed',
    story: 'A candidate completes an application. SEEK accepts the signal at the first attempt.',
    signal: { typeCode: 'ApplicationComplete', token: 'demo-first+%2B==', timestamp: ago(3) },
    ends: 'delivered',
  },
  {
    title: 'moved to Interview',
    story:
      'The hirer moves the application to Interview. The signal has both states, with `success: null`.',
    signal: {
      typeCode: 'ApplicationStatusUpdate',
      token: 'demo-interview',
      positionProfileIds: 'seekAnz:positionProfile:demo:1',
      current: {
        ...state(['Interview', 2, 3], ago(2)),
        phase: { label: 'Assessment', index: 2, total: 4 },
      },
      previous: {
        ...state(['Screening', 1, 3], ago(90)),
        phase: { label: 'Assessment', index: 2, total: 4 },
      },
    },
    ends: 'delivered',
  },
  {
    title: 'position filled',
    story: 'A position is filled: `success: true`.',
    signal: {
      typeCode: 'PositionStatusUpdate',
      positionProfileIds: ['seekAnz:positionProfile:demo:1'],
      current: state(['Filled', 3, 3], ago(1), true),
    },
    ends: 'delivered',
  },
  {
    title: 'SEEK answers 502 twice',
    story:
      'SEEK fails twice. The signal is retried after a backoff that grows, and is then delivered.',
    signal: { typeCode: 'ApplicationComplete', token: 'demo-502', timestamp: ago(2) },
    before: ({ faults }) => faults.arm({ kind: 'html502', next: 2, contains: 'demo-502' }),
    ends: 'delivered',
  },
  {
    title: 'partner token expired',
    story:
      'The partner token has expired. The worker gets a new one and repeats the request immediately.',
    signal: { typeCode: 'ApplicationComplete', token: 'demo-expired-partner', timestamp: ago(2) },
    before: ({ tokens }) => tokens.expireAll(),
    ends: 'delivered',
  },
  {
    title: 'rejected, then redriven',
    story:
      'No relationship with this hirer yet: FORBIDDEN. A retry would not help, so it becomes a dead letter.',
    signal: {
      typeCode: 'ApplicationStatusUpdate',
      candidateApplicationProfileId: 'seekAnz:candidateApplicationProfile:demo:2',
      current: state(['Offer', 4, 5], ago(1)),
    },
    before: ({ faults }) =>
      faults.arm({ kind: 'forbidden', next: 1, contains: 'candidateApplicationProfile:demo:2' }),
    ends: 'dead',
    redrive: 'The hirer has granted access since. An operator redrives the dead letter.',
  },
  {
    title: 'rejected permanently',
    story:
      'SEEK does not know this seek token: BAD_USER_INPUT. The signal stays in the dead letters.',
    signal: { typeCode: 'ApplicationComplete', token: 'invalid-demo', timestamp: ago(1) },
    ends: 'dead',
  },
];
