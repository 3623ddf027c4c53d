import { printable, printableJson } from './terminal.ts';

export type OutputOptions = { json?: boolean };

/** Prints the result of a command on standard output: JSON with `--json`, else the text of `render`. */
export const printResult = <Result>(
  result: Result,
  { json }: OutputOptions,
  render: (result: Result) => string,
): void => {
  process.stdout.write(`${json ? printableJson(result) : printable(render(result))}\n`);
};

/** Prints errors, warnings and notes on standard error, so that standard output holds the result only. */
export const printMessage = (message: string): void => {
  process.stderr.write(`${printable(message)}\n`);
};
