import { readdirSync, readFileSync } from 'node:fs';
import { commandNames } from '../../../src/queue/redis/access.ts';

const FOLDER = new URL('../../../src/queue/redis/lua/', import.meta.url);
const DOCUMENT = new URL('../../../docs/operations/security.md', import.meta.url);

describe('the commands that a process tests when it starts', () => {
  it.each(readdirSync(FOLDER))('%s calls a command → the command is among them', (file) => {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    const called = [...text.matchAll(/\bp?call\('(\w+)'/g)].map(([, name = '']) =>
      name.toLowerCase(),
    );

    expect(commandNames()).toEqual(expect.arrayContaining(called));
  });

  it('the documentation lists the least permissions → these commands, and no others', () => {
    const text = readFileSync(DOCUMENT, 'utf8');
    const [, section = ''] = text.split('### The least permissions');
    const listed = [...section.matchAll(/\+([a-z]+)/g)].map(([, name]) => name);

    expect(new Set(listed)).toEqual(
      new Set(commandNames(['work', 'outcomes', 'replicas']).map((name) => name)),
    );
  });
});
