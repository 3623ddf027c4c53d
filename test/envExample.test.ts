import { readFileSync } from 'node:fs';

import { loadConfig } from '../src/config.ts';

const LINE = /^(?:# )?([A-Z][A-Z_]+)=(.*)$/;

const setting = (line: string) => {
  const [, name, value] = LINE.exec(line) ?? [];
  return name === undefined ? [] : [{ name, value: value ?? '', needed: !line.startsWith('#') }];
};

describe('.env.example', () => {
  const settings = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
    .split('\n')
    .flatMap(setting);

  it('names every variable once, and no other', () => {
    const source = readFileSync(new URL('../src/config.ts', import.meta.url), 'utf8');
    const variables = source.match(/^ {2}[A-Z][A-Z_]+(?=: )/gm)?.map((name) => name.trim());

    expect(settings.map(({ name }) => name).sort()).toEqual(variables?.sort());
  });

  it('states the defaults that the code has', () => {
    const defaults: Record<string, unknown> = { ...loadConfig({}) };

    for (const { name, value } of settings) {
      expect({ name, value: String(defaults[name] ?? '') }).toEqual({ name, value });
    }
  });

  it('leaves uncommented only what has no default', () => {
    for (const { name, value, needed } of settings) {
      expect({ name, empty: value === '' || !needed }).toEqual({ name, empty: true });
    }
  });
});
