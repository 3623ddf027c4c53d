import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The machine's own: nothing is downloaded. */
export const startChromium = (path: string): Promise<Browser> => {
  const executablePath = path
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find(isExecutable);
  if (executablePath === undefined) {
    throw new Error('No Chromium on this machine: `npm run setup:browser` installs one.');
  }
  // In a container the tests may run as root, whom Chromium gives no sandbox. The pages are our own.
  return chromium.launch({ executablePath, chromiumSandbox: false });
};
