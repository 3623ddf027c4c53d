import { renderReferences } from '../../../src/cli/io/render.ts';
import type { SignalReferences } from '../../../src/schemas/signalRecord.ts';

describe('whose a signal is', () => {
  it.each<{ subject: SignalReferences; lines: string[] }>([
    { subject: {}, lines: [] },
    { subject: { applicationId: 'a' }, lines: ['application: a'] },
    {
      subject: { candidateApplicationProfileId: 'c' },
      lines: ['candidate application profile: c'],
    },
    { subject: { positionProfileIds: ['p', 'q'] }, lines: ['position: p, q'] },
  ])('is told of $subject', ({ subject, lines }) => {
    expect(renderReferences(subject)).toEqual(lines);
  });
});
