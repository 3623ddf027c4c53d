export type Options = {
  /** Runs fewer signals and rounds, and no scenario that waits for locks to expire. */
  short: boolean;
  only: string | undefined;
  seed: number;
};

/** Reads the options of `npm run test:chaos`, which `run.js` passes as variables. */
export const readOptions = (): Options => {
  // biome-ignore lint/style/noProcessEnv: the only place that reads these variables.
  const { CHAOS_SHORT, CHAOS_ONLY, CHAOS_SEED } = process.env;
  const seed = CHAOS_SEED === undefined ? Date.now() % 1_000_000_000 : Number(CHAOS_SEED);
  if (!Number.isSafeInteger(seed)) {
    throw new Error(`--seed must be a whole number, but is ${CHAOS_SEED}`);
  }
  return { short: CHAOS_SHORT === '1', only: CHAOS_ONLY || undefined, seed };
};
