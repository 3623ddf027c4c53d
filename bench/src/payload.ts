/** An update of an application's status, the most frequent signal of an ATS: about 600 bytes of JSON. */
export const buildSignal = (number: number, at = Date.now()) => ({
  typeCode: 'ApplicationStatusUpdate' as const,
  token: tokenOf(number, at),
  current: {
    phase: { label: 'Assessment', index: 2, total: 4 },
    status: { label: 'Interview scheduled', index: 1, total: 3 },
    success: null,
    timestamp: '2026-03-02T04:05:06.789Z',
  },
  previous: {
    phase: { label: 'Screening', index: 1, total: 4 },
    status: { label: 'Shortlisted', index: 2, total: 2 },
    success: null,
    timestamp: '2026-03-01T01:02:03.456Z',
  },
});

// Unique, and as long as SEEK's tokens. Contains the time of creation, from which seek.ts computes latencies.
const tokenOf = (number: number, at: number): string =>
  `eyJhbGciOiJIUzI1NiJ9.${'c2Vlay10b2tlbi1wYXlsb2Fk'.repeat(5)}.at=${at.toFixed(3)}=${number}`;

export const MUTATION =
  'mutation ($input: SendSignalInput!) { sendSignal(input: $input) { __typename } }';

/** Milliseconds since the epoch, with a fraction; comparable between processes of one machine. */
export const clock = (): number => performance.timeOrigin + performance.now();
