import { readFileSync } from 'node:fs';

import { createMetrics } from '../../src/observability/metrics.ts';

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const ALERTS = 'deploy/prometheus/alerts.yml';
const DASHBOARD = 'deploy/grafana/seek-signals.json';

const metricNames = async (): Promise<Set<string>> => {
  const exposed = await createMetrics(() => Promise.reject(new Error('no queue'))).scrape();
  const types = [...exposed.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [name, `${name}_bucket`] : name,
    ),
  );
};

/** Anchors as GitHub derives them from headings. */
const anchors = (page: string): Set<string> =>
  new Set(
    [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );

describe('alert rules and dashboard', () => {
  it.each([ALERTS, DASHBOARD])(
    '%s queries only metrics that the processes export',
    async (path) => {
      const queried = new Set(read(path).match(/\bseek_signals_\w+/g));

      expect(queried.size).toBeGreaterThan(5);
      const exported = await metricNames();
      expect([...queried].filter((name) => !exported.has(name))).toEqual([]);
    },
  );

  it('each alert links to a section of the runbook that names the alert', () => {
    const alerts = read(ALERTS)
      .split(/^ +- alert: /m)
      .slice(1);
    expect(alerts.length).toBeGreaterThanOrEqual(8);

    for (const alert of alerts) {
      const [name = ''] = /^\w+/.exec(alert) ?? [];
      const [, page = '', anchor = ''] = /runbook: (\S+)#(\S+)/.exec(alert) ?? [];
      expect([name, anchors(page).has(anchor)]).toEqual([name, true]);
      expect(read(page)).toContain(name);
    }
  });

  it('dashboard has no overlapping panels', () => {
    const { panels }: { panels: { gridPos: { x: number; y: number; w: number; h: number } }[] } =
      JSON.parse(read(DASHBOARD));
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)}:${y + Math.floor(cell / w)}`),
    );

    expect(panels.length).toBeGreaterThan(5);
    expect(new Set(cells).size).toBe(cells.length);
  });
});

describe('docs/operations/monitoring.md', () => {
  const page = read('docs/operations/monitoring.md');

  it('documents every metric that the processes export', async () => {
    const names = [...(await metricNames())].filter((name) => !name.endsWith('_bucket'));

    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([]);
  });

  it('lists every alert, and no other', () => {
    const alerts = read(ALERTS).match(/(?<=- alert: )\w+/g);

    expect(page.match(/(?<=^\| `)SeekSignals\w+/gm)).toEqual(alerts);
  });
});

const MANIFESTS = ['api', 'worker', 'board', 'relay'].map(
  (name) => `deploy/kubernetes/${name}.yaml`,
);

describe('Kubernetes manifests', () => {
  const settings = read('deploy/kubernetes/settings.yaml');
  const variables = new Set(read('.env.example').match(/(?<=^(?:# )?)[A-Z][A-Z_]+(?==)/gm));
  const nameOf = (variable: string) => variable.replace(/_FILE$/, '');

  it.each(MANIFESTS)('%s sets only variables that exist', (path) => {
    const set = [
      ...[...read(path).matchAll(/- \{ name: ([A-Z][A-Z_]+),/g)].map(([, name = '']) => name),
      ...[...settings.matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name),
    ];

    expect(set.length).toBeGreaterThan(5);
    expect(set.filter((name) => !variables.has(nameOf(name)))).toEqual([]);
  });

  it.each(MANIFESTS)('%s mounts exactly the secrets that its process reads', (path) => {
    const manifest = read(path);
    const needed = new Set((manifest + settings).match(/(?<=\/secrets\/)[\w-]+/g));
    const mounted = new Set(manifest.match(/(?<=- \{ key: )[\w-]+/g));
    const known = new Set(
      read('deploy/kubernetes/secret.example.yaml').match(/^ {2}[\w-]+(?=: )/gm),
    );

    expect(mounted.size).toBeGreaterThan(1);
    expect(mounted).toEqual(needed);
    expect([...mounted].filter((key) => !known.has(`  ${key}`))).toEqual([]);
  });

  it('allow egress to PostgreSQL for relays only', () => {
    const policies = read('deploy/kubernetes/network-policy.yaml').split(/^---$/m);
    const matching = policies.filter((policy) => policy.includes('port: 5432'));

    expect(matching).toHaveLength(1);
    const [label = ''] = /app\.kubernetes\.io\/name: [\w-]+/.exec(matching[0] ?? '') ?? [];
    expect(label).toContain('seek-signals-relay');
    expect(read('deploy/kubernetes/relay.yaml')).toContain(label);
  });

  it.each(MANIFESTS)('%s gives its process more time to stop than it needs', (path) => {
    const number = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
    const graceMs = 1_000 * number(read(path), /terminationGracePeriodSeconds: (\d+)/);
    const pauseMs = number(read(path), /setTimeout\(\(\) => \{\}, (\d+)\)/);
    const stopMs = number(settings, /SHUTDOWN_TIMEOUT_MS: "(\d+)"/);

    expect(stopMs).toBeGreaterThan(0);
    expect(graceMs).toBeGreaterThan(pauseMs + stopMs + 5_000);
  });
});

describe('container images', () => {
  it.each(['Dockerfile', 'docker-compose.yml'])(
    '%s names each image of a registry by tag and digest',
    (path) => {
      const text = read(path);
      const stages = [...text.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage);
      const images = [...text.matchAll(/^(?:FROM| +image:) (\S+)/gm)]
        .map(([, image = '']) => image)
        .filter((image) => !stages.includes(image));

      expect(images.length).toBeGreaterThan(0);
      for (const image of images) expect(image).toMatch(/^[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}$/);
    },
  );

  it('pods may reach Redis and its Sentinels', () => {
    const policy = read('deploy/kubernetes/network-policy.yaml');

    expect(policy).toMatch(/\{ port: 6379 \}, \{ port: 26379 \}/);
  });
});
