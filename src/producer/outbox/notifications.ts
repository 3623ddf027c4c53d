import { CHANNEL } from './migrations.ts';
import type { Postgres } from './postgres.ts';

const RECONNECT_INTERVAL_MS = 2_000;

type Deps = { listen: Postgres['listen']; onNotified: () => void };

/**
 * Calls `onNotified` when rows are committed to the outbox, and reconnects after a loss. Notifications only
 * shorten the delay: the relay polls as well, and loses no row without them.
 */
export const listenForRows = ({ listen, onNotified }: Deps) => {
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let listener: { close: () => Promise<void> } | undefined;

  const open = async (): Promise<void> => {
    let isLost = false;
    const onLost = (): void => {
      if (isLost) return;
      isLost = true;
      listener = undefined;
      if (!isClosed) timer = setTimeout(() => void open(), RECONNECT_INTERVAL_MS);
    };
    try {
      const opened = await listen(CHANNEL, onNotified, onLost);
      if (isClosed) await opened.close();
      else listener = opened;
      // Rows may have been committed before the connection was open.
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
      await listener?.close();
    },
  };
};
