import { readFileSync } from 'node:fs';

import { loadConfig } from '../../src/config/config.ts';
import { isVariable } from '../../src/config/environment.ts';
import { isReadBy } from '../../src/config/readers.ts';
import { VARIABLES } from '../../src/config/variables.ts';

const COMMANDS = [
  'api',
  'worker',
  'board',
  'relay',
  'simulator',
  'status',
  'show',
  'find',
  'send',
  'dead-letters',
  'tokens',
  'outbox',
] as const;
const LINE = /^(?:# )?([A-Z][A-Z_]+)=(.*)$/;

const setting = (line: string) => {
  const [, name, value] = LINE.exec(line) ?? [];
  return name === undefined ? [] : [{ name, value: value ?? '', needed: !line.startsWith('#') }];
};

describe('.env.example', () => {
  const settings = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
    .split('\n')
    .flatMap(setting);

  it('names every variable once, and no other name', () => {
    expect(settings.map(({ name }) => name).sort()).toEqual(Object.keys(VARIABLES).sort());
  });

  it('states the defaults of the code', () => {
    const defaults: Record<string, unknown> = { ...loadConfig({}) };

    for (const { name, value } of settings) {
      expect({ name, value: String(defaults[name] ?? '') }).toEqual({ name, value });
    }
  });

  it.each(['api', 'worker', 'board', 'relay'])(
    'lists for %s no variable that docker-compose.yml does not pass on',
    (service) => {
      const lines = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').split(
        '\n',
      );
      const readers = (at: number): string => {
        const start = lines.slice(0, at).findLastIndex((line) => !line.startsWith('#')) + 1;
        const text = lines.slice(start, at).join(' ').replaceAll('#', '').replace(/ +/g, ' ');
        // docker-compose.yml does not override what the image sets.
        return text.includes('image sets') ? '' : (/Read by: ([^.]+)\./.exec(text)?.[1] ?? '');
      };
      const read = lines.flatMap((line, at) => {
        const [, name] = LINE.exec(line) ?? [];
        const isRead = readers(at).split(', ').includes(service);
        return name !== undefined && name !== 'PORT' && isRead ? [name] : [];
      });

      const compose = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8');
      const namesIn = (start: string) => {
        const behind = compose.slice(compose.indexOf(`\n${start}`) + 1);
        const [block = ''] = behind.split(
          new RegExp(`\\n(?=${start.startsWith(' ') ? ' {0,2}' : ''}\\w)`),
        );
        return [...block.matchAll(/^ +([A-Z][A-Z_]+):/gm)].map(([, name]) => name);
      };
      const passed = [...namesIn('x-common: &common'), ...namesIn(`  ${service}:`)];

      expect(read.length).toBeGreaterThan(5);
      expect(read.filter((name) => !passed.includes(name))).toEqual([]);
    },
  );

  it('states for every variable which commands read it', () => {
    const blocks = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').split(
      '\n\n',
    );
    const unread = blocks
      .filter((block) => !/(?:Read|Needed) by: /.test(block))
      .flatMap((block) => block.split('\n').flatMap(setting));

    expect(unread).toEqual([]);
  });

  it('names exactly the commands that validate a variable', () => {
    const blocks = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').split(
      '\n\n',
    );
    const documented = blocks.flatMap((block) => {
      const text = block.replace(/\n#? ?/g, ' ');
      const commands = [...text.matchAll(/(?:Read|Needed) by: ([^.]+)\./g)].flatMap(
        ([, list = '']) =>
          // `tokens` stands for `tokens expiring`.
          list.split(', ').map((command) => command.trim().split(' ')[0]),
      );
      return block
        .split('\n')
        .flatMap(setting)
        .flatMap(({ name }) => (isVariable(name) ? [{ name, commands: new Set(commands) }] : []));
    });

    expect(documented).toHaveLength(Object.keys(VARIABLES).length);
    for (const { name, commands } of documented) {
      const readers = COMMANDS.filter((command) => isReadBy(command, name));
      expect({ name, readers }).toEqual({
        name,
        readers: COMMANDS.filter((command) => commands.has(command)),
      });
    }
  });

  it('leaves only variables without a default uncommented', () => {
    for (const { name, value, needed } of settings) {
      expect({ name, empty: value === '' || !needed }).toEqual({ name, empty: true });
    }
  });
});
