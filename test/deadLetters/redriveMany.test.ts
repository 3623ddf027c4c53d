import { createRedriveMany } from '../../src/deadLetters/redriveMany.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { buildLetter } from '../support/buildSignal.ts';

const NOW = Date.parse('2026-03-02T00:00:00Z');
const DIED = new Date(NOW - 1).toISOString();

type Options = { deadLetters?: object[]; askMs?: number; outcome?: (signalId: string) => string };

/** A clock that goes on by what is done, and dead letters that stay where they are. */
const setup = ({ deadLetters = [], askMs = 0, outcome = () => 'redriven' }: Options = {}) => {
  let time = 0;
  const asked: string[] = [];
  const pauses: number[] = [];
  const redriveMany = createRedriveMany({
    every: async function* () {
      for (const [n, change] of deadLetters.entries()) {
        const deadLetter = buildLetter({ signalId: `signal-${n}`, diedAt: DIED, ...change });
        yield { deadLetter: DeadLetterSchema.parse(deadLetter) };
      }
    },
    ask: async (signalId) => {
      asked.push(signalId);
      time += askMs;
      return { kind: outcome(signalId) };
    },
    now: () => new Date(NOW),
    clock: () => time,
    pause: async (ms) => {
      pauses.push(ms);
      time += ms;
    },
  });
  return { redriveMany, asked, pauses };
};
const some = (count: number, change: object = {}) => Array.from({ length: count }, () => change);

describe('createRedriveMatching', () => {
  it('counts what went and what would not be accepted, and says when it began', async () => {
    const outcomes = ['redriven', 'invalid', 'not-found', 'busy', 'under way', 'redriven'];
    const { redriveMany } = setup({
      deadLetters: some(6),
      outcome: (signalId) => outcomes[Number(signalId.slice(-1))] ?? '',
    });

    expect(await redriveMany({}, 'ats')).toEqual({
      ...{ redriven: 2, invalid: 1, more: false, until: new Date(NOW).toISOString() },
    });
  });

  it('leaves what died since it began, or since the run before it did', async () => {
    const deadLetters = [{ diedAt: new Date(NOW).toISOString() }, {}];
    const { redriveMany, asked } = setup({ deadLetters });
    const later = new Date(NOW + 1);
    const earlier = new Date(NOW - 1);

    expect(await redriveMany({ until: later }, 'ats')).toMatchObject({
      ...{ redriven: 1, until: new Date(NOW).toISOString() },
    });
    expect(await redriveMany({ until: earlier }, 'ats')).toMatchObject({
      ...{ redriven: 0, until: earlier.toISOString() },
    });
    expect(asked).toEqual(['signal-1']);
  });

  it('stops after 20 seconds where there is more, and says so', async () => {
    const { redriveMany } = setup({ deadLetters: some(100), askMs: 1_000 });

    expect(await redriveMany({}, 'ats')).toMatchObject({ redriven: 21, more: true });
  });

  it('does not stop before one went, be there ever so many that would not be accepted', async () => {
    const { redriveMany } = setup({
      ...{ deadLetters: some(31), askMs: 1_000 },
      outcome: (signalId) => (signalId === 'signal-30' ? 'redriven' : 'invalid'),
    });

    expect(await redriveMany({}, 'ats')).toMatchObject({
      ...{ redriven: 1, invalid: 30, more: false },
    });
  });

  it('keeps the pace', async () => {
    const { redriveMany, pauses } = setup({ deadLetters: some(100) });

    const run = await redriveMany({}, 'ats', { rate: 0.25 });

    expect(run).toMatchObject({ redriven: 5, more: true });
    expect(pauses).toEqual([4_000, 4_000, 4_000, 4_000, 4_000]);
  });

  it('takes no more than it may, and that is the end', async () => {
    const { redriveMany } = setup({ deadLetters: some(10) });

    expect(await redriveMany({ limit: 3 }, 'ats')).toMatchObject({ redriven: 3, more: false });
  });

  it('stops when it is told to, also between letters that are not meant', async () => {
    const { redriveMany, asked } = setup({ deadLetters: some(10, { code: 'OTHER' }) });
    const signal = AbortSignal.abort();

    expect(await redriveMany({ code: 'FORBIDDEN' }, 'ats', { signal })).toMatchObject({
      ...{ redriven: 0, more: true },
    });
    expect(asked).toEqual([]);
  });
});
