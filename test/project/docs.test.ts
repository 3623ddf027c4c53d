import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { VARIABLES } from '../../src/config/variables.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { applyWorkflow } from '../../src/producer/workflow/applyWorkflow.ts';
import {
  CandidateApplicationProfileInputSchema,
  PositionInputSchema,
} from '../../src/schemas/recordedIdentifiers.ts';
import { SeekTokenInputSchema } from '../../src/schemas/seekToken.ts';
import { warnings } from '../schemas/parse.ts';
import {
  countWords,
  findBrokenLinks,
  paragraphsOf,
  readCode,
  readPage,
  readPages,
  sectionsOf,
} from '../support/docsCode.ts';

const PROJECT = new URL('../../', import.meta.url);
// The HTTP reference shows answers as well, which only have to be JSON.
const HTTP_REFERENCE = 'docs/reference/http-api.md';

const ERROR_CODES = 'docs/reference/error-codes.md';
const CONSTANT = /(?<=`)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?=[`=])/g;

const README = readPage('README.md');

/** Whether a body of a PUT, or an entry of `POST /identifiers/batch`, is valid. In a PUT, the path gives the id. */
const isRecordable = (recording: object): boolean => {
  if ('positionProfileIds' in recording) {
    return PositionInputSchema.safeParse({ positionId: 'p', ...recording }).success;
  }
  const schema =
    'source' in recording ? SeekTokenInputSchema : CandidateApplicationProfileInputSchema;
  return schema.safeParse({ applicationId: 'a', ...recording }).success;
};

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
    'in JSON is a request that is accepted without a warning: $name $code',
    ({ code }) => {
      const body = JSON.parse(code);
      if (!('typeCode' in body)) {
        const recordings: object[] = body.identifiers ?? [body];
        for (const recording of recordings) expect(isRecordable(recording)).toBe(true);
        return;
      }
      const { input, invalidFields } = applyWorkflow(body);

      expect(invalidFields).toEqual({});
      expect(warnings(input)).toEqual([]);
    },
  );

  it('marked as JSON is valid JSON', () => {
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

describe('names in the pages', () => {
  it('are metrics that the processes export', async () => {
    const exported = await createMetrics(() => Promise.reject(new Error('no queue'))).scrape();
    const named = readPages().flatMap(({ text }) => text.match(/\bseek_signals_\w+/g) ?? []);

    expect(named.length).toBeGreaterThan(0);
    expect([...new Set(named)].filter((name) => !exported.includes(`# TYPE ${name} `))).toEqual([]);
  });

  // Pages for the operator also name the errors of Redis, OpenSSL and PostgreSQL. The list of settings is
  // generated, and also names those that OpenTelemetry reads by itself.
  it('are environment variables or documented error codes', () => {
    const codes = readPage(ERROR_CODES).text.match(CONSTANT) ?? [];
    const known = new Set([...Object.keys(VARIABLES), ...codes]);
    const named = readPages()
      .filter(({ name }) => !/^docs\/(?:operations\/|reference\/configuration)/.test(name))
      .flatMap(({ text }) => text.match(CONSTANT) ?? [])
      .map((name) => name.replace(/_FILE$/, ''));

    expect(named.length).toBeGreaterThan(0);
    expect([...new Set(named)].filter((name) => !known.has(name))).toEqual([]);
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
