import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Page = {
  /** Path from the project's root: `README.md`, `docs/guides/outbox.md`. */
  name: string;
  text: string;
};

type Section = { heading: string; text: string };

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const FENCE = /^ *```[^\n]*\n.*?^ *```$/gms;
// Each list item and each table row counts as a paragraph of its own.
const PARAGRAPH_BREAK = /\n\s*\n|\n(?=\s*(?:[-*|>]|\d+\.)\s)|\n(?=#)/;

/** The README and every page under `docs/`. */
export const readPages = (): Page[] => {
  const pages = readdirSync(join(PROJECT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => join('docs', name));
  return ['README.md', ...pages].map(readPage);
};

export const readPage = (name: string): Page => ({
  name,
  text: readFileSync(join(PROJECT, name), 'utf8'),
});

/** The code blocks of one language, in page order. */
export const readCode = (language: string): { name: string; code: string }[] =>
  readPages().flatMap(({ name, text }) =>
    [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, tag, code = '']) =>
      tag === language ? [{ name, code }] : [],
    ),
  );

/** Links to missing files or headings, as `page: target`. Does not follow links to other sites. */
export const findBrokenLinks = (pages: readonly Page[]): string[] =>
  pages.flatMap((page) =>
    linksOf(page)
      .filter((target) => !/^[a-z]+:/.test(target) && !exists(page, target))
      .map((target) => `${page.name}: ${target}`),
  );

const linksOf = ({ text }: Page): string[] =>
  [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);

const exists = ({ name, text }: Page, target: string): boolean => {
  const [path = '', anchor] = target.split('#', 2);
  if (path === '') return anchor !== undefined && anchorsOf(text).has(anchor);
  const file = relative(PROJECT, join(PROJECT, dirname(name), path));
  if (!existsSync(join(PROJECT, file))) return false;
  if (anchor === undefined) return true;
  return statSync(join(PROJECT, file)).isFile() && anchorsOf(readPage(file).text).has(anchor);
};

/** Anchors as GitHub derives them from headings; of two equal headings the second gets `-1`. */
const anchorsOf = (text: string): Set<string> => {
  const seen = new Map<string, number>();
  const anchors = headingsOf(text).map((heading) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-');
    const earlier = seen.get(slug) ?? 0;
    seen.set(slug, earlier + 1);
    return earlier === 0 ? slug : `${slug}-${earlier}`;
  });
  return new Set(anchors);
};

const headingsOf = (text: string): string[] =>
  [...withoutFences(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);

/** The text under each heading, code included, up to the next heading of any level. */
export const sectionsOf = ({ text }: Page): Section[] =>
  text
    .split(/^(?=#+ )/m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      return { heading: heading.replace(/^#+ /, ''), text: lines.join('\n') };
    });

/** Paragraphs, list items and table rows, without code. */
export const paragraphsOf = ({ text }: Page): string[] =>
  withoutFences(text)
    .split(PARAGRAPH_BREAK)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== '');

/** Counts words that contain a letter or a digit, so not the lines of a diagram. */
export const countWords = (text: string): number =>
  text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

const withoutFences = (text: string): string => text.replace(FENCE, '');

const withoutCode = (text: string): string => withoutFences(text).replace(/`[^`\n]*`/g, '');
