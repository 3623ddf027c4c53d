import type { Commands, Env } from '../support/commands.ts';
import { waitFor } from '../support/waitFor.ts';

export type StartedProcess = ReturnType<Commands['start']>;

export type WorkerProcess = StartedProcess & {
  /** Its user agent, by which SEEK's history names it. */
  name: string;
};

const START_TIMEOUT_MS = 60_000;

type Deps = { start: Commands['start']; env: Env };

/** The worker processes of a deployment. */
export const createWorkerProcesses = ({ start: startProcess, env }: Deps) => {
  const workers: WorkerProcess[] = [];
  const killed = new Set<WorkerProcess>();

  /** Does not wait until the worker has started. */
  const spawn = (more: Env = {}): WorkerProcess => {
    const name = `chaos/worker-${workers.length + 1}`;
    const started = startProcess(['worker'], { ...env, SEEK_USER_AGENT: name, ...more });
    const worker = { ...started, name };
    workers.push(worker);
    return worker;
  };

  const untilStarted = (worker: WorkerProcess) =>
    waitFor(
      () => {
        const { stdout, stderr } = worker.written;
        if (!worker.isRunning() && !stdout.includes('Worker started')) {
          throw new Error(`${worker.name} did not start: ${stdout}${stderr}`);
        }
        return stdout.includes('Worker started');
      },
      { timeoutMs: START_TIMEOUT_MS, everyMs: 50, what: `${worker.name} to start` },
    );

  const start = async (count = 1, more: Env = {}): Promise<WorkerProcess[]> => {
    const spawned = Array.from({ length: count }, () => spawn(more));
    await Promise.all(spawned.map(untilStarted));
    return spawned;
  };

  const kill = async (worker: WorkerProcess): Promise<void> => {
    if (!worker.isRunning()) return;
    killed.add(worker);
    await worker.end('SIGKILL');
  };

  return {
    spawn,
    start,
    kill,
    untilStarted,
    running: (): WorkerProcess[] => workers.filter((worker) => worker.isRunning()),
    all: (): readonly WorkerProcess[] => workers,
    byName: (name: string): WorkerProcess | undefined =>
      workers.find((worker) => worker.name === name),
    countKilled: (): number => killed.size,
  };
};
