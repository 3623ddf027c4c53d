export const code = (text: string): string => `\`${text}\``;

/** A Markdown table with aligned columns. */
export const table = (head: string[], rows: string[][]): string => {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: string[], fill = ' ') =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width, fill)).join(' | ')} |`;
  return [line(head), line([], '-'), ...rows.map((row) => line(row))].join('\n');
};

/** The anchor that GitHub derives from a heading. */
export const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

/** Adds a capital letter and a full stop where they are missing. */
export const sentence = (text: string): string => {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
};

/** Joins blocks to a page, with an empty line between them. */
export const page = (blocks: string[]): string => `${blocks.join('\n\n')}\n`;
