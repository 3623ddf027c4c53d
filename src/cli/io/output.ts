import {
  printable,
  printableJson,
  printableLine,
  printableValue,
} from '../../runtime/printable.ts';

export type OutputOptions = { json?: boolean };

/**
 * Prints the result of a command on standard output: JSON with `--json`, else the text of `render`. A result
 * holds text from outside, such as SEEK's messages. It is cleaned before `render` adds colours, so that a
 * colour in the output is always ours.
 */
export const printResult = <Result>(
  result: Result,
  { json }: OutputOptions,
  render: (result: Result) => string,
): void => {
  const text = json ? printableJson(result) : render(printableValue(result) as Result);
  process.stdout.write(`${text}\n`);
};

/** Prints text without colours on standard output. Line breaks stay. */
export const printText = (text: string): void => {
  process.stdout.write(printable(text));
};

/** Prints errors, warnings and notes on standard error, so that standard output holds the result only. */
export const printMessage = (...lines: string[]): void => {
  process.stderr.write(lines.map((line) => `${printableLine(line)}\n`).join(''));
};
