import type { Row } from './report.js';

const WIDTH = 720;
const LEFT = 226;
const RIGHT = 80;
const TOP = 66;
const BAR = 24;
const STEP = 36;

/** How the chart names the subjects of the suite `drain`; it leaves out those that deliver no queue. */
const LABELS = new Map([
  ['naive', 'naive, one by one'],
  ['one by one', 'this worker, one by one'],
  ['in hundreds', 'this worker, in hundreds'],
  ['bee-queue', 'bee-queue'],
  ['graphile-worker', 'graphile-worker'],
  ['BullMQ batched', 'BullMQ'],
  ['pg-boss', 'pg-boss'],
]);
const OURS = new Set(['one by one', 'in hundreds']);

// An image has no access to the theme of the page, but knows the one that the reader prefers.
const STYLE = `
  .page { fill: #ffffff } text { fill: #1f2328 } .note { fill: #59636e }
  .ours { fill: #1f6feb } .other { fill: #b3bac3 } .range { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .note { fill: #9198a1 }
    .ours { fill: #4493f8 } .other { fill: #565e68 } .range { stroke: #f0f6fc }
  }`;

const ratesOf = (rows: readonly Row[]) =>
  rows
    .filter(({ unit }) => unit === 'signals/s')
    .flatMap(({ what, value }) => {
      const name = what.replace(', 5 ms', '');
      const label = LABELS.get(name);
      return label === undefined ? [] : [{ label, isOurs: OURS.has(name), value }];
    })
    .sort((a, b) => b.value.median - a.value.median);

/** Draws the signals per second of each worker, fastest first; undefined without rates. */
export const drawChart = (rows: readonly Row[]): string | undefined => {
  const rates = ratesOf(rows);
  if (rates.length === 0) return undefined;
  const highest = Math.max(...rates.map(({ value }) => value.max));
  const x = (value: number) => LEFT + (value / highest) * (WIDTH - LEFT - RIGHT);
  const bars = rates.flatMap(({ label, isOurs, value: { median, min, max } }, index) => {
    const y = TOP + index * STEP;
    const middle = y + BAR / 2;
    return [
      `<text x="${LEFT - 10}" y="${middle + 5}" text-anchor="end"${isOurs ? ' font-weight="bold"' : ''}>${label}</text>`,
      `<rect class="${isOurs ? 'ours' : 'other'}" x="${LEFT}" y="${y}" width="${(x(median) - LEFT).toFixed(1)}" height="${BAR}" rx="2"/>`,
      `<path class="range" d="M${x(min).toFixed(1)} ${middle}H${x(max).toFixed(1)}" stroke-width="1.5"/>`,
      `<text x="${(x(max) + 8).toFixed(1)}" y="${middle + 5}">${Math.round(median).toLocaleString('en')}</text>`,
    ];
  });
  const height = TOP + rates.length * STEP + 4;
  const spoken = rates.map(({ label, value }) => `${label} ${Math.round(value.median)}`).join(', ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="14" role="img" aria-label="Signals per second: ${spoken}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>`,
    '<text x="12" y="26" font-size="16" font-weight="bold">Signals delivered per second by one worker</text>',
    '<text class="note" x="12" y="47" font-size="12">SEEK answers after 5 ms. Other queues send the same batches of 100. Medians, lowest to highest.</text>',
    ...bars,
    '</svg>\n',
  ].join('\n');
};
