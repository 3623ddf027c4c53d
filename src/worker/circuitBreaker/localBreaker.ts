import type { Logger } from '../../observability/logger.ts';
import { type Failure, type Pauses, pauseMs } from './transitions.ts';

type Deps = {
  pauses: Pauses;
  /** Called when this worker may try again, and when it stays away. */
  onTurn: () => void;
  logger: Pick<Logger, 'warn'>;
};

/** This worker's own way to SEEK: where that alone is in trouble, it stays away by itself. */
export const createLocalBreaker = ({ pauses, onTurn, logger }: Deps) => {
  const doubt = createFalsePositives();
  let away: 'no' | 'yes' | 'trying' = 'no';
  let returning: NodeJS.Timeout | undefined;

  return {
    /** How many signals may be taken, as far as this goes. */
    slots: (): 'none' | 'one' | 'all' => (away === 'no' ? 'all' : away === 'yes' ? 'none' : 'one'),
    isAvoided: (): boolean => away === 'yes',
    isTried: (): boolean => away === 'trying',
    /** Whether trouble is more likely ours than SEEK's. */
    isDoubtful: (): boolean => doubt.degree() > 0,
    ...{ saidSo: doubt.saidSo, contradicted: doubt.contradicted },

    avoid: ({ code, reason }: Failure): void => {
      // The others that were under way come to the same.
      if (away === 'yes') return;
      if (away === 'trying') doubt.confirmed();
      away = 'yes';
      const waitMs = pauseMs(doubt.degree(), pauses);
      logger.warn({ code, reason, pauseMs: waitMs }, 'delivery.suspendedLocally');
      clearTimeout(returning);
      returning = setTimeout(() => {
        away = 'trying';
        onTurn();
      }, waitMs);
      onTurn();
    },

    /** What was under way when it was told to stay away says nothing new. */
    cleared: (): void => {
      if (away === 'yes') return;
      doubt.cleared();
      away = 'no';
      onTurn();
    },

    stop: (): void => clearTimeout(returning),
  };
};

// Twice may be an accident.
const ENOUGH = 2;

/**
 * Whether SEEK is in trouble or only this worker's way to it. A worker on whose word the lane was
 * closed again and again, for others to find it clear, has reason to think that it is the worker.
 */
export const createFalsePositives = () => {
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
