import { countValues } from '../../../src/producer/api/countValues.ts';

it.each([
  ['1', 1],
  ['{}', 2],
  ['[1,2,3]', 4],
  ['{"a":[{},{}],"b":[[[]]]}', 10],
  ['"[[[,,,"', 1],
  ['["a\\"[,", "\\\\", [] ]', 5],
])('JSON %s → about %i values', (text, values) => {
  expect(countValues(Buffer.from(text))).toBe(values);
});
