import type { Stage } from '../environment.ts';
import { type OutboxAts, openOutboxAts } from '../outboxProducers.ts';
import type { Scenario } from '../scenario.ts';
import { takeSlowly } from './takeSlowly.ts';

const WORKERS = 2;
const EMPTY_WITHIN_MS = 90_000;

const countRows = async (outbox: OutboxAts, where: string): Promise<number> => {
  const [row] = await outbox.query(
    `SELECT count(*)::int AS rows FROM seek_signals.outbox WHERE ${where}`,
  );
  return Number(row?.rows);
};

const untilMoved = async (stage: Stage, outbox: OutboxAts): Promise<void> => {
  const isMoved = async () => (await countRows(outbox, "state = 'pending'").catch(() => 1)) === 0;
  stage.demand(await stage.until(isMoved, EMPTY_WITHIN_MS), 'rows are left in the outbox');
};

export const outboxKilled: Scenario = {
  ...{ name: 'outbox-killed', load: 2, inShort: true },
  play: async (stage) => {
    const { crew, makeSignals, random, scale, last, startApi, concurrency, redis, client } = stage;
    takeSlowly(stage, 10, 60);
    // The promise is about what Redis has written down: everysec may still have to.
    await client.config('SET', 'appendfsync', 'always');
    const outbox = await openOutboxAts(stage);
    await startApi();
    await crew.hire(WORKERS);
    for (let relay = 0; relay < 2; relay += 1) outbox.startRelay();

    const signals = makeSignals(scale(6_000, 900));
    const third = Math.ceil(signals.length / 3);
    const offering = stage.meanwhile(
      Promise.all(
        [0, 1, 2].map((n) => outbox.offer(signals.slice(n * third, (n + 1) * third), random.of(n))),
      ),
    );
    const harms = [
      async () => {
        const [relay] = outbox.relays();
        await relay?.end('SIGKILL');
        outbox.startRelay();
      },
      async () => {
        await crew.kill(random.pick(crew.present()));
        crew.call();
      },
      () => outbox.postgres.restart(),
      async () => {
        await outbox.postgres.freeze();
        await last(scale(5_000, 1_500));
        await outbox.postgres.thaw();
      },
      async () => {
        await redis.kill();
        await last(scale(2_000, 500));
        await redis.restart();
        await client.config('SET', 'appendfsync', 'always');
      },
    ];
    let redisKills = 0;
    for (let round = 0; round < scale(3, 1); round += 1) {
      for (const [number, harm] of harms.entries()) {
        await last(random.between(300, 1_200));
        await harm();
        if (number === harms.length - 1) redisKills += 1;
      }
    }
    await offering;
    await untilMoved(stage, outbox);

    return () => ({ duplicates: (crew.killed() + redisKills * WORKERS) * concurrency });
  },
};

export const outboxWiped: Scenario = {
  ...{ name: 'outbox-wiped', load: 1, inShort: true },
  play: async (stage) => {
    const { ats, crew, makeSignals, random, scale, startApi, client, history, concurrency } = stage;
    takeSlowly(stage, 40, 200);
    const outbox = await openOutboxAts(stage, { OUTBOX_TRACK_OUTCOMES: 'true' });
    await startApi();
    await crew.hire(WORKERS);
    outbox.startRelay();
    const offering = stage.meanwhile(outbox.offer(makeSignals(scale(3_000, 600)), random));
    await stage.until(() => history.marks().length > scale(500, 100), 60_000);

    await client.flushall();
    await offering;
    await untilMoved(stage, outbox);
    // Whose row does not say yet that SEEK has them may be sent again.
    const open = new Set(
      (await outbox.query("SELECT signal_id FROM seek_signals.outbox WHERE state = 'queued'")).map(
        ({ signal_id: signalId }) => signalId,
      ),
    );
    const untold = [...ats.accepted.values()].filter(
      ({ signalId, mark }) => open.has(signalId) && history.took(mark),
    ).length;
    const { code, stdout, stderr } = await stage.run(['outbox', 'reconcile'], outbox.settings);
    stage.demand(code === 0, `reconcile ended with ${code}: ${stdout}${stderr}`);
    const isSettled = async () => (await countRows(outbox, "state = 'queued'")) === 0;
    stage.demand(await stage.until(isSettled, 90_000), 'the ledger does not hear of all');

    // What was delivered before is known to the ledger alone.
    const rows = await outbox.query(
      "SELECT signal_id FROM seek_signals.outbox WHERE state = 'delivered'",
    );
    const told = new Set(rows.map(({ signal_id: signalId }) => signalId));
    const lookup = await ats.lookup([...ats.accepted.keys()]);
    for (const [signalId, one] of ats.accepted) {
      if (lookup.get(signalId) !== undefined) continue;
      stage.demand(told.has(signalId) && history.took(one.mark), `${signalId} is lost`);
      ats.accepted.delete(signalId);
      ats.unsure.set(signalId, one);
    }

    return () => ({ duplicates: untold + WORKERS * concurrency });
  },
};
