import { rejectedRows } from '../../../src/worker/delivery/bisectBatch.ts';
import type { SendResult } from '../../../src/worker/seek/classify.ts';

const invalid = (invalidFields?: unknown, message = 'Invalid', code = 'BAD_USER_INPUT') => ({
  message,
  extensions: { code, ...(invalidFields === undefined ? {} : { invalidFields }) },
});
const refused = (...errors: ReturnType<typeof invalid>[]): SendResult => ({
  kind: 'refused',
  errors,
});

/** The rows named among ten, as plain data. */
const named = (result: SendResult, rows = 10) => Object.fromEntries(rejectedRows(result, rows));

describe('a row that an answer names', () => {
  it.each([
    { pointer: '/input/signals/3/token', own: '/input/token' },
    { pointer: '/input/signals/3/current/status/label', own: '/input/current/status/label' },
    { pointer: '/input/signals/3', own: '/input' },
    { pointer: '/input/signals/3/', own: '/input/' },
    { pointer: '/input/signals/3/a~1b', own: '/input/a~1b' },
  ])('is told as if it had been sent alone: $pointer is $own', ({ pointer, own }) => {
    expect(named(refused(invalid({ [pointer]: 'Is not valid' })))).toEqual({
      3: [invalid({ [own]: 'Is not valid' })],
    });
  });

  it('has all of its fields, and none of the others’', () => {
    const answer = refused(
      invalid({
        '/input/signals/0/token': 'Is not valid',
        '/input/signals/9/token': 'Is expired',
        '/input/signals/0/timestamp': 'Is too old',
      }),
    );

    expect(named(answer)).toEqual({
      0: [invalid({ '/input/token': 'Is not valid', '/input/timestamp': 'Is too old' })],
      9: [invalid({ '/input/token': 'Is expired' })],
    });
  });

  it('has each of the errors that name it', () => {
    const answer = refused(
      invalid({ '/input/signals/1/token': 'Is not valid' }, 'One'),
      invalid({ '/input/signals/1/current': 'Is required', '/input/signals/2': 'No' }, 'Two'),
    );

    expect(named(answer)).toEqual({
      1: [
        invalid({ '/input/token': 'Is not valid' }, 'One'),
        invalid({ '/input/current': 'Is required' }, 'Two'),
      ],
      2: [invalid({ '/input': 'No' }, 'Two')],
    });
  });

  it('keeps what else the error says', () => {
    const error = invalid({ '/input/signals/1/token': 'Is not valid' });
    const extensions = { ...error.extensions, trace: 'abc' };

    expect(rejectedRows({ kind: 'refused', errors: [{ ...error, extensions }] }, 2).get(1)).toEqual(
      [
        {
          ...error,
          extensions: { ...extensions, invalidFields: { '/input/token': 'Is not valid' } },
        },
      ],
    );
  });
});

describe('no row is named', () => {
  const pointer = { '/input/signals/1/token': 'Is not valid' };

  it.each<{ what: string; result: SendResult }>([
    { what: 'that is not there', result: refused(invalid({ '/input/signals/10/token': 'No' })) },
    { what: 'far out', result: refused(invalid({ '/input/signals/9999/token': 'No' })) },
    { what: 'by a negative number', result: refused(invalid({ '/input/signals/-1/token': 'No' })) },
    { what: 'by no number', result: refused(invalid({ '/input/signals/one/token': 'No' })) },
    { what: 'by a number with a tail', result: refused(invalid({ '/input/signals/1x': 'No' })) },
    { what: 'by the list as a whole', result: refused(invalid({ '/input/signals': 'Too many' })) },
    { what: 'by a pointer to elsewhere', result: refused(invalid({ '/input/token': 'No' })) },
    { what: 'without fields', result: refused(invalid()) },
    { what: 'by fields that are null', result: refused(invalid(null)) },
    { what: 'by fields that are a text', result: refused(invalid('/input/signals/1/token')) },
    { what: 'by fields that are a number', result: refused(invalid(7)) },
    { what: 'by fields that are a list', result: refused(invalid(['/input/signals/1/token'])) },
    { what: 'under another code', result: refused(invalid(pointer, 'No', 'FORBIDDEN')) },
    {
      what: 'where another code stands beside it',
      result: refused(invalid(pointer), invalid(undefined, 'Oops', 'INTERNAL_SERVER_ERROR')),
    },
    {
      what: 'where another code stands before it',
      result: refused(invalid(undefined, 'No', 'FORBIDDEN'), invalid(pointer)),
    },
    {
      what: 'where an error without a code stands beside it',
      result: {
        kind: 'refused',
        errors: [invalid(pointer), { message: 'Oops' }],
      },
    },
    { what: 'by yes', result: { kind: 'accepted' } },
    { what: 'by HTML', result: { kind: 'unreadable', status: 400 } },
  ])('$what', ({ result }) => {
    expect(named(result)).toEqual({});
  });

  it('beyond the rows that were sent, and those within are', () => {
    const answer = refused(
      invalid({ '/input/signals/1/token': 'No', '/input/signals/2/token': 'No' }),
    );

    expect(named(answer, 2)).toEqual({ 1: [invalid({ '/input/token': 'No' })] });
  });
});
