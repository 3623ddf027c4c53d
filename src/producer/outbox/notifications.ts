import { CHANNEL } from './migrations.ts';
import type { Postgres } from './postgres.ts';

const AGAIN_AFTER_MS = 2_000;

type Deps = { listen: Postgres['listen']; onNotified: () => void };

/** Hears of rows as they are committed, for as long as the database is there. Who does not hear polls. */
export const listenForRows = ({ listen, onNotified }: Deps) => {
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let ear: { close: () => Promise<void> } | undefined;

  const open = async (): Promise<void> => {
    let isLost = false;
    const onLost = (): void => {
      if (isLost) return;
      isLost = true;
      ear = undefined;
      if (!isClosed) timer = setTimeout(() => void open(), AGAIN_AFTER_MS);
    };
    try {
      const opened = await listen(CHANNEL, onNotified, onLost);
      if (isClosed) await opened.close();
      else ear = opened;
      // What was committed while nobody listened.
      onNotified();
    } catch {
      onLost();
    }
  };
  void open();

  return {
    close: async (): Promise<void> => {
      isClosed = true;
      clearTimeout(timer);
      await ear?.close();
    },
  };
};
