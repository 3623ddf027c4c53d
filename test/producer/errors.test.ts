import {
  IdempotencyConflictError,
  InvalidSignalError,
  QueueUnavailableError,
} from '../../src/producer/errors.ts';

describe('InvalidSignalError', () => {
  it('message → lists all problems, with / for the whole signal', () => {
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
  it('cause → kept', () => {
    const cause = new Error('ECONNREFUSED');

    expect(new QueueUnavailableError({ cause })).toMatchObject({
      name: 'QueueUnavailableError',
      cause,
    });
  });
});

describe('IdempotencyConflictError', () => {
  it('signalId → the signal that the key identifies', () => {
    expect(new IdempotencyConflictError('the-id')).toMatchObject({
      name: 'IdempotencyConflictError',
      signalId: 'the-id',
    });
  });
});
