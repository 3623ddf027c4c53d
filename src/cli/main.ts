#!/usr/bin/env node
import { terminated } from '../runtime/lifecycle.ts';

// Before everything else, which takes a quarter of a second to load: until the first process of a
// container listens, the kernel ignores SIGTERM for it. Add no import above that loads other files.
const termination = terminated();
const { runCommand } = await import('./runCommand.ts');

// biome-ignore lint/style/noProcessEnv: the only access to the environment; config.ts reads its values
process.exitCode = await runCommand(process.argv, process.env, termination);
// Ends the process also if something still keeps it open, such as a connection that cannot be closed.
process.stdout.write('', () => process.exit());
