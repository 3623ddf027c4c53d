import type { SignalInput, StateInput } from '../../schemas/signal.ts';
import type { Simulator } from '../../simulator/createSimulator.ts';

/** One thing that happens to a recruiter's signal, and how it has to end. */
export type Scene = {
  title: string;
  story: string;
  signal: SignalInput;
  /** What is wrong at SEEK when it arrives there. */
  before?: (seek: Simulator) => void;
  ends: 'delivered' | 'dead';
  /** Put back after it died, once the cause is gone; it then has to be delivered. */
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
    story: 'A candidate finishes an application. SEEK takes the signal at the first attempt.',
    signal: { typeCode: 'ApplicationComplete', token: 'demo-first+%2B==', timestamp: ago(3) },
    ends: 'delivered',
  },
  {
    title: 'moved to Interview',
    story: 'The hirer moves the application on. Both states travel, `success: null` included.',
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
    story: 'SEEK stumbles. The signal waits, twice, for longer each time, and gets through.',
    signal: { typeCode: 'ApplicationComplete', token: 'demo-stumble' },
    before: ({ faults }) => faults.arm({ kind: 'html502', next: 2, contains: 'demo-stumble' }),
    ends: 'delivered',
  },
  {
    title: 'partner token expired',
    story:
      'Our access token has expired at SEEK. It is renewed, and the request repeated, at once.',
    signal: { typeCode: 'ApplicationComplete', token: 'demo-expired-partner' },
    before: ({ tokens }) => tokens.expireAll(),
    ends: 'delivered',
  },
  {
    title: 'refused, then redriven',
    story:
      'No relationship with this hirer yet: FORBIDDEN. Trying again would not help, so it is buried.',
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
    title: 'refused for good',
    story: 'SEEK does not know this seek token: BAD_USER_INPUT. It stays with the dead letters.',
    signal: { typeCode: 'ApplicationComplete', token: 'invalid-demo' },
    ends: 'dead',
  },
];
