import {
  createClosers,
  noLaterFailure,
  runUntilTerminated,
  terminated,
} from '../../src/runtime/lifecycle.ts';
import { captureLogs } from '../support/captureLogs.ts';

const { jest } = import.meta;

const setup = () => {
  const logs = captureLogs();
  const closers = createClosers(logs.logger);
  const closed: string[] = [];
  const add = (name: string, close: () => Promise<unknown> = async () => {}) =>
    closers.add(name, async () => {
      closed.push(name);
      await close();
    });

  return { closers, closed, add, logs };
};

const never = () => new Promise(() => {});

describe('closers.closeAll', () => {
  it('several resources → closes them in reverse order of opening', async () => {
    const { closers, closed, add } = setup();
    for (const name of ['redis', 'queue', 'worker']) add(name);

    await closers.closeAll();

    expect(closed).toEqual(['worker', 'queue', 'redis']);
  });

  it('a resource that takes time to close → the next one waits for it', async () => {
    const { closers, closed, add } = setup();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    add('redis');
    add('worker', () => gate);

    const closing = closers.closeAll();
    await Promise.resolve();
    expect(closed).toEqual(['worker']);
    release();
    await closing;

    expect(closed).toEqual(['worker', 'redis']);
  });

  it('a resource that fails to close → is logged, and the rest are closed', async () => {
    const { closers, closed, add, logs } = setup();
    add('redis');
    add('queue', () => Promise.reject(new Error('already closed')));
    closers.add('worker', () => {
      throw new Error('thrown at once');
    });

    await closers.closeAll();

    expect(closed).toEqual(['queue', 'redis']);
    expect(logs.lines()).toMatchObject([
      { level: 'error', name: 'worker', err: { message: 'thrown at once' } },
      { level: 'error', name: 'queue', err: { message: 'already closed' } },
    ]);
  });

  it('called several times → closes each resource once', async () => {
    const { closers, closed, add } = setup();
    add('redis');

    await Promise.all([closers.closeAll(), closers.closeAll()]);
    await closers.closeAll();

    expect(closed).toEqual(['redis']);
  });
});

describe('terminated', () => {
  const NAMES = ['SIGTERM', 'SIGINT'] as const;
  const others = NAMES.flatMap((name) => process.listeners(name));
  afterEach(() => {
    for (const name of NAMES) {
      for (const own of process.listeners(name)) {
        if (!others.includes(own)) process.off(name, own);
      }
    }
  });

  it.each(NAMES)('%s → resolves with the name and does not exit', async (name) => {
    const exits: number[] = [];
    const termination = terminated((code) => exits.push(code));

    process.emit(name, name);

    await expect(termination).resolves.toBe(name);
    expect(exits).toEqual([]);
  });

  it.each([
    ['SIGTERM', 'SIGTERM', 143],
    ['SIGTERM', 'SIGINT', 130],
    ['SIGINT', 'SIGINT', 130],
  ] as const)('%s, then %s → exits at once with %i', async (first, second, code) => {
    const exits: number[] = [];
    void terminated((each) => exits.push(each));

    process.emit(first, first);
    process.emit(second, second);

    expect(exits).toEqual([code]);
  });
});

describe('runUntilTerminated', () => {
  const terminable = () => {
    let terminate = (_: NodeJS.Signals) => {};
    const termination = new Promise<NodeJS.Signals>((resolve) => {
      terminate = resolve;
    });
    return { termination, terminate };
  };

  it('termination → closes everything and exits 0', async () => {
    const { closers, closed, add, logs } = setup();
    const { termination, terminate } = terminable();
    add('redis');

    const exit = runUntilTerminated({
      closers,
      logger: logs.logger,
      termination,
      run: noLaterFailure,
      timeoutMs: 1_000,
    });
    expect(closed).toEqual([]);
    terminate('SIGTERM');

    await expect(exit).resolves.toBe(0);
    expect(closed).toEqual(['redis']);
    expect(logs.lines()).toMatchObject([{ termination: 'SIGTERM' }, { msg: 'Stopped' }]);
  });

  it('a startup check that fails later → logs the reason, closes everything and exits 2', async () => {
    const { closers, closed, add, logs } = setup();
    const { termination } = terminable();
    add('redis');

    const exit = runUntilTerminated({
      closers,
      logger: logs.logger,
      termination,
      timeoutMs: 1_000,
      run: async () => 'Redis may evict signals',
    });

    await expect(exit).resolves.toBe(2);
    expect(closed).toEqual(['redis']);
    expect(logs.lines()[0]).toMatchObject({ level: 'fatal', reason: 'Redis may evict signals' });
  });

  it('termination while the start waits → closes what is open and exits 0', async () => {
    const { closers, closed, add, logs } = setup();
    const { termination, terminate } = terminable();
    add('redis');

    const exit = runUntilTerminated({
      closers,
      logger: logs.logger,
      termination,
      run: () => new Promise(() => {}),
      timeoutMs: 1_000,
    });
    terminate('SIGTERM');

    await expect(exit).resolves.toBe(0);
    expect(closed).toEqual(['redis']);
  });

  it('a start that fails → closes what is open and rejects', async () => {
    const { closers, closed, add, logs } = setup();
    const { termination } = terminable();
    add('redis');

    const exit = runUntilTerminated({
      closers,
      logger: logs.logger,
      termination,
      run: () => Promise.reject(new Error('API_PORT 3000 is in use')),
      timeoutMs: 1_000,
    });

    await expect(exit).rejects.toThrow('API_PORT 3000 is in use');
    expect(closed).toEqual(['redis']);
  });

  it('a resource that does not close in time → exits 1', async () => {
    jest.useFakeTimers();
    try {
      const { closers, add, logs } = setup();
      const { termination, terminate } = terminable();
      add('worker', never);

      const exit = runUntilTerminated({
        closers,
        logger: logs.logger,
        termination,
        run: noLaterFailure,
        timeoutMs: 1_000,
      });
      terminate('SIGINT');
      await jest.advanceTimersByTimeAsync(1_000);

      await expect(exit).resolves.toBe(1);
      expect(logs.lines().at(-1)).toMatchObject({ level: 'error', timeoutMs: 1_000 });
    } finally {
      jest.useRealTimers();
    }
  });
});
