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

/** Where the first of these commands is: in PATH, or else in one of these folders. */
export const findCommand = (
  names: readonly string[],
  folders: readonly string[] = [],
): string | undefined =>
  // biome-ignore lint/style/noProcessEnv: where to look for it.
  [...(process.env.PATH ?? '').split(delimiter), ...folders]
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(isExecutable);
