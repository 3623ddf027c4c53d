import { createOutbox, type OutboxClient } from '../../../src/producer/outbox/createOutbox.ts';
import { recordAll, toRejectedRecord } from '../../../src/producer/outbox/records.ts';
import type { RecordingResult } from '../../../src/producer/recordIdentifiers.ts';

const setup = () => {
  const sent: unknown[] = [];
  const client: OutboxClient = {
    query: async (...statement) => {
      sent.push(statement);
    },
  };
  return { client, sent, outbox: createOutbox({ name: 'careers' }) };
};

const INSERT = 'INSERT INTO seek_signals.outbox (record, sender) VALUES ($1::jsonb, $2)';

describe('the records of createOutbox', () => {
  it('valid input → one INSERT with what recordMany takes', async () => {
    const { client, sent, outbox } = setup();
    const token = { applicationId: 'one', token: 'token', source: 'linkOut' as const };
    const receivedAt = '2026-01-31T09:30:00.000Z';

    await outbox.recordSeekToken(client, { ...token, receivedAt: new Date(receivedAt) });
    const profile = { applicationId: 'one', candidateApplicationProfileId: 'profile' };
    await outbox.recordCandidateApplicationProfile(client, profile);
    await outbox.recordPosition(client, { positionId: 'position', positionProfileIds: 'only' });

    expect(sent).toEqual([
      [INSERT, [JSON.stringify({ ...token, receivedAt }), 'careers']],
      [INSERT, [JSON.stringify(profile), 'careers']],
      [INSERT, ['{"positionId":"position","positionProfileIds":["only"]}', 'careers']],
    ]);
  });

  it('token without receivedAt → the time of the call', () => {
    const { outbox } = setup();
    const before = Date.now();

    const { record } = outbox.recordRow({
      applicationId: 'one',
      token: 'token',
      source: 'linkOut',
    });

    const { receivedAt } = JSON.parse(record);
    expect(Date.parse(receivedAt)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(receivedAt)).toBeLessThanOrEqual(Date.now());
  });

  it('recordStatement → the statement of the function for the same input', async () => {
    const { client, sent, outbox } = setup();
    const position = { positionId: 'position', positionProfileIds: ['only'] };
    await outbox.recordPosition(client, position);

    const { text, values } = outbox.recordStatement(position);

    expect([text, values]).toEqual(sent[0]);
  });

  it('invalid input → a typed error, and no statement', async () => {
    const { client, sent, outbox } = setup();

    await expect(
      outbox.recordSeekToken(client, { applicationId: 'one', token: ' x ', source: 'linkOut' }),
    ).rejects.toMatchObject({
      name: 'InvalidSeekTokenError',
      invalidFields: { '/token': expect.any(String) },
    });
    await expect(
      outbox.recordPosition(client, { positionId: 'position', positionProfileIds: [] }),
    ).rejects.toMatchObject({ name: 'InvalidIdentifierError' });
    await expect(
      outbox.recordCandidateApplicationProfile(client, {
        applicationId: '',
        candidateApplicationProfileId: 'x',
      }),
    ).rejects.toMatchObject({ name: 'InvalidIdentifierError' });
    expect(sent).toEqual([]);
  });
});

describe('recordAll', () => {
  it('the queue fails for one application → only its rows have no result', async () => {
    const failure = new Error('unreadable');
    const recordMany = async (inputs: readonly unknown[]) => {
      if (JSON.stringify(inputs).includes('broken')) throw failure;
      return inputs.map(
        (input): RecordingResult =>
          JSON.stringify(input).includes('invalid') ? { invalidFields: { '/source': 'why' } } : {},
      );
    };
    const rowOf = (record: unknown, index: number) => ({ id: String(index), record });

    const recorded = await recordAll(
      recordMany,
      [
        { applicationId: 'broken', token: 'a' },
        { applicationId: 'sound', token: 'b' },
        { applicationId: 'broken', token: 'c' },
        { applicationId: 'sound', token: 'invalid' },
        'invalid',
      ].map(rowOf),
    );

    const reason = '{"/source":"why"}';
    expect(recorded).toEqual({
      failure,
      results: [
        { kind: 'recorded', id: '1' },
        { kind: 'rejected', id: '3', reason },
        { kind: 'rejected', id: '4', reason },
      ],
    });
  });
});

describe('toRejectedRecord', () => {
  it.each([
    { given: 'a token', record: { applicationId: 'one', token: 'secret', source: 'x' } },
    { given: 'a token under another name', record: { applicationId: 'one', seekToken: 'secret' } },
    { given: 'a nested token', record: { token: { text: 'secret' } } },
    { given: 'no object', record: 'secret' },
    { given: 'nothing', record: undefined },
  ])('$given → no token', ({ record }) => {
    expect(JSON.stringify(toRejectedRecord(record))).not.toContain('secret');
  });

  it('identifiers → kept, so that the row can be repaired', () => {
    const position = { positionId: 'position', positionProfileIds: ['only'] };

    expect(toRejectedRecord({ ...position, other: 1 })).toEqual(position);
  });
});
