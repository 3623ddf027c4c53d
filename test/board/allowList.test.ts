import { appRoutes } from '@bull-board/api/dist/routes.js';

import { type BoardUnderTest, LETTER, RETRYING, startBoard } from './boardUnderTest.ts';

/** Every route that Bull Board has, and in which queue the board lets it through. */
const VERDICTS = new Map([
  ['get /api/queues', 'both'],
  ['get /api/queues/:queueName/:jobId', 'both'],
  ['get /api/queues/:queueName/:jobId/logs', 'both'],
  ['get /api/queues/:queueName/:jobId/flow', 'both'],
  ['get /api/queues/:queueName/default-job-options', 'both'],
  ['get /api/queues/:queueName/rate-limit', 'both'],
  ['put /api/queues/:queueName/:jobId/retry', 'dead-letters'],
  ['put /api/queues/:queueName/retry/:queueStatus', 'dead-letters'],
  ['put /api/queues/:queueName/:jobId/promote', 'signals'],
  ['put /api/queues/:queueName/promote', 'signals'],
  ['get /api/redis/stats', 'none'],
  ['get /api/job-schedulers', 'none'],
  ['get /api/queues/:queueName/metrics', 'none'],
  ['get /api/queues/:queueName/workers', 'none'],
  ['get /api/queues/:queueName/job-data-schema', 'none'],
  ['put /api/queues/pause', 'none'],
  ['put /api/queues/resume', 'none'],
  ['post /api/queues/:queueName/add', 'none'],
  ['put /api/queues/:queueName/clean/:queueStatus', 'none'],
  ['put /api/queues/:queueName/pause', 'none'],
  ['put /api/queues/:queueName/resume', 'none'],
  ['put /api/queues/:queueName/concurrency', 'none'],
  ['put /api/queues/:queueName/rate-limit', 'none'],
  ['put /api/queues/:queueName/rate-limit/release', 'none'],
  ['put /api/queues/:queueName/empty', 'none'],
  ['put /api/queues/:queueName/obliterate', 'none'],
  ['put /api/queues/:queueName/job-schedulers/:schedulerId/remove', 'none'],
  ['patch /api/queues/:queueName/job-schedulers/:schedulerId', 'none'],
  ['put /api/queues/:queueName/job-schedulers/:schedulerId/run', 'none'],
  ['put /api/queues/:queueName/:jobId/clean', 'none'],
  ['patch /api/queues/:queueName/:jobId/update-data', 'none'],
  ['patch /api/queues/:queueName/:jobId/delay', 'none'],
  ['patch /api/queues/:queueName/:jobId/priority', 'none'],
  ['put /api/queues/:queueName/:jobId/remove-unprocessed-children', 'none'],
]);

const installed = appRoutes.api.flatMap(({ method, route }) =>
  [method].flat().flatMap((verb) => [route].flat().map((path) => `${verb} ${path}`)),
);

let subject: BoardUnderTest;
beforeAll(async () => {
  subject = await startBoard();
});
beforeEach(() => subject.reset());
afterAll(() => subject.stop());

const jobIn = { signals: RETRYING, 'dead-letters': LETTER };

const cases = [...VERDICTS].flatMap(([route, verdict]) =>
  (['signals', 'dead-letters'] as const).map((queue) => ({
    ...{ route, queue },
    outcome: verdict === 'both' || verdict === queue ? 'allows' : 'refuses',
  })),
);

describe('the allow-list', () => {
  it('has a verdict on every route of the installed Bull Board', () => {
    expect(installed.sort()).toEqual([...VERDICTS.keys()].sort());
  });

  it.each(cases)('$outcome $route in $queue', async ({ route, queue, outcome }) => {
    const [method = '', pattern = ''] = route.split(' ');
    const path = pattern
      .replace(':queueName', queue)
      .replace(':jobId', jobIn[queue])
      .replace(':queueStatus', 'failed')
      .replace(':schedulerId', 'any');
    const before = await subject.deadLetters.getJobCounts();

    const response = await subject.request(method.toUpperCase(), path);

    if (outcome === 'allows') {
      expect([200, 204]).toContain(response.status);
    } else {
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ message: expect.stringMatching(/^Refused: /) });
      expect(await subject.deadLetters.getJobCounts()).toEqual(before);
      expect(await subject.signals.getDelayedCount()).toBe(1);
    }
  });

  it.each([
    ['PUT', `/api/queues/signals%2F..%2Fdead-letters/${LETTER}/clean`],
    ['PUT', `/api/queues/dead-letters/${LETTER}%2Fclean/retry`],
    ['PUT', `/api/queues/dead-letters/${LETTER}/%63lean`],
    ['PUT', `/api/queues/dead-letters/retry/../${LETTER}/clean`],
    ['PUT', `/api//queues/dead-letters/${LETTER}/clean`],
    ['PUT', `/api/queues/dead-letters/${LETTER}/clean/`],
    ['PUT', `/API/queues/dead-letters/${LETTER}/clean`],
    ['PUT', '/api/queues/dead-letters/retry/retry'],
    ['PUT', '/api/queues/dead-letters/retry/clean'],
    ['PUT', '/api/queues/retry/dead-letters/clean'],
    ['POST', `/api/queues/dead-letters/${LETTER}/retry`],
    ['DELETE', `/api/queues/dead-letters/${LETTER}`],
    ['OPTIONS', '/api/queues'],
  ])('is not deceived by %s %s', async (method, path) => {
    const response = await subject.request(method, path);

    expect([403, 404]).toContain(response.status);
    expect(await subject.deadLetters.getFailedCount()).toBe(1);
  });

  it('reads the method from the request line alone', async () => {
    const override = { 'x-http-method-override': 'PUT', 'x-http-method': 'PUT' };
    const path = `/api/queues/dead-letters/${LETTER}/retry?_method=PUT`;

    expect((await subject.request('GET', path, override)).status).toBe(404);
    expect(await subject.deadLetters.getFailedCount()).toBe(1);
  });

  it('answers no page that would be a whole queue', async () => {
    expect((await subject.request('GET', '/api/queues?jobsPerPage=300')).status).toBe(200);
    expect((await subject.request('GET', '/api/queues?jobsPerPage=301')).status).toBe(403);
  });
});
