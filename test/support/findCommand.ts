import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The path of the first of these commands that exists, searched in `PATH` and then in `folders`. */
export const findCommand = (
  names: readonly string[],
  folders: readonly string[] = [],
): string | undefined =>
  // biome-ignore lint/style/noProcessEnv: PATH is where commands are installed.
  [...(process.env.PATH ?? '').split(delimiter), ...folders]
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(isExecutable);
