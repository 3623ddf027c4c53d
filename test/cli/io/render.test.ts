import { renderAttempts, renderReferences } from '../../../src/cli/io/render.ts';
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
    { references: { positionId: 'p' }, lines: ['position: p'] },
  ])('$references → $lines', ({ references, lines }) => {
    expect(renderReferences(references)).toEqual(lines);
  });
});

describe('renderAttempts', () => {
  const attempt = { at: '2026-07-01T00:00:01.000Z', outcome: 'delivered' as const, durationMs: 3 };

  it.each([
    { seekAnswer: false, shows: /no errors, but false instead of true$/ },
    { seekAnswer: null, shows: /no errors, but null instead of true$/ },
    { seekAnswer: 'absent', shows: /no errors, but "absent" instead of true$/ },
  ])('answer without errors, and $seekAnswer → is shown', ({ seekAnswer, shows }) => {
    expect(renderAttempts([{ ...attempt, seekAnswer }])).toMatch(shows);
  });

  it('answer true → nothing is shown as the answer', () => {
    expect(renderAttempts([attempt])).toMatch(/3 ms {2}-$/);
  });
});
