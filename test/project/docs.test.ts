import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { applyWorkflow } from '../../src/producer/workflow/applyWorkflow.ts';
import { SeekTokenInputSchema } from '../../src/schemas/seekToken.ts';
import { warnings } from '../schemas/parse.ts';
import { readCode, readPages } from '../support/docsCode.ts';

const PROJECT = new URL('../../', import.meta.url);

const pages = readPages();

describe('the code in docs/', () => {
  it('compiles, page by page, against the library as it is', async () => {
    const folder = await mkdtemp(new URL('.docs-', PROJECT).pathname);
    try {
      const all = readCode('ts');
      const names = new Set(all.map(({ name }) => name));
      expect(names.size).toBeGreaterThanOrEqual(4);
      for (const page of names) {
        const code = all.filter(({ name }) => name === page).map((block) => block.code);
        await writeFile(`${folder}/${page.replace('.md', '.ts')}`, code.join('\n'));
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

  it.each(readCode('json'))('is taken, without a warning: $name $code', ({ code }) => {
    const body = JSON.parse(code);
    if ('source' in body) {
      expect(SeekTokenInputSchema.safeParse({ applicationId: 'a', ...body }).success).toBe(true);
      return;
    }
    const { input, invalidFields } = applyWorkflow(body);

    expect(invalidFields).toEqual({});
    expect(warnings(input)).toEqual([]);
  });

  it('links only to pages that are there', () => {
    const links = pages.flatMap(({ text }) => [...text.matchAll(/\]\(([^)#]+\.md)\)/g)]);

    for (const [, target] of links) expect(pages.map(({ name }) => name)).toContain(target);
  });
});
