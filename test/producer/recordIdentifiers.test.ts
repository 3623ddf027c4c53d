import { InvalidIdentifierError, QueueUnavailableError } from '../../src/producer/errors.ts';
import { createRecordIdentifiers } from '../../src/producer/recordIdentifiers.ts';
import { createRecordSeekToken } from '../../src/producer/recordSeekToken.ts';
import { explainLocalFailure } from '../../src/queue/failure.ts';
import { captureLogs } from '../support/captureLogs.ts';

type Doubles = {
  waitForReplicas?: (since: number) => Promise<void>;
  writePosition?: (positionId: string, ids: string[]) => Promise<void>;
  deadlineMs?: number;
};

const setup = ({ waitForReplicas = async () => {}, writePosition, deadlineMs }: Doubles = {}) => {
  const recorded: unknown[] = [];
  const logs = captureLogs();
  const { logger } = logs;
  const identifiers = createRecordIdentifiers({
    recordSeekToken: createRecordSeekToken({
      tokens: {
        record: async (applicationId, { token }) => {
          recorded.push([applicationId, token]);
          return {};
        },
      },
      waitForReplicas,
      explainFailure: explainLocalFailure,
      logger,
    }),
    seekTokens: {
      recordCandidateApplicationProfile: async (applicationId, id) => {
        recorded.push([applicationId, id]);
        return {};
      },
      removeCandidateApplicationProfile: async (applicationId) => {
        recorded.push(['removed', applicationId]);
      },
    },
    positions: {
      record:
        writePosition ??
        (async (positionId, ids) => {
          recorded.push([positionId, ids]);
        }),
      remove: async (positionId) => {
        recorded.push(['removed', positionId]);
      },
    },
    waitForReplicas,
    explainFailure: explainLocalFailure,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    logger,
  });
  return { ...identifiers, recorded, logs };
};

const TOKEN = { applicationId: 'a-1', token: 't', source: 'linkOut' };
const PROFILE = { applicationId: 'a-2', candidateApplicationProfileId: 'seekAnz:profile:2' };
const POSITION = { positionId: 'p-1', positionProfileIds: 'seekAnz:position:1' };

describe('recordMany', () => {
  it('tokens, profiles and positions in any mix → one result each, in order', async () => {
    const { recordMany, recorded } = setup();

    await expect(recordMany([POSITION, TOKEN, PROFILE])).resolves.toEqual([{}, {}, {}]);
    expect(recorded).toEqual(
      expect.arrayContaining([
        ['p-1', ['seekAnz:position:1']],
        ['a-1', 't'],
        ['a-2', 'seekAnz:profile:2'],
      ]),
    );
  });

  it('invalid recordings → every problem of each, and the others are recorded', async () => {
    const { recordMany, recorded } = setup();

    await expect(
      recordMany([
        { positionId: ' p', positionProfileIds: [] },
        { ...PROFILE, applicationId: '' },
        { applicationId: 'a', token: '', source: 'elsewhere' },
        'nothing',
        POSITION,
      ]),
    ).resolves.toEqual([
      {
        invalidFields: {
          '/positionId': 'Must not begin or end with white space',
          '/positionProfileIds': 'Must name at least one position profile',
        },
      },
      { invalidFields: { '/applicationId': 'Must not be empty' } },
      { invalidFields: { '/source': expect.any(String), '/token': 'Must not be empty' } },
      { invalidFields: { '': expect.any(String) } },
      {},
    ]);
    expect(recorded).toEqual([['p-1', ['seekAnz:position:1']]]);
  });

  it('one position twice in one call → written in order, so the last counts', async () => {
    const written: string[][] = [];
    const { recordMany } = setup({
      writePosition: async (_, ids) => {
        // The first write takes longer than the second would.
        if (written.length === 0) await new Promise((resolve) => setImmediate(resolve));
        written.push(ids);
      },
    });

    await recordMany([POSITION, { ...POSITION, positionProfileIds: ['newer'] }]);

    expect(written).toEqual([['seekAnz:position:1'], ['newer']]);
  });

  it('replicas that do not answer → QueueUnavailableError', async () => {
    const { recordMany } = setup({ waitForReplicas: () => Promise.reject(new Error('too few')) });

    await expect(recordMany([PROFILE])).rejects.toBeInstanceOf(QueueUnavailableError);
  });
});

describe('recordPosition', () => {
  it('a field that SEEK does not know → InvalidIdentifierError that names it', async () => {
    const error = await setup()
      .recordPosition({ ...POSITION, profile: 'p' })
      .catch((err: unknown) => err);

    expect(error).toBeInstanceOf(InvalidIdentifierError);
    expect(error).toHaveProperty('invalidFields', { '/profile': 'Unknown field' });
  });

  it('a write that never ends → QueueUnavailableError within the time limit', async () => {
    const { recordPosition } = setup({
      writePosition: () => new Promise(() => {}),
      deadlineMs: 20,
    });

    await expect(recordPosition(POSITION)).rejects.toBeInstanceOf(QueueUnavailableError);
  });
});

describe('removals', () => {
  it('a profile and a position → removed, once the replicas have it', async () => {
    const waits: number[] = [];
    const { removeCandidateApplicationProfile, removePosition, recorded } = setup({
      waitForReplicas: async (since) => void waits.push(since),
    });

    await removeCandidateApplicationProfile('a-1');
    await removePosition('p-1');

    expect(recorded).toEqual([
      ['removed', 'a-1'],
      ['removed', 'p-1'],
    ]);
    expect(waits).toHaveLength(2);
  });
});
