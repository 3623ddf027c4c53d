import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { drawChart } from './chart.js';
import { type Ratio, type Row, renderReport } from './report.js';
import { SUITES } from './suites.js';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: Object.keys(SUITES).join(',') },
    json: { type: 'string', default: new URL('../results.json', import.meta.url).pathname },
    chart: { type: 'string', default: new URL('../chart.svg', import.meta.url).pathname },
  },
});
const rounds = Number(options.rounds);
const selected = new Set(options.only.split(','));
const note = (text: string) => process.stderr.write(`${text}\n`);

const ratios: Ratio[] = [];
const rows: Row[] = [];
for (const [name, run] of Object.entries(SUITES)) {
  if (!selected.has(name)) continue;
  const results = await run({ rounds, note, earlierRows: rows });
  ratios.push(...results.ratios);
  rows.push(...results.rows);
}

const results = {
  measuredAt: new Date().toISOString(),
  machine: { cpu: cpus()[0]?.model.trim(), cores: cpus().length, node: process.version },
  rounds,
  ratios,
  rows,
};
await writeFile(options.json, `${JSON.stringify(results, null, 2)}\n`);
const chart = drawChart(rows);
if (chart !== undefined) await writeFile(options.chart, chart);
process.stdout.write(renderReport(results));
process.exit(0);
