import { renderReferences } from '../../../src/cli/io/render.ts';
import type { SignalReferences } from '../../../src/schemas/signalRecord.ts';

describe('renderReferences', () => {
  it.each<{ references: SignalReferences; lines: string[] }>([
    { references: {}, lines: [] },
    { references: { applicationId: 'a' }, lines: ['application: a'] },
    {
      references: { candidateApplicationProfileId: 'c' },
      lines: ['candidate application profile: c'],
    },
    { references: { positionProfileIds: ['p', 'q'] }, lines: ['position: p, q'] },
  ])('$references → $lines', ({ references, lines }) => {
    expect(renderReferences(references)).toEqual(lines);
  });
});
