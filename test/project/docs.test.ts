import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { applyWorkflow } from '../src/producer/applyWorkflow.ts';
import { SeekTokenInputSchema } from '../src/schemas/seekToken.ts';
import { warnings } from './schemas/parse.ts';
import {
  countWords,
  findBrokenLinks,
  paragraphsOf,
  readCode,
  readPage,
  readPages,
  sectionsOf,
} from './support/docsCode.ts';

const PROJECT = new URL('../', import.meta.url);
// The HTTP reference shows answers as well, which only have to be JSON.
const HTTP_REFERENCE = 'docs/reference/http-api.md';

const README = readPage('README.md');

describe('code in README.md and docs/', () => {
  it('compiles against the library, one module for each page', async () => {
    const folder = await mkdtemp(new URL('.docs-', PROJECT).pathname);
    try {
      const all = readCode('ts');
      const names = new Set(all.map(({ name }) => name));
      expect(names.size).toBeGreaterThanOrEqual(7);
      for (const page of names) {
        const code = all.filter(({ name }) => name === page).map((block) => block.code);
        const file = page.replaceAll('/', '-').replace('.md', '.ts');
        await writeFile(`${folder}/${file}`, code.join('\n'));
      }
      await writeFile(
        `${folder}/tsconfig.json`,
        JSON.stringify({
          extends: '../tsconfig.json',
          compilerOptions: { noUnusedLocals: false },
          include: ['*.ts'],
        }),
      );
      const compiler = new URL('node_modules/typescript/bin/tsc', PROJECT).pathname;
      const compiled = await promisify(execFile)(process.execPath, [compiler, '-p', folder]).catch(
        ({ stdout }: { stdout: string }) => ({ stdout }),
      );

      expect(compiled.stdout).toBe('');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each(readCode('json').filter(({ name }) => name !== HTTP_REFERENCE))(
    'is a request that is accepted without a warning: $name $code',
    ({ code }) => {
      const body = JSON.parse(code);
      if ('source' in body) {
        expect(SeekTokenInputSchema.safeParse({ applicationId: 'a', ...body }).success).toBe(true);
        return;
      }
      const { input, invalidFields } = applyWorkflow(body);

      expect(invalidFields).toEqual({});
      expect(warnings(input)).toEqual([]);
    },
  );

  it('is JSON wherever it claims to be', () => {
    for (const { code } of readCode('json')) expect(() => JSON.parse(code)).not.toThrow();
  });
});

describe('pages', () => {
  it('link only to files and headings that exist', () => {
    expect(findBrokenLinks(readPages())).toEqual([]);
  });

  it('are all reachable from the index, docs/README.md', () => {
    const index = readPage('docs/README.md').text;
    const pages = readPages().map(({ name }) => name.replace(/^docs\//, ''));
    const listed = pages.filter((name) => name !== 'README.md');

    expect(listed.filter((name) => !index.includes(`](${name})`))).toEqual([]);
  });
});

describe('README.md', () => {
  it('has at most 900 words', () => {
    expect(countWords(README.text)).toBeLessThanOrEqual(900);
  });

  it('has no paragraph of more than 60 words', () => {
    expect(paragraphsOf(README).filter((paragraph) => countWords(paragraph) > 60)).toEqual([]);
  });
});

describe('docs/reference/delivery-guarantees.md', () => {
  it('states each guarantee in at most 60 words', () => {
    const sections = sectionsOf(readPage('docs/reference/delivery-guarantees.md'));

    expect(sections.length).toBeGreaterThan(20);
    expect(sections.filter(({ text }) => countWords(text) > 60)).toEqual([]);
  });
});
