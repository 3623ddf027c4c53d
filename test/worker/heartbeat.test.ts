import type { Heartbeat } from '../../src/queue/workerStats.ts';
import { createHeartbeat } from '../../src/worker/heartbeat.ts';
import { waitFor } from '../support/waitFor.ts';

describe('heartbeat', () => {
  const setup = (failures = 0) => {
    const recorded: Heartbeat[] = [];
    const removed: string[] = [];
    let failing = failures;
    const heartbeat = createHeartbeat({
      workerStats: {
        recordHeartbeat: async (given) => {
          failing -= 1;
          if (failing >= 0) throw new Error('queue unavailable');
          recorded.push(given);
        },
        removeWorker: async (worker) => {
          removed.push(worker);
        },
      },
      worker: 'host:1',
      intervalMs: 1,
    });
    return { heartbeat, recorded, removed };
  };

  it('start → is recorded at once', async () => {
    const { heartbeat, recorded } = setup();

    await waitFor(async () => recorded.length > 0);
    await heartbeat.close();

    expect(recorded[0]).toEqual({ worker: 'host:1', answers: {} });
  });

  it('counted outcomes → each is recorded once, the last of them on close', async () => {
    const { heartbeat, recorded, removed } = setup();
    heartbeat.count('delivered');
    heartbeat.count('delivered');
    await waitFor(async () => recorded.some(({ answers }) => answers.delivered === 2));
    heartbeat.count('HTTP_503');

    await heartbeat.close();

    const all = recorded.flatMap(({ answers }) => Object.entries(answers));
    expect(all).toEqual([
      ['delivered', 2],
      ['HTTP_503', 1],
    ]);
    expect(removed).toEqual(['host:1']);
  });

  it('queue rejects a heartbeat → its counts are part of the next one', async () => {
    const { heartbeat, recorded } = setup(3);
    heartbeat.count('UNREACHABLE');
    await waitFor(async () => recorded.length > 0);
    await heartbeat.close();

    const all = recorded.flatMap(({ answers }) => Object.entries(answers));
    expect(all).toEqual([['UNREACHABLE', 1]]);
  });
});
