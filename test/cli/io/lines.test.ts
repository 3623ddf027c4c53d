import { readLines } from '../../../src/cli/io/lines.ts';

const read = async (chunks: string[], most = 100) => {
  const from = async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk);
  };
  const lines: [number, string | undefined, number][] = [];
  for await (const { number, bytes, end } of readLines(from(), most)) {
    lines.push([number, bytes?.toString(), end]);
  }
  return lines;
};

describe('readLines', () => {
  it.each([
    { name: 'nothing', chunks: [], lines: [] },
    { name: 'a line without an end', chunks: ['a'], lines: [[1, 'a', 1]] },
    {
      name: 'an end that is not followed by another line',
      chunks: ['a\n'],
      lines: [[1, 'a', 2]],
    },
    {
      name: 'lines across chunks, however they are cut',
      chunks: ['a', 'b\nc', '\n', '\nd'],
      lines: [
        [1, 'ab', 3],
        [2, 'c', 5],
        [3, '', 6],
        [4, 'd', 7],
      ],
    },
  ])('reads $name', async ({ chunks, lines }) => {
    expect(await read(chunks)).toEqual(lines);
  });

  it('keeps nothing of a line that is too long, and goes on behind it', async () => {
    expect(await read(['abc', 'def', 'g\nhi\n', 'jklm\n'], 4)).toEqual([
      [1, undefined, 8],
      [2, 'hi', 11],
      [3, 'jklm', 16],
    ]);
  });
});
