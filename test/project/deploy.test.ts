import { readFileSync } from 'node:fs';

import { createMetrics } from '../../src/observability/metrics.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

const ALERTS = 'deploy/prometheus/alerts.yml';
const DASHBOARD = 'deploy/grafana/seek-signals.json';

const metricNames = async (): Promise<Set<string>> => {
  const exposed = await createMetrics(() => Promise.reject(new Error('away'))).scrape();
  const types = [...exposed.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [name, `${name}_bucket`] : name,
    ),
  );
};

/** As GitHub makes them of headings. */
const anchors = (page: string): Set<string> =>
  new Set(
    [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );

describe('what is deployed beside the processes', () => {
  it.each([ALERTS, DASHBOARD])('asks only for metrics that there are: %s', async (path) => {
    const asked = new Set(read(path).match(/\bseek_signals_\w+/g));

    expect(asked.size).toBeGreaterThan(5);
    const there = await metricNames();
    expect([...asked].filter((name) => !there.has(name))).toEqual([]);
  });

  it('names a paragraph that there is for each alert, which names the alert', () => {
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

  it('is a dashboard whose panels do not lie upon each other', () => {
    const { panels }: { panels: { gridPos: { x: number; y: number; w: number; h: number } }[] } =
      JSON.parse(read(DASHBOARD));
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)}:${y + Math.floor(cell / w)}`),
    );

    expect(panels.length).toBeGreaterThan(5);
    expect(new Set(cells).size).toBe(cells.length);
  });
});

const MANIFESTS = ['api', 'worker', 'board', 'relay'].map(
  (name) => `deploy/kubernetes/${name}.yaml`,
);

describe('the manifests for Kubernetes', () => {
  const settings = read('deploy/kubernetes/settings.yaml');
  const variables = new Set(read('.env.example').match(/(?<=^(?:# )?)[A-Z][A-Z_]+(?==)/gm));
  const nameOf = (variable: string) => variable.replace(/_FILE$/, '');

  it.each(MANIFESTS)('set only what there is to set: %s', (path) => {
    const set = [
      ...[...read(path).matchAll(/- \{ name: ([A-Z][A-Z_]+),/g)].map(([, name = '']) => name),
      ...[...settings.matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name),
    ];

    expect(set.length).toBeGreaterThan(5);
    expect(set.filter((name) => !variables.has(nameOf(name)))).toEqual([]);
  });

  it.each(MANIFESTS)('mount each secret that is read, and no other: %s', (path) => {
    const manifest = read(path);
    const [asked, mounted] = [
      new Set((manifest + settings).match(/(?<=\/secrets\/)[\w-]+/g)),
      new Set(manifest.match(/(?<=- \{ key: )[\w-]+/g)),
    ];
    const known = new Set(
      read('deploy/kubernetes/secret.example.yaml').match(/^ {2}[\w-]+(?=: )/gm),
    );

    expect(mounted.size).toBeGreaterThan(1);
    expect(mounted).toEqual(asked);
    expect([...mounted].filter((key) => !known.has(`  ${key}`))).toEqual([]);
  });

  it('let relays out to PostgreSQL, and nobody else', () => {
    const policies = read('deploy/kubernetes/network-policy.yaml').split(/^---$/m);
    const opening = policies.filter((policy) => policy.includes('port: 5432'));

    expect(opening).toHaveLength(1);
    const [label = ''] = /app\.kubernetes\.io\/name: [\w-]+/.exec(opening[0] ?? '') ?? [];
    expect(label).toContain('seek-signals-relay');
    expect(read('deploy/kubernetes/relay.yaml')).toContain(label);
  });

  it.each(MANIFESTS)('leave a process the time that it takes to stop: %s', (path) => {
    const number = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
    const graceMs = 1_000 * number(read(path), /terminationGracePeriodSeconds: (\d+)/);
    const pauseMs = number(read(path), /setTimeout\(\(\) => \{\}, (\d+)\)/);
    const stopMs = number(settings, /SHUTDOWN_TIMEOUT_MS: "(\d+)"/);

    expect(stopMs).toBeGreaterThan(0);
    expect(graceMs).toBeGreaterThan(pauseMs + stopMs + 5_000);
  });
});
