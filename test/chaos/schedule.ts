type Task = { name: string; load: number };

/**
 * Runs tasks at the same time while the sum of their loads stays within `capacity`, and starts them in
 * the given order. Returns each task's promise by name; a task that fails does not stop the others.
 */
export const schedule = <T extends Task, R>(
  tasks: readonly T[],
  capacity: number,
  run: (task: T) => Promise<R>,
): Map<string, Promise<R>> => {
  let free = capacity;
  const waiting: { load: number; start: () => void }[] = [];

  const startNext = (): void => {
    for (let first = waiting[0]; first !== undefined && first.load <= free; first = waiting[0]) {
      waiting.shift();
      free -= first.load;
      first.start();
    }
  };
  const runInTurn = async (task: T): Promise<R> => {
    await new Promise<void>((start) => {
      waiting.push({ load: task.load, start });
    });
    try {
      return await run(task);
    } finally {
      free += task.load;
      startNext();
    }
  };

  const results = new Map(tasks.map((task) => [task.name, runInTurn(task)]));
  // A test awaits each result later. Until then a rejection must not end the process.
  for (const result of results.values()) result.catch(() => {});
  startNext();
  return results;
};
