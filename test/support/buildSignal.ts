/** A valid state with `change` applied; `undefined` removes a field. The other builders do the same. */
export const buildState = (change: object = {}) => ({
  status: { label: 'Interview', index: 2, total: 4 },
  success: null,
  timestamp: '2026-03-01T10:00:00Z',
  ...change,
});

/** An `ApplicationStatusUpdate` as a caller writes it. */
export const buildSignal = (change: object = {}) => ({
  typeCode: 'ApplicationStatusUpdate',
  token: 'seek-token-1',
  current: buildState(),
  ...change,
});

export const buildApplicationComplete = (change: object = {}) => ({
  typeCode: 'ApplicationComplete',
  token: 'seek-token-1',
  timestamp: '2026-03-01T09:00:00Z',
  ...change,
});

export const buildPositionStatusUpdate = (change: object = {}) => ({
  typeCode: 'PositionStatusUpdate',
  positionProfileIds: ['position-profile-1'],
  current: buildState(),
  ...change,
});

/** SEEK's published sample: a single string of a position, a phase in both states, `success: null`. */
export const buildSeekSample = () => ({
  typeCode: 'ApplicationStatusUpdate',
  token: 'eyJhbGciOiJIUzI1NiJ9.c2FtcGxl.sample_-signature',
  positionProfileIds: 'globalPublicTest:positionProfile:jobPosting:2VN3nLwRfZfwQrgGkbDvWN',
  current: {
    phase: { label: 'Offer', index: 3, total: 3 },
    status: { label: 'Offer accepted', index: 2, total: 2 },
    success: true,
    timestamp: '2026-03-02T04:05:06.789Z',
  },
  previous: {
    phase: { label: 'Interview', index: 2, total: 3 },
    status: { label: 'Second interview', index: 2, total: 2 },
    success: null,
    timestamp: '2026-02-27T01:02:03Z',
  },
});

/** The job data of an accepted signal. */
export const buildSignalJob = (change: object = {}) => ({
  version: 4,
  signal: buildSignal(),
  contentId: 'a9d6b9a2-0d0a-5a51-9c8f-0f5f0d5b8f11',
  acceptedAt: '2026-03-01T12:00:00.000Z',
  acceptedFrom: 'careers-site',
  redrives: 0,
  attempts: [],
  ...change,
});

/** The job data of a dead letter. */
export const buildDeadLetter = (change: object = {}) => ({
  version: 2,
  signalId: 'signal-1',
  failedJob: { jobId: 'signal-1', finishedAt: Date.parse('2026-03-01T13:00:00Z') },
  typeCode: 'ApplicationStatusUpdate',
  reason: 'No relationship',
  code: 'FORBIDDEN',
  diedAt: '2026-03-01T13:00:00.000Z',
  acceptedAt: '2026-03-01T12:00:00.000Z',
  attempts: [],
  redrives: 0,
  job: buildSignalJob(),
  ...change,
});
