import { createRedriveMany } from '../../src/deadLetters/redriveMany.ts';
import { DeadLetterSchema } from '../../src/schemas/deadLetter.ts';
import { buildDeadLetter } from '../support/buildSignal.ts';

const NOW = Date.parse('2026-03-02T00:00:00Z');
const DIED = new Date(NOW - 1).toISOString();

type Options = {
  deadLetters?: object[];
  requestMs?: number;
  outcome?: (signalId: string) => string;
};

/** Requests and pauses advance the clock. The dead letters stay where they are. */
const setup = ({ deadLetters = [], requestMs = 0, outcome = () => 'redriven' }: Options = {}) => {
  let time = 0;
  const requested: string[] = [];
  const pauses: number[] = [];
  const redriveMany = createRedriveMany({
    eachOnce: async function* () {
      for (const [n, change] of deadLetters.entries()) {
        const deadLetter = buildDeadLetter({ signalId: `signal-${n}`, diedAt: DIED, ...change });
        yield { deadLetter: DeadLetterSchema.parse(deadLetter) };
      }
    },
    request: async (signalId) => {
      requested.push(signalId);
      time += requestMs;
      return { kind: outcome(signalId) };
    },
    now: () => new Date(NOW),
    clock: () => time,
    pause: async (ms) => {
      pauses.push(ms);
      time += ms;
    },
  });
  return { redriveMany, requested, pauses };
};
const repeat = (count: number, change: object = {}) => Array.from({ length: count }, () => change);

describe('redriveMany', () => {
  it('several outcomes → counts the redriven and the invalid, and states when the run began', async () => {
    const outcomes = ['redriven', 'invalid', 'not-found', 'busy', 'in-progress', 'redriven'];
    const { redriveMany } = setup({
      deadLetters: repeat(6),
      outcome: (signalId) => outcomes[Number(signalId.slice(-1))] ?? '',
    });

    expect(await redriveMany({}, 'ats')).toEqual({
      redriven: 2,
      invalid: 1,
      more: false,
      until: new Date(NOW).toISOString(),
    });
  });

  it('dead letters that died after the first run began → stay', async () => {
    const deadLetters = [{ diedAt: new Date(NOW).toISOString() }, {}];
    const { redriveMany, requested } = setup({ deadLetters });
    const later = new Date(NOW + 1);
    const earlier = new Date(NOW - 1);

    expect(await redriveMany({ until: later }, 'ats')).toMatchObject({
      redriven: 1,
      until: new Date(NOW).toISOString(),
    });
    expect(await redriveMany({ until: earlier }, 'ats')).toMatchObject({
      redriven: 0,
      until: earlier.toISOString(),
    });
    expect(requested).toEqual(['signal-1']);
  });

  it('20 seconds since the first redrive → stops, and reports that there is more', async () => {
    const { redriveMany } = setup({ deadLetters: repeat(100), requestMs: 1_000 });

    expect(await redriveMany({}, 'ats')).toMatchObject({ redriven: 21, more: true });
  });

  it('many invalid dead letters before the first valid one → redrives that one before it stops', async () => {
    const { redriveMany } = setup({
      deadLetters: repeat(31),
      requestMs: 1_000,
      outcome: (signalId) => (signalId === 'signal-30' ? 'redriven' : 'invalid'),
    });

    expect(await redriveMany({}, 'ats')).toMatchObject({
      redriven: 1,
      invalid: 30,
      more: false,
    });
  });

  it('a rate → pauses between redrives', async () => {
    const { redriveMany, pauses } = setup({ deadLetters: repeat(100) });

    const run = await redriveMany({}, 'ats', { rate: 0.25 });

    expect(run).toMatchObject({ redriven: 5, more: true });
    expect(pauses).toEqual([4_000, 4_000, 4_000, 4_000, 4_000]);
  });

  it('a limit → redrives no more, and reports that there is no more', async () => {
    const { redriveMany } = setup({ deadLetters: repeat(10) });

    expect(await redriveMany({ limit: 3 }, 'ats')).toMatchObject({ redriven: 3, more: false });
  });

  it('an abort while no dead letter matches → stops, and reports that there is more', async () => {
    const { redriveMany, requested } = setup({ deadLetters: repeat(10, { code: 'OTHER' }) });
    const signal = AbortSignal.abort();

    expect(await redriveMany({ code: 'FORBIDDEN' }, 'ats', { signal })).toMatchObject({
      redriven: 0,
      more: true,
    });
    expect(requested).toEqual([]);
  });
});
