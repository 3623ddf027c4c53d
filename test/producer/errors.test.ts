import {
  IdempotencyConflictError,
  InvalidSignalError,
  QueueUnavailableError,
} from '../../src/producer/errors.ts';

describe('InvalidSignalError', () => {
  it('tells every problem in its message, the whole signal as /', () => {
    const invalidFields = { '': 'Expected an object', '/token': 'Is required' };
    const error = new InvalidSignalError(invalidFields);

    expect(error).toMatchObject({
      name: 'InvalidSignalError',
      message: 'Invalid signal: /: Expected an object; /token: Is required',
      invalidFields,
    });
  });
});

describe('QueueUnavailableError', () => {
  it('keeps its cause', () => {
    const cause = new Error('ECONNREFUSED');

    expect(new QueueUnavailableError({ cause })).toMatchObject({
      name: 'QueueUnavailableError',
      cause,
    });
  });
});

describe('IdempotencyConflictError', () => {
  it('says which signal the key stands for', () => {
    expect(new IdempotencyConflictError('the-id')).toMatchObject({
      name: 'IdempotencyConflictError',
      signalId: 'the-id',
    });
  });
});
