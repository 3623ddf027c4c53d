import { readLines } from '../../../src/cli/io/lines.ts';

const read = async (chunks: string[], maxBytes = 100) => {
  const stream = async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk);
  };
  const lines: [number, string | undefined, number][] = [];
  for await (const { number, bytes, end } of readLines(stream(), maxBytes)) {
    lines.push([number, bytes?.toString(), end]);
  }
  return lines;
};

describe('readLines', () => {
  it.each([
    { name: 'an empty file', chunks: [], lines: [] },
    { name: 'a line without a line break', chunks: ['a'], lines: [[1, 'a', 1]] },
    {
      name: 'a line break at the end of the file',
      chunks: ['a\n'],
      lines: [[1, 'a', 2]],
    },
    {
      name: 'lines that are split across chunks',
      chunks: ['a', 'b\nc', '\n', '\nd'],
      lines: [
        [1, 'ab', 3],
        [2, 'c', 5],
        [3, '', 6],
        [4, 'd', 7],
      ],
    },
  ])('$name → each line with its number and end', async ({ chunks, lines }) => {
    expect(await read(chunks)).toEqual(lines);
  });

  it('a line longer than the maximum → undefined bytes, and the next lines are read', async () => {
    expect(await read(['abc', 'def', 'g\nhi\n', 'jklm\n'], 4)).toEqual([
      [1, undefined, 8],
      [2, 'hi', 11],
      [3, 'jklm', 16],
    ]);
  });
});
