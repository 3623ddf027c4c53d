/** Which status may follow which, by id. */
export type Transitions = readonly (readonly [from: string, to: string])[];

/**
 * Orders the statuses of a graph. The first id stays first, and a status comes after all statuses that
 * lead to it; otherwise the given order stays. In a cycle no such order exists: there, a status comes
 * after at least one status that leads to it.
 */
export const orderByTransitions = (ids: readonly string[], transitions: Transitions): string[] => {
  const [first] = ids;
  const predecessors = new Map(ids.map((id): [string, Set<string>] => [id, new Set()]));
  for (const [from, to] of transitions) {
    if (from !== to && to !== first) predecessors.get(to)?.add(from);
  }

  const ordered = new Set<string>();
  const remaining = new Set(ids);
  const predecessorsOf = (id: string) => [...(predecessors.get(id) ?? [])];
  const isReady = (id: string) => !predecessorsOf(id).some((each) => remaining.has(each));
  const isReached = (id: string) => predecessorsOf(id).some((each) => ordered.has(each));
  while (remaining.size > 0) {
    const candidates = [...remaining];
    const next = candidates.find(isReady) ?? candidates.find(isReached) ?? candidates[0];
    if (next === undefined) break;
    ordered.add(next);
    remaining.delete(next);
  }
  return [...ordered];
};
