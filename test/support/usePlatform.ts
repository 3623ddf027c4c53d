import type { Platform } from './platforms.ts';
import { type Dispatcher, startDispatcher } from './startDispatcher.ts';

/**
 * Within a `describe`: one platform for all its tests, and a dispatcher for each that asks for one,
 * stopped after it. `stop` ends it sooner.
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
