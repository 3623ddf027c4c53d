import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The `globalSetup` of jest. Creates the folder of the build that the test files of one run share. The
 * first test file that needs the commands compiles them; see `commands.ts`.
 */
export default async () => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-test-run-'));
  // biome-ignore lint/style/noProcessEnv: the workers of jest inherit only variables.
  process.env.TEST_BUILD_FOLDER = folder;
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
};
