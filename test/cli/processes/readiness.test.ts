import { checkNeed, createReadiness, type Need } from '../../../src/cli/processes/readiness.ts';
import { explainLocalFailure } from '../../../src/queue/failure.ts';
import { captureLogs } from '../../support/captureLogs.ts';

const { jest } = import.meta;

const refusal = () => Object.assign(new Error('Not enough replicas'), { code: 'NOREPLICAS' });

const setup = (ask: () => Promise<unknown>) => {
  const logs = captureLogs();
  const explain = explainLocalFailure;
  const other = { name: 'database', ask: async () => {}, explain };
  const checkReady = createReadiness([{ name: 'queue', ask, explain }, other], logs.logger);
  return { checkReady, messages: () => logs.lines().map(({ msg }) => msg), logs };
};

describe('the readiness check', () => {
  it('every requirement is met → ready', async () => {
    await expect(setup(async () => {}).checkReady()).resolves.toBeUndefined();
  });

  it('a requirement is refused → the code, and no text of the refusal', async () => {
    const { checkReady } = setup(async () => Promise.reject(refusal()));

    await expect(checkReady()).resolves.toEqual({
      code: 'NOREPLICAS',
      message: 'The queue is unavailable',
    });
  });

  it('refused repeatedly, then met → each change is logged once', async () => {
    let isRefused = true;
    const { checkReady, messages } = setup(async () => {
      if (isRefused) throw refusal();
    });

    await checkReady();
    await checkReady();
    isRefused = false;
    await checkReady();
    await checkReady();

    expect(messages()).toEqual(['Not ready', 'Ready again']);
  });

  it('a requirement that never answers → TIMEOUT after two seconds, and one question for all checks', async () => {
    jest.useFakeTimers();
    try {
      let asked = 0;
      const { checkReady } = setup(() => {
        asked += 1;
        return new Promise(() => {});
      });
      const checks = [checkReady(), checkReady()];
      await jest.advanceTimersByTimeAsync(2_000);
      const later = checkReady();
      await jest.advanceTimersByTimeAsync(2_000);

      for (const check of [...checks, later]) {
        await expect(check).resolves.toMatchObject({ code: 'TIMEOUT' });
      }
      expect(asked).toBe(1);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('what a process needs of the queue', () => {
  it.each<{ need: Need; asks: string[] }>([
    { need: 'read', asks: ['read'] },
    { need: 'write', asks: ['write'] },
    { need: 'accept', asks: ['write', 'replicas'] },
  ])('$need → asks for $asks', async ({ need, asks }) => {
    const asked: string[] = [];
    const record = (name: string) => async () => {
      asked.push(name);
    };

    await checkNeed(need, {
      checkRead: record('read'),
      checkWrite: record('write'),
      waitForReplicas: record('replicas'),
    });

    expect(asked).toEqual(asks);
  });
});
