import type { Logger } from '../logging.ts';
import { type Pauses, pauseMs, type Trouble } from './laneRules.ts';
import { createSelfDoubt } from './selfDoubt.ts';

type Deps = {
  pauses: Pauses;
  /** Called when this worker may try again, and when it stays away. */
  onTurn: () => void;
  logger: Pick<Logger, 'warn'>;
};

/** This worker's own way to SEEK: where that alone is in trouble, it stays away by itself. */
export const createOwnRoad = ({ pauses, onTurn, logger }: Deps) => {
  const doubt = createSelfDoubt();
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

    avoid: ({ code, reason }: Trouble): void => {
      // The others that were under way come to the same.
      if (away === 'yes') return;
      if (away === 'trying') doubt.confirmed();
      away = 'yes';
      const waitMs = pauseMs(doubt.degree(), pauses);
      logger.warn({ code, reason, pauseMs: waitMs }, 'lane.avoided');
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
