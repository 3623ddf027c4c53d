import type { Scenario } from '../scenario.ts';
import { silence, take } from '../verdicts.ts';

const DONE_WITHIN_MS = 300_000;
// "A few": after so many deaths nobody needs to wonder any more whose fault they are.
const FEW_DEATHS = 6;

/** Whoever sends a certain signal dies of it. */
export const deadlySignal: Scenario = {
  ...{ name: 'deadly-signal', load: 1, inShort: true, env: { WORKER_CONCURRENCY: '5' } },
  settleWithinMs: 60_000,
  play: async (stage) => {
    const { ats, crew, seek, makeSignals, short, history, startApi, concurrency, demand } = stage;
    const innocents = makeSignals(60);
    const [deadly] = makeSignals(1);
    if (deadly === undefined) throw new Error('no signal');
    seek.behave((request) => {
      if (!request.marks.includes(deadly.mark)) return take(request, 200);
      const worker = crew.byName(request.by);
      if (worker !== undefined) void crew.kill(worker);
      return silence();
    });
    const wanted = short ? 1 : 2;
    await startApi();
    await crew.hire(wanted);
    await ats.insist(innocents.slice(0, 30));
    await ats.insist([deadly, ...innocents.slice(30)]);

    // The supervisor: who dies is replaced. A short run lets the locks of the dead run out at once.
    const isOver = async () => (await ats.find(deadly.signalId))?.state === 'dead';
    const deadline = Date.now() + (short ? 60_000 : DONE_WITHIN_MS);
    while (!(await isOver()) && Date.now() < deadline) {
      const missing = wanted - crew.present().length;
      if (missing > 0 && short) await stage.letTimePass();
      for (let count = 0; count < missing; count += 1) crew.call();
      await stage.until(() => crew.present().length < wanted, 1_000);
    }
    const deaths = crew.killed();
    demand(deaths <= FEW_DEATHS, `${deaths} workers died of one signal; ${FEW_DEATHS} would do`);
    // Locks take their time, and in all that time the other worker lives.
    const late = innocents.filter(({ mark }) => !history.took(mark)).length;
    demand(short || late === 0, `${late} other signals were kept from SEEK by it`);

    return () => ({
      duplicates: deaths * concurrency,
      mayDie: (mark) => (mark === deadly.mark ? ['STALLED'] : []),
    });
  },
};
