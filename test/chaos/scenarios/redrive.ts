import { startTcpProxy } from '../../support/tcpProxy.ts';
import { waitFor } from '../../support/waitFor.ts';
import type { Stage } from '../environment.ts';
import type { Worker } from '../processes.ts';
import type { Scenario } from '../scenario.ts';
import { readUnsettled } from '../settle.ts';
import { refuse, take } from '../verdicts.ts';

const LETTERS_WITHIN_MS = 120_000;

/**
 * A worker that is slow with Redis, and with it the dead letters that it has in hand: what it puts back is
 * refused by SEEK and buried by others before its old dead letter is gone.
 */
const hireFar = async ({ crew, redis, onClose }: Stage): Promise<Worker[]> => {
  const road = await startTcpProxy(redis.port);
  onClose(road.stop);
  road.delay(60);
  return crew.hire(1, { REDIS_URL: `redis://127.0.0.1:${road.port}` });
};

/** For as long as there is more, of what had died when it began. */
const redriveAll = async (ats: Stage['ats']) => {
  let until: string | undefined;
  for (;;) {
    const filter = until === undefined ? {} : { until };
    const answer = await ats.call('POST', '/dead-letters/redrive', filter, 90_000);
    if (answer.status !== 202) return answer;
    const run: { more: boolean; until: string } = JSON.parse(answer.text);
    if (!run.more) return answer;
    until ??= run.until;
  }
};

export const redriveKilled: Scenario = {
  ...{ name: 'redrive-killed', load: 2, inShort: true, env: { WORKER_CONCURRENCY: '20' } },
  play: async (stage) => {
    const { ats, crew, seek, history, makeSignals, random, scale, last, startApi } = stage;
    const { concurrency, demand } = stage;
    const signals = makeSignals(scale(2_500, 300));
    seek.behave(() => refuse('FORBIDDEN'));
    await startApi();
    await crew.hire(3);
    await ats.insist(signals);
    const deadLettered = async () => {
      const { waiting, active, retrying, unburied, moving } = await readUnsettled(stage);
      return waiting + active + retrying + unburied + moving === 0;
    };
    await waitFor(deadLettered, {
      timeoutMs: LETTERS_WITHIN_MS,
      everyMs: 200,
      what: 'the burials',
    });
    const deadLetters = (await ats.deadLetters()).length;
    demand(
      deadLetters === signals.length,
      `${deadLetters} letters of ${signals.length} refused signals`,
    );

    // Some are let go; the rest is put back while workers die, and some of it is refused again.
    const discarded = signals.slice(0, 10);
    for (const { signalId } of discarded) {
      await ats.call('DELETE', `/dead-letters/${signalId}?reason=withdrawn`);
    }
    const hopeless = new Set(signals.filter((_, n) => n % 4 === 0).map(({ mark }) => mark));
    seek.behave((request) =>
      request.marks.some((mark) => hopeless.has(mark)) ? refuse('FORBIDDEN') : take(request, 20),
    );
    const [far] = await hireFar(stage);
    const before = history.arrivals.length;
    const redriving = redriveAll(ats);
    await stage.until(() => history.arrivals.length > before, 30_000);
    // Somebody lets go of dead letters as they come and go; which of them it was in time for, the answer says.
    const late = new Set<string>();
    for (let round = scale(10, 4); round > 0; round -= 1) {
      for (const { mark, signalId } of Array.from({ length: 20 }, () => random.pick(signals))) {
        const answer = await ats.call('DELETE', `/dead-letters/${signalId}?reason=withdrawn`);
        if (answer.status !== 404 && answer.status !== 409) late.add(mark);
      }
      await crew.kill(random.pick(crew.present().filter((worker) => worker !== far)));
      crew.call();
      await last(800);
    }
    const { status, text } = await redriving;
    demand(status === 202, `the redrive was answered with ${status} ${text}`);
    const gone = new Set(discarded.map(({ mark }) => mark));
    const arrived = history.arrivals.slice(before).flatMap(({ marks }) => marks);
    demand(!arrived.some((mark) => gone.has(mark)), 'a discarded signal was sent all the same');

    return () => ({
      duplicates: crew.killed() * concurrency,
      mayDie: (mark) => (hopeless.has(mark) && !gone.has(mark) ? ['FORBIDDEN'] : []),
      maySkip: (mark, reason) =>
        (gone.has(mark) || late.has(mark)) && reason.endsWith(': withdrawn'),
    });
  },
};
