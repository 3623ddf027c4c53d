import { type Browser, chromium } from 'playwright-core';

import { findCommand } from '../support/findCommand.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The machine's own: nothing is downloaded. */
export const startChromium = (): Promise<Browser> => {
  const executablePath = findCommand(NAMES);
  if (executablePath === undefined) {
    throw new Error('No Chromium on this machine: `npm run setup:browser` installs one.');
  }
  // In a container the tests may run as root, whom Chromium gives no sandbox. The pages are our own.
  return chromium.launch({ executablePath, chromiumSandbox: false });
};
