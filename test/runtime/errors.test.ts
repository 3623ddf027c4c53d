import { messageOf } from '../../src/runtime/errors.ts';

it.each([
  ['what it says', Object.assign(new Error('refused'), { code: 'NOAUTH' }), 'refused'],
  [
    'its code where it says nothing',
    Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }),
    'ECONNREFUSED',
  ],
  ['its name where it has neither', new TypeError(), 'TypeError'],
  ['what was thrown where that is no error', 'text', 'text'],
])('tells of an error %s', (_, err, message) => {
  expect(messageOf(err)).toBe(message);
});
