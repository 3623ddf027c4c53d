import { existsSync, readFileSync } from 'node:fs';

import { createProducer } from '../../src/index.ts';

const IMPORT = /^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)'/gm;

/** Everything that is loaded with a file: its own imports, and theirs. */
const loadedWith = (file: URL, seen = new Set<string>()): Set<string> => {
  const source = readFileSync(file, 'utf8');
  for (const [, specifier = ''] of source.matchAll(IMPORT)) {
    const path = specifier.startsWith('.') ? new URL(specifier, file) : undefined;
    const name = path === undefined ? specifier : path.pathname.replace(/^.*\/src\//, '');
    if (seen.has(name)) continue;
    seen.add(name);
    if (path !== undefined && existsSync(path)) loadedWith(path, seen);
  }
  return seen;
};

const SDK = [
  'sdk-trace-node',
  'resources',
  'exporter-trace-otlp-http',
  'exporter-trace-otlp-proto',
].map((name) => `@opentelemetry/${name}`);

describe('the library', () => {
  const loaded = loadedWith(new URL('../../src/index.ts', import.meta.url));

  it('is made of the producer on Redis', () => {
    expect([...loaded]).toEqual(expect.arrayContaining(['queue/redis.ts', 'bullmq', 'ioredis']));
  });

  it.each([
    ['the HTTP server', ['hono', '@hono/node-server', 'serve.ts']],
    ["the worker's HTTP client", ['undici', 'graphql-request', 'worker/http.ts']],
    [
      'the embedded queue',
      ['queue/embedded/openEmbedded.ts', 'queue/embedded/pglite.ts', '@electric-sql/pglite'],
    ],
    ['the metrics', ['prom-client', 'metrics.ts']],
    ['an SDK of OpenTelemetry', SDK],
  ])('does not load %s', (_, names) => {
    expect(names.filter((name) => loaded.has(name))).toEqual([]);
  });
});

it.each(['api', 'worker', 'dev', 'board'])(
  '%s loads no SDK of OpenTelemetry unasked',
  (command) => {
    const loaded = loadedWith(new URL(`../../src/cli/processes/${command}.ts`, import.meta.url));

    expect(loaded.has('config.ts')).toBe(true);
    expect(SDK.filter((name) => loaded.has(name))).toEqual([]);
  },
);

it.each([0, -1, 1.5, 86_400_000 / 7, Number.NaN, Number.POSITIVE_INFINITY, 367 * 86_400_000])(
  'a producer is not opened that would remember for %d ms',
  (dedupeWindowMs) => {
    expect(() => createProducer({ redisUrl: 'redis://127.0.0.1:1', dedupeWindowMs })).toThrow(
      'dedupeWindowMs must be a whole number of milliseconds, from 1 to 366 days',
    );
  },
);
