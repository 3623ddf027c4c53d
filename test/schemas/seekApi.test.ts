import {
  PartnerTokenAnswerSchema,
  SEND_SIGNAL,
  SeekErrorSchema,
  toSendSignalVariables,
} from '../../src/schemas/seekApi.ts';
import { buildSeekSample } from '../support/buildSignal.ts';
import { accepted } from './parse.ts';

describe('the request to SEEK', () => {
  it('is SEEK’s documented mutation', () => {
    expect(SEND_SIGNAL).toBe('mutation ($input: SendSignalInput!) { sendSignal(input: $input) }');
  });

  it('carries the signal as its one variable', () => {
    const signal = accepted(buildSeekSample());

    expect(toSendSignalVariables(signal)).toStrictEqual({ input: signal });
  });
});

describe('SeekErrorSchema', () => {
  it.each([
    {
      given: { message: 'm', extensions: { code: 'C', a: 1 } },
      read: { message: 'm', extensions: { code: 'C', a: 1 } },
    },
    {
      given: { message: 'm', extensions: { code: 7, a: 1 } },
      read: { message: 'm', extensions: { a: 1 } },
    },
    { given: { message: 'm', extensions: null }, read: { message: 'm' } },
    { given: { message: 7, path: ['sendSignal'] }, read: { message: '' } },
    { given: {}, read: { message: '' } },
  ])('makes the best of $given', ({ given, read }) => {
    expect(SeekErrorSchema.parse(given)).toEqual(read);
  });
});

describe('PartnerTokenAnswerSchema', () => {
  it.each([
    {},
    { access_token: '', expires_in: 1800 },
    { access_token: 'a' },
    { access_token: 'a', expires_in: 0 },
    { access_token: 'a', expires_in: -1 },
    { access_token: 'a', expires_in: '1800' },
    { access_token: 7, expires_in: 1800 },
    [],
    null,
    'a',
  ])('refuses %j', (answer) => {
    expect(PartnerTokenAnswerSchema.safeParse(answer).success).toBe(false);
  });
});
