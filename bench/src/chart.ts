import type { Row } from './report.js';

const WIDTH = 720;
const LEFT = 170;
const BAR = 26;

/** Draws the signals per second of each subject as bars, with minimum and maximum. */
export const drawChart = (rows: readonly Row[]): string => {
  const rates = rows.filter(({ unit }) => unit === 'signals/s');
  const highest = Math.max(1, ...rates.map(({ value }) => value.max));
  const x = (value: number) => LEFT + (value / highest) * (WIDTH - LEFT - 90);
  const bars = rates.flatMap(({ what, value }, index) => {
    const y = 40 + index * (BAR + 14);
    const middle = y + BAR / 2;
    return [
      `<text x="${LEFT - 10}" y="${middle + 5}" text-anchor="end">${what.replace(', 5 ms', '')}</text>`,
      `<rect x="${LEFT}" y="${y}" width="${(x(value.median) - LEFT).toFixed(1)}" height="${BAR}" fill="#2d6cdf"/>`,
      `<path d="M${x(value.min).toFixed(1)} ${middle}H${x(value.max).toFixed(1)}" stroke="#111" stroke-width="2"/>`,
      `<text x="${(x(value.max) + 8).toFixed(1)}" y="${middle + 5}">${Math.round(value.median).toLocaleString('en')}</text>`,
    ];
  });
  const height = 50 + rates.length * (BAR + 14);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="14" role="img" aria-label="Signals per second of each subject">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    '<text x="10" y="22" font-weight="bold">Signals per second, with a SEEK that answers after 5 ms: median, minimum to maximum</text>',
    ...bars,
    '</svg>\n',
  ].join('\n');
};
