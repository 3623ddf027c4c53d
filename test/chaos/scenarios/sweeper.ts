import { waitFor } from '../../support/waitFor.ts';
import type { Stage } from '../environment.ts';
import type { Scenario } from '../scenario.ts';
import { refuse, take } from '../verdicts.ts';

// What the add of a dead letter carries, and nothing else that workers tell Redis.
const BURIAL = '"burial":{';

const LETTERS_WITHIN_MS = 120_000;

/** Which signals lie in both queues: added to the dead letters, not removed from where they failed. */
const inBetween = async ({ client, key }: Stage): Promise<string[]> => {
  const failed = await client.zrange(key('signals', 'failed'), '0', '-1');
  const lettered = await Promise.all(failed.map((id) => client.exists(key('dead-letters', id))));
  return failed.filter((_, index) => lettered[index] === 1);
};

type Landing = 'hold' | 'drop';

/** The undertaker adds a dead letter; Redis gets it, or does not; and the worker dies before it hears. */
const killAtNextBurial = async ({ crew, redisRoad }: Stage, landing: Landing): Promise<void> => {
  const [worker] = crew.present();
  if (worker === undefined) throw new Error('nobody to kill');
  redisRoad.watch((text, link) => {
    if (!text.includes(BURIAL)) return;
    link[landing]();
    void crew.kill(worker);
  });
  const dies = () => !worker.isRunning();
  await waitFor(dies, { timeoutMs: 60_000, what: 'a burial that kills its undertaker' });
  redisRoad.watch(undefined);
};

export const undertakerKilled: Scenario = {
  ...{ name: 'undertaker-killed', load: 1, inShort: true, env: { WORKER_CONCURRENCY: '5' } },
  play: async (stage) => {
    const { ats, crew, seek, makeSignals, scale, startApi, concurrency, demand } = stage;
    const { short, letTimePass } = stage;
    const good = makeSignals(scale(100, 30));
    const refused = makeSignals(scale(100, 30));
    const bad = new Set(refused.map(({ mark }) => mark));
    seek.behave((request) =>
      request.marks.some((mark) => bad.has(mark)) ? refuse('FORBIDDEN') : take(request, 20),
    );
    await startApi();
    await ats.insist(refused.flatMap((one, place) => [one, good[place] ?? one]));

    const caught = new Set<string>();
    for (let round = scale(12, 4); round > 0; round -= 1) {
      const hired = crew.hire();
      await waitFor(() => crew.present().length > 0, { what: 'an undertaker' });
      // Every third add gets lost on its way: an undertaker that removed first would be found out.
      await killAtNextBurial(stage, round % 3 === 0 ? 'drop' : 'hold');
      await hired.catch(() => {});
      for (const signalId of await inBetween(stage)) caught.add(signalId);
    }
    demand(caught.size > 0, 'no undertaker was caught between its two steps');

    // Somebody presses Retry on half of them, mended meanwhile, while they lie in both queues.
    const redriven = [...caught].filter((_, place) => place % 2 === 0);
    for (const one of refused) if (redriven.includes(one.signalId)) bad.delete(one.mark);
    // A dead letter that a dead worker has in hand is busy, and pressed again.
    const press = (signalId: string) => async () =>
      (await ats.call('POST', `/dead-letters/${signalId}/redrive`)).status === 202;
    const pressing = Promise.all(redriven.map((id) => stage.until(press(id), LETTERS_WITHIN_MS)));
    if (short) await letTimePass();
    await crew.hire(2);
    demand((await pressing).every(Boolean), 'a letter could not be redriven');
    const delivered = async () =>
      (await Promise.all(redriven.map(ats.find))).every((record) => record?.state === 'delivered');
    demand(await stage.until(delivered, LETTERS_WITHIN_MS), 'a redriven letter was not delivered');

    return () => ({
      duplicates: crew.killed() * concurrency,
      mayDie: (mark) => (bad.has(mark) ? ['FORBIDDEN'] : []),
    });
  },
};
