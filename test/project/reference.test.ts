import { readFile, writeFile } from 'node:fs/promises';

import { renderCli } from '../../scripts/reference/cli.ts';
import { renderConfiguration } from '../../scripts/reference/configuration.ts';
import { renderHttpApi } from '../../scripts/reference/httpApi.ts';
import { openApiDocument } from '../../src/producer/api/openapi.ts';

import { buildCommands } from '../support/commands.ts';

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

const renderCommands = async (): Promise<string> => {
  const commands = await buildCommands();
  try {
    return await renderCli(async (path) => (await commands.run([...path, '--help'])).stdout);
  } finally {
    await commands.stop();
  }
};

// The command line page starts a process per command.
const TIMEOUT_MS = 180_000;

const PAGES = [
  {
    path: 'docs/reference/configuration.md',
    render: async () => renderConfiguration(await read('.env.example')),
  },
  {
    path: 'docs/reference/http-api.md',
    render: async () => renderHttpApi(openApiDocument),
  },
  {
    path: 'docs/reference/cli.md',
    render: renderCommands,
  },
];

// biome-ignore lint/style/noProcessEnv: `npm run docs:reference` sets it to write the pages.
const isUpdate = process.env.UPDATE_REFERENCE === 'true';

describe('docs/reference', () => {
  it.each(PAGES)(
    '$path equals what `npm run docs:reference` generates',
    async ({ path, render }) => {
      const page = await render();
      if (isUpdate) await writeFile(new URL(`../../${path}`, import.meta.url), page);

      expect(await read(path)).toBe(page);
    },
    TIMEOUT_MS,
  );
});
