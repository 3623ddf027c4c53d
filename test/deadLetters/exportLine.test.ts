import { readExportLine, writeExportLine } from '../../src/deadLetters/transfer.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { buildDeadLetter } from '../support/buildSignal.ts';

const deadLetter = DeadLetterSchema.parse(buildDeadLetter());
const read = (line: unknown) =>
  readExportLine(Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)));
const named = (signalId: string, jobId = signalId) =>
  buildDeadLetter({ signalId, failedJob: { jobId, finishedAt: 1 } });

describe('a line of an exported file', () => {
  it('that was just written → is read back without its pending redrive request', () => {
    const requested = {
      ...deadLetter,
      redriveRequested: true,
      redriveBy: { at: deadLetter.diedAt, by: 'operator' },
    };

    expect(read(writeExportLine(requested))).toEqual({ deadLetter });
    expect(read(requested)).toEqual({ deadLetter });
    expect(read(named('repeat:a:1'))).toEqual({ deadLetter: named('repeat:a:1') });
    expect(read(named('job-12', '12'))).toEqual({ deadLetter: named('job-12', '12') });
  });

  it('that is empty → is ignored', () => {
    expect([read(''), read(' \r')]).toEqual([undefined, undefined]);
  });

  it.each([
    ['that is not JSON', '{"secret', /^Is not JSON in UTF-8$/],
    [
      'nested a million levels deep',
      `${'['.repeat(1e6)}${']'.repeat(1e6)}`,
      /^Is not JSON in UTF-8$/,
    ],
    ['that holds an array', [], /expected object/],
    ['of a newer version', buildDeadLetter({ version: 3 }), /^\/version: /],
    [
      'with an invalid time',
      buildDeadLetter({ diedAt: 'secret' }),
      /^\/diedAt: Invalid ISO datetime$/,
    ],
    ['without most fields', {}, /\/version: .*; and \d+ more$/],
    ['with a NUL character', buildDeadLetter({ job: { secret: 'a\0' } }), /^Has a NUL/],
    ['with a NUL character in a field name', buildDeadLetter({ job: { 'a\0': 1 } }), /^Has a NUL/],
    [
      'with half a surrogate pair',
      buildDeadLetter({ reason: '\ud800' }),
      /^Is not well-formed Unicode$/,
    ],
    ['whose id differs from that of its job', named('one', 'other'), /^\/signalId: /],
    ['with an empty id', named(''), /^\/signalId: /],
    ['with an integer as id', named('12'), /^\/signalId: /],
    ['with a negative integer as id', named('-12'), /^\/signalId: /],
    ["with the name of one of the queue's lists as id", named('wait'), /^\/signalId: /],
    ["with the name of a job's lock as id", named('other:lock'), /^\/signalId: /],
    ['with an id that is too long', named('x'.repeat(1_001)), /^\/signalId: /],
  ])('%s → is rejected without its values', (_, line, problem) => {
    const outcome = read(line);

    expect(outcome).toEqual({ problem: expect.stringMatching(problem) });
    expect(JSON.stringify(outcome)).not.toContain('secret');
  });

  it('that is not UTF-8 → is rejected', () => {
    expect(readExportLine(Uint8Array.from([0x22, 0xff, 0x22]))).toEqual({
      problem: 'Is not JSON in UTF-8',
    });
  });
});
