import type { Heartbeat } from '../../src/queue/workerStats.ts';
import { createHeartbeat } from '../../src/worker/heartbeat.ts';
import { waitFor } from '../support/waitFor.ts';

describe('the heartbeat of a worker', () => {
  const setup = (failures = 0) => {
    const told: Heartbeat[] = [];
    const left: string[] = [];
    let failing = failures;
    const heartbeat = createHeartbeat({
      workerStats: {
        recordHeartbeat: async (recordHeartbeat) => {
          failing -= 1;
          if (failing >= 0) throw new Error('away');
          told.push(recordHeartbeat);
        },
        removeWorker: async (worker) => {
          left.push(worker);
        },
      },
      worker: 'host:1',
      everyMs: 1,
    });
    return { heartbeat, told, left };
  };

  it('says at once that it is alive', async () => {
    const { heartbeat, told } = setup();

    await waitFor(async () => told.length > 0);
    await heartbeat.close();

    expect(told[0]).toEqual({ worker: 'host:1', answers: {} });
  });

  it('tells each answer once, the last of them when it leaves', async () => {
    const { heartbeat, told, left } = setup();
    heartbeat.count('delivered');
    heartbeat.count('delivered');
    await waitFor(async () => told.some(({ answers }) => answers.delivered === 2));
    heartbeat.count('HTTP_503');

    await heartbeat.close();

    const all = told.flatMap(({ answers }) => Object.entries(answers));
    expect(all).toEqual([
      ['delivered', 2],
      ['HTTP_503', 1],
    ]);
    expect(left).toEqual(['host:1']);
  });

  it('keeps what the queue did not take', async () => {
    const { heartbeat, told } = setup(3);
    heartbeat.count('UNREACHABLE');
    await waitFor(async () => told.length > 0);
    await heartbeat.close();

    const all = told.flatMap(({ answers }) => Object.entries(answers));
    expect(all).toEqual([['UNREACHABLE', 1]]);
  });
});
