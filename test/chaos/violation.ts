/** A broken promise. */
export type Violation = {
  what: string;
  /** The signals concerned. */
  signalIds: string[];
};

/** Reports the signals that a rule picked out; `undefined` if there are none. */
export const violationOf = (what: string, signalIds: string[]): Violation | undefined =>
  signalIds.length === 0 ? undefined : { what, signalIds };

/** Joins violations with the same text into one. */
export const mergeViolations = (violations: (Violation | undefined)[]): Violation[] => {
  const merged = new Map<string, string[]>();
  for (const violation of violations) {
    if (violation === undefined) continue;
    const { what, signalIds } = violation;
    merged.set(what, [...(merged.get(what) ?? []), ...signalIds]);
  }
  return [...merged].map(([what, signalIds]) => ({ what, signalIds }));
};
