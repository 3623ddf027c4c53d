import { existsSync, readFileSync } from 'node:fs';

import { createProducer } from '../../src/index.ts';

const IMPORT = /^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)'/gm;

/** The modules that importing a file loads: packages by name, our files by path below `src/`. */
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

/** A file that was moved would never be loaded, and would make the tests below pass for no reason. */
const isKnown = (name: string): boolean =>
  !name.endsWith('.ts') || existsSync(new URL(`../../src/${name}`, import.meta.url));

describe('library', () => {
  const loaded = loadedWith(new URL('../../src/index.ts', import.meta.url));

  it('loads the Redis adapter', () => {
    expect([...loaded]).toEqual(
      expect.arrayContaining(['queue/redis/openRedis.ts', 'bullmq', 'ioredis']),
    );
  });

  it.each([
    ['the HTTP server', ['hono', '@hono/node-server', 'runtime/httpServer.ts']],
    ["the worker's HTTP client", ['undici', 'graphql-request', 'worker/seek/http.ts']],
    [
      'the embedded queue',
      ['queue/embedded/openEmbedded.ts', 'queue/embedded/pglite.ts', '@electric-sql/pglite'],
    ],
    ['the metrics', ['prom-client', 'observability/metrics.ts']],
    ['the OpenTelemetry SDK', SDK],
  ])('does not load %s', (_, names) => {
    expect(names.filter((name) => !isKnown(name))).toEqual([]);
    expect(names.filter((name) => loaded.has(name))).toEqual([]);
  });
});

it.each(['api', 'worker', 'dev', 'board'])(
  'command %s does not load the OpenTelemetry SDK at start',
  (command) => {
    const loaded = loadedWith(new URL(`../../src/cli/processes/${command}.ts`, import.meta.url));

    expect(loaded.has('config/config.ts')).toBe(true);
    expect(SDK.filter((name) => loaded.has(name))).toEqual([]);
  },
);

it.each([0, -1, 1.5, 86_400_000 / 7, Number.NaN, Number.POSITIVE_INFINITY, 367 * 86_400_000])(
  'dedupeWindowMs: %d → createProducer throws',
  (dedupeWindowMs) => {
    expect(() => createProducer({ redisUrl: 'redis://127.0.0.1:1', dedupeWindowMs })).toThrow(
      'dedupeWindowMs must be a whole number of milliseconds, from 1 to 366 days',
    );
  },
);
