import { readExportLine, writeExportLine } from '../../src/deadLetters/transfer.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { buildLetter } from '../support/buildSignal.ts';

const deadLetter = DeadLetterSchema.parse(buildLetter());
const read = (line: unknown) =>
  readExportLine(Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)));
const named = (signalId: string, jobId = signalId) =>
  buildLetter({ signalId, failedJob: { jobId, finishedAt: 1 } });

describe('a line of a file of letters', () => {
  it('is read as it was written, without what is asked of the letter at present', () => {
    const asked = {
      ...deadLetter,
      ...{ redriveRequested: true, redriveBy: { at: deadLetter.diedAt, by: 'somebody' } },
    };

    expect(read(writeExportLine(asked))).toEqual({ deadLetter });
    expect(read(asked)).toEqual({ deadLetter });
    expect(read(named('repeat:a:1'))).toEqual({ deadLetter: named('repeat:a:1') });
    expect(read(named('job-12', '12'))).toEqual({ deadLetter: named('job-12', '12') });
  });

  it('may be empty', () => {
    expect([read(''), read(' \r')]).toEqual([undefined, undefined]);
  });

  it.each([
    ['no JSON', '{"secret', /^Is not JSON in UTF-8$/],
    ['nested ever so deep', `${'['.repeat(1e6)}${']'.repeat(1e6)}`, /^Is not JSON in UTF-8$/],
    ['a list', [], /expected object/],
    ['of a newer version', buildLetter({ version: 3 }), /^\/version: /],
    ['of no time', buildLetter({ diedAt: 'secret' }), /^\/diedAt: Invalid ISO datetime$/],
    ['that says little', {}, /\/version: .*; and \d+ more$/],
    ['with a NUL', buildLetter({ job: { secret: 'a\0' } }), /^Has a NUL/],
    ['with a NUL in a name', buildLetter({ job: { 'a\0': 1 } }), /^Has a NUL/],
    ['with half a character', buildLetter({ reason: '\ud800' }), /^Is not well-formed Unicode$/],
    ['of another signal', named('one', 'other'), /^\/signalId: /],
    ['of no name', named(''), /^\/signalId: /],
    ['of a number', named('12'), /^\/signalId: /],
    ['of a negative number', named('-12'), /^\/signalId: /],
    ["of a list of the queue's", named('wait'), /^\/signalId: /],
    ["of a job's lock", named('other:lock'), /^\/signalId: /],
    ['of an endless name', named('x'.repeat(1_001)), /^\/signalId: /],
  ])('is bad: %s', (_, line, problem) => {
    const outcome = read(line);

    expect(outcome).toEqual({ problem: expect.stringMatching(problem) });
    expect(JSON.stringify(outcome)).not.toContain('secret');
  });

  it('is bad: other bytes than UTF-8', () => {
    expect(readExportLine(Uint8Array.from([0x22, 0xff, 0x22]))).toEqual({
      problem: 'Is not JSON in UTF-8',
    });
  });
});
