/** Renders docs/reference/configuration.md from .env.example, the one place that describes each setting. */

import { anchorOf, code, page } from './markdown.ts';

type Setting = { name: string; value: string };
type Entry = { settings: Setting[]; paragraphs: string[] };
type Section = { title: string; intro: string[]; entries: Entry[] };

const TITLE = /^# --- (.+) ---$/;
const SETTING = /^(?:# )?([A-Z][A-Z_]+)=(.*)$/;
const COMMENT = /^# ?(.*)$/;
const NEEDED_BY = /Needed by: ([^.]+)\. ?/;
const READ_BY = /Read by: ([^.]+)\. ?/;

export const renderConfiguration = (envExample: string): string => {
  const sections = envExample
    .split(/^(?=# --- )/m)
    .slice(1)
    .map(readSection);
  const names = sections.flatMap(({ entries }) => namesOf(entries));
  const withCode = codeFor(new Set(names));
  const pages = sections.map((section) => renderSection(section, withCode));
  const index = sections
    .filter(({ entries }) => entries.length > 0)
    .map(({ title, entries }) => `- [${title}](#${anchorOf(title)}): ${links(namesOf(entries))}`);

  return page([
    '<!-- Generated from .env.example by `npm run docs:reference`. Do not edit. -->',
    '# Configuration',
    'The dispatcher is configured by environment variables. `.env.example` lists them in the format of a `.env` file.',
    index.join('\n'),
    ...pages,
  ]);
};

const readSection = (text: string): Section => {
  const [first = '', ...lines] = text.split('\n');
  const section: Section = { title: TITLE.exec(first)?.[1] ?? '', intro: [], entries: [] };
  // A block is a description and the settings right below it; an empty line ends it.
  for (const block of lines.join('\n').split(/\n{2,}/)) {
    const { settings, paragraphs } = readBlock(block);
    if (settings.length > 0) section.entries.push({ settings, paragraphs });
    else section.intro.push(...paragraphs);
  }
  return section;
};

const readBlock = (block: string): Entry => {
  const settings: Setting[] = [];
  const paragraphs: string[] = [''];
  for (const line of block.split('\n')) {
    const [, name, value = ''] = SETTING.exec(line) ?? [];
    if (name !== undefined) {
      settings.push({ name, value });
      continue;
    }
    const text = COMMENT.exec(line)?.[1] ?? '';
    if (text === '') paragraphs.push('');
    else paragraphs.push(`${paragraphs.pop()} ${text}`.trim());
  }
  return { settings, paragraphs: paragraphs.filter((text) => text !== '') };
};

type WithCode = (text: string) => string;

const renderSection = ({ title, intro, entries }: Section, withCode: WithCode): string =>
  [
    `## ${title}`,
    ...intro.map(withCode),
    ...entries.map((entry) => renderEntry(entry, withCode)),
  ].join('\n\n');

const renderEntry = ({ settings, paragraphs }: Entry, withCode: WithCode): string => {
  const whole = paragraphs.join('\n');
  const facts = [
    ['Required by', commands(NEEDED_BY.exec(whole)?.[1])],
    ['Default', defaultOf(settings)],
    ['Read by', commands(READ_BY.exec(whole)?.[1])],
  ].filter(([, fact]) => fact !== undefined);
  const descriptions = paragraphs
    .map((text) => text.replace(NEEDED_BY, '').replace(READ_BY, '').trim())
    .filter((text) => text !== '');

  return [
    ...settings.map(({ name }) => `### \`${name}\``),
    facts.map(([label, fact]) => `**${label}:** ${fact}`).join(' · '),
    ...descriptions.map(withCode),
  ].join('\n\n');
};

const defaultOf = (settings: Setting[]): string | undefined => {
  const values = settings.map(({ value }) => value).filter((value) => value !== '');
  return values.length === 0 ? undefined : values.map(code).join(', ');
};

const commands = (list: string | undefined): string | undefined =>
  list?.split(', ').map(code).join(', ');

const namesOf = (entries: Entry[]): string[] =>
  entries.flatMap(({ settings }) => settings.map(({ name }) => name));

const links = (names: string[]): string =>
  names.map((name) => `[${code(name)}](#${anchorOf(name)})`).join(' · ');

/** Marks names of settings as code, except inside text that is already code. */
const codeFor =
  (names: ReadonlySet<string>): WithCode =>
  (text) =>
    text
      .split(/(`[^`]*`)/)
      .map((part, index) =>
        index % 2 === 1
          ? part
          : part.replace(/\b[A-Z][A-Z_]+\b/g, (word) =>
              names.has(word.replace(/_FILE$/, '')) || /^OTEL_|^NAME/.test(word)
                ? code(word)
                : word,
            ),
      )
      .join('');
