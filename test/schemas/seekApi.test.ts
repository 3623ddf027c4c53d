import {
  PartnerTokenAnswerSchema,
  SeekErrorSchema,
  toMutation,
} from '../../src/schemas/seekApi.ts';
import { buildApplicationComplete, buildSeekSample } from '../support/buildSignal.ts';
import { acceptedBySeek } from './parse.ts';

describe('the mutation for SEEK', () => {
  const [one, other] = [
    acceptedBySeek(buildSeekSample()),
    acceptedBySeek(buildApplicationComplete()),
  ];

  it('one signal → the documented sendSignal, with the signal as its variable', () => {
    expect(toMutation([one])).toStrictEqual({
      query: 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }',
      variables: { input: one },
    });
  });

  it('several signals → the documented sendSignals, in their order', () => {
    expect(toMutation([one, other, one])).toStrictEqual({
      query: 'mutation ($input: SendSignalsInput!) { sendSignals(input: $input) }',
      variables: { input: { signals: [one, other, one] } },
    });
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
  ])('$given → $read', ({ given, read }) => {
    expect(SeekErrorSchema.parse(given)).toEqual(read);
  });
});

describe('PartnerTokenAnswerSchema', () => {
  it.each([
    {},
    { access_token: '', expires_in: 1800 },
    { access_token: 7, expires_in: 1800 },
    [],
    null,
    'a',
  ])('%j → rejected', (answer) => {
    expect(PartnerTokenAnswerSchema.safeParse(answer).success).toBe(false);
  });
});
