type Task = { name: string; load: number };

/**
 * Runs tasks side by side as far as their loads allow, begun in the order given. Each result is had
 * by name; one that fails is nobody else's affair.
 */
export const schedule = <T extends Task, R>(
  tasks: readonly T[],
  capacity: number,
  run: (task: T) => Promise<R>,
): Map<string, Promise<R>> => {
  let free = capacity;
  const waiting: { load: number; go: () => void }[] = [];

  const next = (): void => {
    for (let first = waiting[0]; first !== undefined && first.load <= free; first = waiting[0]) {
      waiting.shift();
      free -= first.load;
      first.go();
    }
  };
  const start = async (task: T): Promise<R> => {
    await new Promise<void>((go) => {
      waiting.push({ load: task.load, go });
    });
    try {
      return await run(task);
    } finally {
      free += task.load;
      next();
    }
  };

  const results = new Map(tasks.map((task) => [task.name, start(task)]));
  // Each is looked at in its turn; none may end the process before that.
  for (const result of results.values()) result.catch(() => {});
  next();
  return results;
};
