/** Something that must not be. */
export type Finding = {
  what: string;
  /** The signals concerned. */
  signalIds: string[];
};

/** A finding about the signals that a rule picks out, if there are any. */
export const about = (what: string, signalIds: string[]): Finding | undefined =>
  signalIds.length === 0 ? undefined : { what, signalIds };

/** The same about several signals is one finding. */
export const merge = (findings: (Finding | undefined)[]): Finding[] => {
  const merged = new Map<string, string[]>();
  for (const finding of findings) {
    if (finding === undefined) continue;
    merged.set(finding.what, [...(merged.get(finding.what) ?? []), ...finding.signalIds]);
  }
  return [...merged].map(([what, signalIds]) => ({ what, signalIds }));
};
