import { readdirSync, readFileSync } from 'node:fs';

const DOCS = new URL('../../docs/', import.meta.url);

/** The guides, each as it is read. */
export const readPages = (): { name: string; text: string }[] =>
  readdirSync(DOCS)
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({ name, text: readFileSync(new URL(name, DOCS), 'utf8') }));

/** The pieces of code in them that are of one language, in their order. */
export const readCode = (language: string): { name: string; code: string }[] =>
  readPages().flatMap(({ name, text }) =>
    [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, tongue, code = '']) =>
      tongue === language ? [{ name, code }] : [],
    ),
  );
