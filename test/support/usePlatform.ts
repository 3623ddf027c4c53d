import type { Platform } from './platforms.ts';
import { type Dispatcher, startDispatcher } from './startDispatcher.ts';

/**
 * Call in a `describe`: starts one platform for all its tests. `setup` starts a dispatcher, which stops
 * after the test, or earlier with `stop`.
 */
export const usePlatform = (start: () => Promise<Platform>) => {
  let platform: Platform;
  let running: Dispatcher | undefined;
  const stop = async (): Promise<void> => {
    const dispatcher = running;
    running = undefined;
    await dispatcher?.stop();
  };

  beforeAll(async () => {
    platform = await start();
  });
  afterEach(stop);
  afterAll(() => platform.stop());

  return {
    stop,
    setup: async (options: Parameters<typeof startDispatcher>[1] = {}): Promise<Dispatcher> => {
      running = await startDispatcher(platform, options);
      return running;
    },
  };
};
