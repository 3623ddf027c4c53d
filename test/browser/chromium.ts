import { type Browser, chromium } from 'playwright-core';

import { findCommand } from '../support/findCommand.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Starts the Chromium that is installed. Downloads nothing. */
export const startChromium = (): Promise<Browser> => {
  const executablePath = findCommand(NAMES);
  if (executablePath === undefined) {
    throw new Error('Found no Chromium: `npm run setup:browser` installs one.');
  }
  // Chromium has no sandbox for root, as which tests may run in a container. The pages are our own.
  return chromium.launch({ executablePath, chromiumSandbox: false });
};
