import { measureJson } from '../../../src/producer/api/jsonShape.ts';

const measure = (text: string) => measureJson(Buffer.from(text));

describe('measureJson', () => {
  it.each([
    ['1', { depth: 0, values: 1 }],
    ['{}', { depth: 1, values: 2 }],
    ['[1,2,3]', { depth: 1, values: 4 }],
    ['{"a":[{},{}],"b":[[[]]]}', { depth: 4, values: 10 }],
    ['"[[[,,,"', { depth: 0, values: 1 }],
    ['["a\\"[,", "\\\\", [] ]', { depth: 2, values: 5 }],
  ])('%s → %j', (text, shape) => {
    expect(measure(text)).toEqual(shape);
  });
});
