import { type Job, WaitingError } from 'bullmq';
import { SIGNALS } from '../../../src/queue/backend.ts';
import { holdWhileInDoubt } from '../../../src/queue/redis/holdWhileInDoubt.ts';

const setup = ({ waited, storedLock }: { waited: boolean; storedLock: string | null }) => {
  const deps = {
    watch: { untilSettled: async () => waited },
    client: { get: async (key: unknown) => (key === '{p}:signals:id:lock' ? storedLock : null) },
    prefix: '{p}',
    name: SIGNALS,
  } as const;
  const run = holdWhileInDoubt(deps, async () => 'sent');
  return () => run({ id: 'id' } as Job, 'lock', undefined);
};

describe('a job of a server that the Sentinels may replace', () => {
  it('no doubt → runs, without a look at its lock', async () => {
    await expect(setup({ waited: false, storedLock: null })()).resolves.toBe('sent');
  });

  it('the doubt has passed, and the lock is held → runs', async () => {
    await expect(setup({ waited: true, storedLock: 'lock' })()).resolves.toBe('sent');
  });

  it.each([null, 'another worker'])(
    'the present master stores the lock %p → does not run: its worker sends the signal',
    async (storedLock) => {
      await expect(setup({ waited: true, storedLock })()).rejects.toThrow(WaitingError);
    },
  );
});
