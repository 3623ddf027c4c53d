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

/** The rejected rows of a batch, by default of ten, as plain data. */
const rejected = (result: SendResult, rows = 10) => Object.fromEntries(rejectedRows(result, rows));

describe('row that SEEK names', () => {
  it.each([
    { pointer: '/input/signals/3/token', own: '/input/token' },
    { pointer: '/input/signals/3/current/status/label', own: '/input/current/status/label' },
    { pointer: '/input/signals/3', own: '/input' },
    { pointer: '/input/signals/3/', own: '/input/' },
    { pointer: '/input/signals/3/a~1b', own: '/input/a~1b' },
  ])('$pointer → $own, as if it had been sent alone', ({ pointer, own }) => {
    expect(rejected(refused(invalid({ [pointer]: 'Is not valid' })))).toEqual({
      3: [invalid({ [own]: 'Is not valid' })],
    });
  });

  it('one error about two rows → each row gets its own fields', () => {
    const answer = refused(
      invalid({
        '/input/signals/0/token': 'Is not valid',
        '/input/signals/9/token': 'Is expired',
        '/input/signals/0/timestamp': 'Is too old',
      }),
    );

    expect(rejected(answer)).toEqual({
      0: [invalid({ '/input/token': 'Is not valid', '/input/timestamp': 'Is too old' })],
      9: [invalid({ '/input/token': 'Is expired' })],
    });
  });

  it('two errors about one row → the row gets both', () => {
    const answer = refused(
      invalid({ '/input/signals/1/token': 'Is not valid' }, 'One'),
      invalid({ '/input/signals/1/current': 'Is required', '/input/signals/2': 'No' }, 'Two'),
    );

    expect(rejected(answer)).toEqual({
      1: [
        invalid({ '/input/token': 'Is not valid' }, 'One'),
        invalid({ '/input/current': 'Is required' }, 'Two'),
      ],
      2: [invalid({ '/input': 'No' }, 'Two')],
    });
  });

  it('error with other extensions → they are kept', () => {
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

describe('rejectedRows', () => {
  const pointer = { '/input/signals/1/token': 'Is not valid' };

  it.each<{ what: string; result: SendResult }>([
    { what: 'row 10 of ten', result: refused(invalid({ '/input/signals/10/token': 'No' })) },
    { what: 'row 9999', result: refused(invalid({ '/input/signals/9999/token': 'No' })) },
    { what: 'a negative row', result: refused(invalid({ '/input/signals/-1/token': 'No' })) },
    {
      what: 'a row that is no number',
      result: refused(invalid({ '/input/signals/one/token': 'No' })),
    },
    {
      what: 'a number followed by a letter',
      result: refused(invalid({ '/input/signals/1x': 'No' })),
    },
    { what: 'the list as a whole', result: refused(invalid({ '/input/signals': 'Too many' })) },
    { what: 'a pointer outside the list', result: refused(invalid({ '/input/token': 'No' })) },
    { what: 'no fields', result: refused(invalid()) },
    { what: 'fields that are null', result: refused(invalid(null)) },
    { what: 'fields that are a text', result: refused(invalid('/input/signals/1/token')) },
    { what: 'fields that are a number', result: refused(invalid(7)) },
    { what: 'fields that are a list', result: refused(invalid(['/input/signals/1/token'])) },
    { what: 'another code', result: refused(invalid(pointer, 'No', 'FORBIDDEN')) },
    {
      what: 'another code in a later error',
      result: refused(invalid(pointer), invalid(undefined, 'Oops', 'INTERNAL_SERVER_ERROR')),
    },
    {
      what: 'another code in an earlier error',
      result: refused(invalid(undefined, 'No', 'FORBIDDEN'), invalid(pointer)),
    },
    {
      what: 'a later error without a code',
      result: {
        kind: 'refused',
        errors: [invalid(pointer), { message: 'Oops' }],
      },
    },
    { what: 'an accepted batch', result: { kind: 'accepted' } },
    { what: 'an answer that is not GraphQL', result: { kind: 'unreadable', status: 400 } },
  ])('$what → no row', ({ result }) => {
    expect(rejected(result)).toEqual({});
  });

  it('one row within the batch, one beyond it → only the first', () => {
    const answer = refused(
      invalid({ '/input/signals/1/token': 'No', '/input/signals/2/token': 'No' }),
    );

    expect(rejected(answer, 2)).toEqual({ 1: [invalid({ '/input/token': 'No' })] });
  });
});
