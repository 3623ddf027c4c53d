import { newToken } from '../support/startDispatcher.ts';
import { useApi } from './apiUnderTest.ts';

const PROFILE = '/applications/a%2F1/candidate-application-profile';
const POSITION = '/positions/p%2F1';
const PROFILE_ID = 'seekAnz:candidateApplicationProfile:apply:1';
const TOO_LONG = 'x'.repeat(256);

const { setup: setupApi } = useApi();

const setup = async () => {
  const api = await setupApi();
  return {
    ...api,
    /** The status and the parsed body of an answer. */
    ask: async (method: string, path: string, body?: unknown): Promise<[number, unknown]> => {
      const answer = await api.call(method, path, body);
      const text = await answer.text();
      return [answer.status, text === '' ? undefined : JSON.parse(text)];
    },
  };
};

describe.each([
  {
    path: PROFILE,
    body: { candidateApplicationProfileId: PROFILE_ID },
    id: { applicationId: 'a/1' },
    event: 'candidateApplicationProfile',
  },
  {
    path: POSITION,
    body: { positionProfileIds: ['seekAnz:positionProfile:jobAd:1'] },
    id: { positionId: 'p/1' },
    event: 'position',
  },
])('$path', ({ path, body, id, event }) => {
  it('PUT → recorded: GET returns it, DELETE removes it, and both are logged', async () => {
    const { ask, logs } = await setup();

    expect(await ask('PUT', path, body)).toEqual([204, undefined]);
    expect(await ask('GET', path)).toEqual([
      200,
      { ...id, ...body, recordedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
    ]);
    expect(await ask('DELETE', path)).toEqual([204, undefined]);
    expect(await ask('GET', path)).toEqual([404, { message: expect.stringMatching(/recorded/) }]);
    expect(await ask('DELETE', path)).toEqual([204, undefined]);
    expect(logs.lines()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ msg: `${event}.recorded`, ...id }),
        expect.objectContaining({ msg: `${event}.removed`, ...id, by: 'ats' }),
      ]),
    );
  });

  it('PUT with an id in the body → 422, because the path gives it', async () => {
    const { ask } = await setup();
    const [name = ''] = Object.keys(id);

    expect(await ask('PUT', path, { ...body, ...id })).toEqual([
      422,
      { message: 'Input validation failed', invalidFields: { [`/${name}`]: 'Unknown field' } },
    ]);
  });
});

describe('an invalid recording', () => {
  it.each([
    { path: PROFILE, body: {}, problems: ['/candidateApplicationProfileId'] },
    {
      path: PROFILE,
      body: { candidateApplicationProfileId: ' x', profile: 1 },
      problems: ['/candidateApplicationProfileId', '/profile'],
    },
    { path: POSITION, body: { positionProfileIds: [] }, problems: ['/positionProfileIds'] },
    {
      path: POSITION,
      body: { positionProfileIds: ['ok', TOO_LONG, ''], more: 1 },
      problems: ['/more', '/positionProfileIds/1', '/positionProfileIds/2'],
    },
    { path: `/positions/${TOO_LONG}`, body: {}, problems: ['/positionId'] },
    {
      path: `/applications/${TOO_LONG}/candidate-application-profile`,
      body: {},
      problems: ['/applicationId'],
    },
    { path: POSITION, body: [], problems: [''] },
  ])('$body → 422 with the problems $problems, and nothing is recorded', async (invalid) => {
    const { ask } = await setup();

    const [status, answer] = await ask('PUT', invalid.path, invalid.body);

    expect(status).toBe(422);
    expect(Object.keys(Reflect.get(Object(answer), 'invalidFields')).toSorted()).toEqual(
      invalid.problems,
    );
    expect((await ask('GET', POSITION))[0]).toBe(404);
    expect((await ask('GET', PROFILE))[0]).toBe(404);
  });
});

describe('POST /identifiers/batch', () => {
  it('a mix → one result per recording, in order; an invalid one does not stop the others', async () => {
    const { ask } = await setup();
    const token = newToken();
    const identifiers = [
      { applicationId: 'a/1', token, source: 'linkOut' },
      { applicationId: 'a/2', token: '', source: 'email' },
      { applicationId: 'a/1', candidateApplicationProfileId: PROFILE_ID },
      { positionId: 'p/1', positionProfileIds: 'one' },
      { positionId: 'p/1', positionProfileIds: ['two', 'three'] },
      { applicationId: 'a/3', token, source: 'linkOut' },
      'anything',
    ];

    expect(await ask('POST', '/identifiers/batch', { identifiers })).toEqual([
      200,
      {
        results: [
          {},
          { invalidFields: { '/source': expect.any(String), '/token': expect.any(String) } },
          {},
          {},
          {},
          { warnings: [expect.stringMatching(/^\/token: .*another application/)] },
          { invalidFields: { '': expect.any(String) } },
        ],
      },
    ]);
    expect((await ask('GET', '/applications/a%2F1/seek-token'))[0]).toBe(200);
    expect((await ask('GET', '/applications/a%2F2/seek-token'))[0]).toBe(404);
    expect((await ask('GET', PROFILE))[1]).toMatchObject({
      candidateApplicationProfileId: PROFILE_ID,
    });
    expect((await ask('GET', POSITION))[1]).toMatchObject({ positionProfileIds: ['two', 'three'] });
  });

  it('1000 recordings → all are recorded', async () => {
    const { ask } = await setup();
    const identifiers = Array.from({ length: 1_000 }, (_, index) => ({
      positionId: `p/${index}`,
      positionProfileIds: `profile ${index}`,
    }));

    const [status, answer] = await ask('POST', '/identifiers/batch', { identifiers });

    expect([status, answer]).toEqual([200, { results: identifiers.map(() => ({})) }]);
    expect((await ask('GET', '/positions/p%2F999'))[1]).toMatchObject({
      positionProfileIds: ['profile 999'],
    });
  });

  it.each([
    ['no list', {}],
    ['a list of 1001', { identifiers: Array(1_001).fill({}) }],
    ['another body', []],
  ])('%s → 422', async (_, body) => {
    const { ask } = await setup();

    expect(await ask('POST', '/identifiers/batch', body)).toEqual([
      422,
      {
        message: 'Input validation failed',
        invalidFields: { '/identifiers': 'Expected a list of up to 1000 recordings' },
      },
    ]);
  });

  it('over 4 MiB → 413', async () => {
    const { ask } = await setup();
    const identifiers = [{ applicationId: 'x'.repeat(4 * 1024 * 1024) }];

    expect((await ask('POST', '/identifiers/batch', { identifiers }))[0]).toBe(413);
  });
});
