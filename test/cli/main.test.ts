import { readFile } from 'node:fs/promises';

const SRC = new URL('../../src/', import.meta.url);

/** The files of this project, and the packages, that a file loads before its first line runs. */
const loadedBefore = async (file: string, found = new Set<string>()): Promise<Set<string>> => {
  const text = await readFile(new URL(file, SRC), 'utf8');
  for (const [, name = ''] of text.matchAll(/^import (?!type )(?:[^;]*? from )?'([^']+)';/gms)) {
    const path = name.startsWith('.')
      ? new URL(name, new URL(file, SRC)).href.slice(SRC.href.length)
      : name;
    if (found.has(path)) continue;
    found.add(path);
    if (name.startsWith('.')) await loadedBefore(path, found);
  }
  return found;
};

describe('the main file', () => {
  it('listens for SIGTERM → has loaded nothing that takes long', async () => {
    const loaded = await loadedBefore('cli/main.ts');

    expect([...loaded].sort()).toEqual(['node:os', 'runtime/async.ts', 'runtime/lifecycle.ts']);
  });
});
