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
  it('failure of the queue → its code, message and cause', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const failure = { code: 'ECONNREFUSED', message: 'Redis at a:6379 is not reachable', cause };

    expect(new QueueUnavailableError(failure)).toMatchObject({
      name: 'QueueUnavailableError',
      ...failure,
    });
  });

  it('cause with the command that failed, or that quotes what it read → neither is copied', () => {
    const command = { name: 'set', args: ['seek-token-1'] };
    const refusal = Object.assign(new Error('OOM command not allowed'), { command });
    const unreadable = new SyntaxError('Unexpected token in seek-token-1');

    for (const cause of [refusal, unreadable]) {
      const error = new QueueUnavailableError({ code: 'OOM', message: 'Full', cause });

      expect(JSON.stringify(error.cause, ['message', 'command', 'args'])).not.toContain(
        'seek-token',
      );
      expect(String(error.cause)).not.toContain('seek-token');
    }
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
