// Twice may be an accident.
const ENOUGH = 2;

/**
 * Whether SEEK is in trouble or only this worker's way to it. A worker on whose word the lane was
 * closed again and again, for others to find it clear, has reason to think that it is the worker.
 */
export const createSelfDoubt = () => {
  let wrong = 0;
  let saidSo = false;

  return {
    /** The lane was closed on our word. */
    saidSo: (): void => {
      saidSo = true;
    },
    /** Another worker found the lane clear. */
    contradicted: (): void => {
      if (saidSo) wrong += 1;
      saidSo = false;
    },
    /** Our own way is clear. */
    cleared: (): void => {
      wrong = 0;
      saidSo = false;
    },
    /** We stayed away, tried again, and failed again. */
    confirmed: (): void => {
      wrong += 1;
    },
    /** How strongly; 0: not at all. */
    degree: (): number => Math.max(0, wrong - ENOUGH + 1),
  };
};
