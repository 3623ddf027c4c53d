import { readJob } from '../../src/worker/readJob.ts';
import { buildSignalJob } from '../support/buildSignal.ts';

describe('readJob', () => {
  it('job of this version → is read as it was written', () => {
    expect(readJob(buildSignalJob())).toEqual({ kind: 'signal', signalJob: buildSignalJob() });
  });

  it('job as a producer writes it → is read without a copy of its signal', () => {
    const { redrives, attempts, ...data } = buildSignalJob();

    const read = readJob(data);

    expect(read).toEqual({ kind: 'signal', signalJob: buildSignalJob() });
    expect(read.kind === 'signal' && read.signalJob.signal).toBe(data.signal);
  });

  it('job with an unknown field → is read without it', () => {
    expect(readJob({ ...buildSignalJob(), added: 'later' })).toEqual({
      kind: 'signal',
      signalJob: buildSignalJob(),
    });
  });

  it.each([
    { data: buildSignalJob({ version: 5 }), version: 5 },
    { data: { version: 6 }, version: 6 },
    { data: { version: 1_000, signal: { s3cret: 's3cret' } }, version: 1_000 },
  ])('job of the newer version $version → kind newer', ({ data, version }) => {
    expect(readJob(data)).toEqual({
      kind: 'newer',
      version,
      failure: `UNREADABLE: /version: written by a newer version of the dispatcher (${version})`,
    });
  });

  it.each<{ what: string; data: unknown; says: string }>([
    { what: 'version 0', data: buildSignalJob({ version: 0 }), says: '/version: ' },
    { what: 'a fractional version', data: buildSignalJob({ version: 1.5 }), says: '/version: ' },
    {
      what: 'a version as a text',
      data: buildSignalJob({ version: '2' }),
      says: '/version: ',
    },
    { what: 'no version', data: buildSignalJob({ version: undefined }), says: '/version: ' },
    {
      what: 'a broken signal of this version',
      data: buildSignalJob({ signal: { typeCode: 'New', token: ' s3cret', s: 's3cret' } }),
      says: '/signal/token: Must not begin or end with white space; /signal/s: Unknown field',
    },
    { what: 'a text', data: 's3cret', says: '/: ' },
    { what: 'a list', data: [{ version: 2 }], says: '/: ' },
    { what: 'null', data: null, says: '/: ' },
    { what: 'undefined', data: undefined, says: '/: Is required' },
  ])('$what → unreadable, and the failure repeats no value', ({ data, says }) => {
    const read = readJob(data);

    expect(read).toEqual({ kind: 'unreadable', failure: expect.stringContaining(says) });
    expect(read).toHaveProperty('failure', expect.stringMatching(/^UNREADABLE: /));
    expect(JSON.stringify(read)).not.toContain('s3cret');
  });
});
