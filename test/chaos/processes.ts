import type { Commands, Env } from '../support/commands.ts';
import { waitFor } from '../support/waitFor.ts';

type Started = ReturnType<Commands['start']>;

export type Worker = Started & {
  /** As SEEK knows it: its user agent. */
  name: string;
};

const STARTED_WITHIN_MS = 60_000;

/** The workers of a deployment: real processes, to be killed, stopped and woken up. */
export const createCrew = ({ start, env }: { start: Commands['start']; env: Env }) => {
  const workers: Worker[] = [];
  const killed = new Set<Worker>();

  /** Started, but perhaps not yet at work. */
  const call = (more: Env = {}): Worker => {
    const name = `chaos/worker-${workers.length + 1}`;
    const worker = { ...start(['worker'], { ...env, SEEK_USER_AGENT: name, ...more }), name };
    workers.push(worker);
    return worker;
  };

  const atWork = (worker: Worker) =>
    waitFor(
      () => {
        const { stdout, stderr } = worker.written;
        if (!worker.isRunning() && !stdout.includes('Worker started')) {
          throw new Error(`${worker.name} did not start: ${stdout}${stderr}`);
        }
        return stdout.includes('Worker started');
      },
      { timeoutMs: STARTED_WITHIN_MS, everyMs: 50, what: `${worker.name} to start` },
    );

  /** They are at work. */
  const hire = async (count = 1, more: Env = {}): Promise<Worker[]> => {
    const hired = Array.from({ length: count }, () => call(more));
    await Promise.all(hired.map(atWork));
    return hired;
  };

  const kill = async (worker: Worker): Promise<void> => {
    if (!worker.isRunning()) return;
    killed.add(worker);
    await worker.end('SIGKILL');
  };

  return {
    ...{ call, hire, kill, atWork },
    present: (): Worker[] => workers.filter((worker) => worker.isRunning()),
    everybody: (): readonly Worker[] => workers,
    byName: (name: string): Worker | undefined => workers.find((worker) => worker.name === name),
    /** How many were killed. */
    killed: (): number => killed.size,
  };
};

export type Crew = ReturnType<typeof createCrew>;
