/** Which may follow which. */
export type Transitions = readonly (readonly [from: string, to: string])[];

/**
 * Puts the statuses of a graph into one order, the first of them first: what leads to a status stands
 * before it, and where that leaves a choice, they keep the order in which they were given. In a graph
 * with ways back not all of that can be had, so there one that is led to need not wait for the rest.
 */
export const orderByTransitions = (ids: readonly string[], transitions: Transitions): string[] => {
  const [first] = ids;
  const before = new Map(ids.map((id): [string, Set<string>] => [id, new Set()]));
  for (const [from, to] of transitions) {
    if (from !== to && to !== first) before.get(to)?.add(from);
  }

  const ordered = new Set<string>();
  const left = new Set(ids);
  const missing = (id: string) =>
    [...(before.get(id) ?? [])].filter((each) => left.has(each)).length;
  const isReached = (id: string) => [...(before.get(id) ?? [])].some((each) => ordered.has(each));
  while (left.size > 0) {
    const choice = [...left];
    const next = choice.find((id) => missing(id) === 0) ?? choice.find(isReached) ?? choice[0];
    if (next === undefined) break;
    ordered.add(next);
    left.delete(next);
  }
  return [...ordered];
};
