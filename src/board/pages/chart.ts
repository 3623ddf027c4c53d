import { html } from 'hono/html';

import { MOMENT_MS } from '../../queue/history.ts';
import { type Html, number } from './layout.ts';

const [WIDTH, HEIGHT] = [288, 56];

export type Point = { at: number; value: number };

/** A line from the beginning to the end of a time; where nobody looked, there is none. */
export const chart = (points: Point[], from: number, to: number, colour: string): Html => {
  const most = Math.max(1, ...points.map(({ value }) => value));
  const x = (at: number): number => Math.round(((at - from) / (to - from)) * WIDTH * 10) / 10;
  const y = (value: number): number => Math.round((1 - value / most) * (HEIGHT - 4) * 10) / 10 + 2;
  const path = points
    .map(({ at, value }, index) => {
      const before = points[index - 1];
      const goesOn = before !== undefined && at - before.at <= MOMENT_MS;
      return `${goesOn ? 'L' : 'M'}${x(at)} ${y(value)}${goesOn ? '' : 'h.5'}`;
    })
    .join('');

  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"
    aria-label="the last 24 hours, at most ${number(most)}">
    <path d="M0 ${HEIGHT - 2}H${WIDTH}" stroke="var(--line)" vector-effect="non-scaling-stroke" />
    <path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5" vector-effect="non-scaling-stroke" />
  </svg>`;
};
