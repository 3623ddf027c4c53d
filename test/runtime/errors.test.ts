import { messageOf } from '../../src/runtime/errors.ts';

describe('messageOf', () => {
  it.each([
    [
      'an error with a message → the message',
      Object.assign(new Error('refused'), { code: 'NOAUTH' }),
      'refused',
    ],
    [
      'an error without a message → its code',
      Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }),
      'ECONNREFUSED',
    ],
    ['an error without message and code → its name', new TypeError(), 'TypeError'],
    ['a thrown text → the text', 'text', 'text'],
  ])('%s', (_, err, message) => {
    expect(messageOf(err)).toBe(message);
  });
});
