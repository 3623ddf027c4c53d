export type Options = {
  /** Smaller, quicker, and without what has to wait for locks to run out. */
  short: boolean;
  only: string | undefined;
  seed: number;
};

/** What `npm run test:chaos` was asked for. */
export const readOptions = (): Options => {
  // biome-ignore lint/style/noProcessEnv: the switches of these tests, read here and nowhere else.
  const { CHAOS_SHORT, CHAOS_ONLY, CHAOS_SEED } = process.env;
  const seed = CHAOS_SEED === undefined ? Date.now() % 1_000_000_000 : Number(CHAOS_SEED);
  if (!Number.isSafeInteger(seed)) throw new Error('The seed must be a whole number');
  return { short: CHAOS_SHORT === '1', only: CHAOS_ONLY || undefined, seed };
};
