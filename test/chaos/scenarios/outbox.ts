import type { Environment } from '../environment.ts';
import { type OutboxProducer, startOutboxProducer } from '../outboxProducer.ts';
import type { Scenario } from '../scenario.ts';
import { deliverSlowly } from './deliverSlowly.ts';
import { restartRedis, syncEveryWrite } from './redis.ts';

const WORKERS = 2;
const RELAYS = 2;
const PRODUCERS = 3;
const ROWS_TIMEOUT_MS = 90_000;

const countRows = async (outbox: OutboxProducer, where: string): Promise<number> => {
  const [row] = await outbox.query(
    `SELECT count(*)::int AS rows FROM seek_signals.outbox WHERE ${where}`,
  );
  return Number(row?.rows);
};

const signalIdsWhere = async (outbox: OutboxProducer, where: string): Promise<Set<string>> => {
  const rows = await outbox.query(`SELECT signal_id FROM seek_signals.outbox WHERE ${where}`);
  return new Set(rows.map(({ signal_id: signalId }) => signalId));
};

const untilMoved = async (environment: Environment, outbox: OutboxProducer): Promise<void> => {
  const isMoved = async () => (await countRows(outbox, "state = 'pending'").catch(() => 1)) === 0;
  environment.verify(
    await environment.waitUntil(isMoved, ROWS_TIMEOUT_MS),
    'pending rows are left in the outbox',
  );
};

/** Each of them hurts one process; Redis is killed by the last. */
const faultsOf = (environment: Environment, outbox: OutboxProducer) => {
  const { workers, random, scale, pause, redis } = environment;
  return [
    async () => {
      const [relay] = outbox.runningRelays();
      await relay?.end('SIGKILL');
      outbox.startRelay();
    },
    async () => {
      await workers.kill(random.pick(workers.running()));
      workers.spawn();
    },
    () => outbox.postgres.restart(),
    async () => {
      await outbox.postgres.freeze();
      await pause(scale(5_000, 1_500));
      await outbox.postgres.thaw();
    },
    async () => {
      await redis.kill();
      await pause(scale(2_000, 500));
      await restartRedis(environment);
    },
  ];
};

export const outboxKilled: Scenario = {
  name: 'outbox-killed',
  load: 2,
  inShortRun: true,
  run: async (environment) => {
    const { workers, buildSignals, random, concurrency } = environment;
    const { scale, pause, startApi, inBackground } = environment;
    deliverSlowly(environment, 10, 60);
    await syncEveryWrite(environment);
    const outbox = await startOutboxProducer(environment);
    await startApi();
    await workers.start(WORKERS);
    for (let relay = 0; relay < RELAYS; relay += 1) outbox.startRelay();

    const signals = buildSignals(scale(6_000, 900));
    const share = Math.ceil(signals.length / PRODUCERS);
    const inserting = inBackground(
      Promise.all(
        Array.from({ length: PRODUCERS }, (_, n) =>
          outbox.insert(signals.slice(n * share, (n + 1) * share), random.of(n)),
        ),
      ),
    );
    const rounds = scale(3, 1);
    for (let round = 0; round < rounds; round += 1) {
      for (const causeFault of faultsOf(environment, outbox)) {
        await pause(random.between(300, 1_200));
        await causeFault();
      }
    }
    await inserting;
    await untilMoved(environment, outbox);

    // Redis is killed once a round, with the signals of all workers in flight.
    return () => ({ duplicates: (workers.countKilled() + rounds * WORKERS) * concurrency });
  },
};

/** Expects of each signal without a record that its row says `delivered`, and that SEEK processed it. */
const verifyRecordedInOutbox = async (
  { producer, history, verify }: Environment,
  outbox: OutboxProducer,
): Promise<void> => {
  const delivered = await signalIdsWhere(outbox, "state = 'delivered'");
  const lookup = await producer.lookup([...producer.accepted.keys()]);
  for (const [signalId, signal] of producer.accepted) {
    if (lookup.get(signalId) !== undefined) continue;
    verify(delivered.has(signalId) && history.isProcessed(signal.mark), `${signalId} is lost`);
    // The queue has lost its record: the checker must not expect one.
    producer.accepted.delete(signalId);
    producer.uncertain.set(signalId, signal);
  }
};

export const outboxWiped: Scenario = {
  name: 'outbox-wiped',
  load: 1,
  inShortRun: true,
  run: async (environment) => {
    const { producer, workers, buildSignals, random, client, history, concurrency } = environment;
    const { scale, startApi, verify, waitUntil, inBackground } = environment;
    deliverSlowly(environment, 40, 200);
    const outbox = await startOutboxProducer(environment, { OUTBOX_TRACK_OUTCOMES: 'true' });
    await startApi();
    await workers.start(WORKERS);
    outbox.startRelay();
    const inserting = inBackground(outbox.insert(buildSignals(scale(3_000, 600)), random));
    await waitUntil(() => history.marks().length > scale(500, 100), 60_000);

    await client.flushall();
    await inserting;
    await untilMoved(environment, outbox);
    // SEEK has processed these, but their rows do not say so yet: the dispatcher may send them again.
    const queued = await signalIdsWhere(outbox, "state = 'queued'");
    const unrecorded = [...producer.accepted.values()].filter(
      ({ signalId, mark }) => queued.has(signalId) && history.isProcessed(mark),
    ).length;
    const { code, stdout, stderr } = await environment.run(['outbox', 'reconcile'], outbox.env);
    verify(code === 0, `outbox reconcile exited with ${code}: ${stdout}${stderr}`);
    const isRecorded = async () => (await countRows(outbox, "state = 'queued'")) === 0;
    verify(
      await waitUntil(isRecorded, ROWS_TIMEOUT_MS),
      'rows in the outbox still say queued after the reconciliation',
    );
    await verifyRecordedInOutbox(environment, outbox);

    return () => ({ duplicates: unrecorded + WORKERS * concurrency });
  },
};
