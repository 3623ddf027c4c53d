import { SIGNALS } from '../../../src/queue/backend.ts';
import { holdWhileInDoubt } from '../../../src/queue/redis/holdWhileInDoubt.ts';
import { buildTakenJob, createMemoryJobSource } from '../../support/memoryJobSource.ts';

const [A, B, C] = ['a', 'b', 'c'].map((id) => buildTakenJob({ id, lock: `lock-${id}` }));

type Locks = Record<string, string>;

const setup = ({ waited = true, locks = {} as Locks, isDown = false } = {}) => {
  const asked: string[][] = [];
  const mget = async (...keys: unknown[]) => {
    asked.push(keys.map(String));
    if (isDown) throw new Error('Connection is closed.');
    return keys.map((key) => locks[String(key)] ?? null);
  };
  const aborts: unknown[] = [];
  const untilSettled = async (abort: unknown) => {
    aborts.push(abort);
    return waited;
  };
  const { source } = createMemoryJobSource();
  const held = holdWhileInDoubt(
    { watch: { untilSettled }, client: { mget }, prefix: '{p}', name: SIGNALS },
    source,
  );
  const abort = new AbortController().signal;
  const jobs = [A, B, C].flatMap((job) => (job === undefined ? [] : [job]));
  return {
    asked,
    aborts,
    abort,
    source,
    held,
    confirm: async (confirmed = jobs) => (await held.confirm(confirmed, abort)).map(({ id }) => id),
  };
};

describe('jobs of a server that the Sentinels may replace', () => {
  it('no doubt → run, without a look at their locks', async () => {
    const { confirm, asked, aborts, abort } = setup({ waited: false });

    expect(await confirm()).toEqual(['a', 'b', 'c']);
    expect([asked, aborts]).toEqual([[], [abort]]);
  });

  it('the doubt has passed → those whose locks the present master stores run: others send the rest', async () => {
    const locks = { '{p}:signals:a:lock': 'lock-a', '{p}:signals:b:lock': 'another worker' };
    const { confirm, asked } = setup({ locks });

    expect(await confirm()).toEqual(['a']);
    expect(asked).toEqual([['{p}:signals:a:lock', '{p}:signals:b:lock', '{p}:signals:c:lock']]);
  });

  it('the doubt has passed, and Redis does not answer → none runs', async () => {
    expect(await setup({ isDown: true }).confirm()).toEqual([]);
  });

  it('no jobs → none, and no question', async () => {
    const { confirm, asked } = setup();

    expect(await confirm([])).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('all other methods → those of the source', () => {
    const { source, held } = setup();

    expect({ ...held, confirm: undefined }).toEqual({ ...source, confirm: undefined });
  });
});
