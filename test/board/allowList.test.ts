import { appRoutes } from '@bull-board/api/dist/routes.js';

import { type BoardUnderTest, DEAD_LETTER, RETRYING, startBoard } from './boardUnderTest.ts';

/** Every route of Bull Board, and the queue in which the board allows it. */
const ALLOWED_IN = new Map([
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

const jobIn = { signals: RETRYING, 'dead-letters': DEAD_LETTER };

const cases = [...ALLOWED_IN].flatMap(([route, allowedIn]) =>
  (['signals', 'dead-letters'] as const).map((queue) => ({
    route,
    queue,
    outcome: allowedIn === 'both' || allowedIn === queue ? 'allowed' : 'refused',
  })),
);

describe('allow list', () => {
  it('is tested with every route of the installed Bull Board', () => {
    expect(installed.sort()).toEqual([...ALLOWED_IN.keys()].sort());
  });

  it.each(cases)('$route in $queue → $outcome', async ({ route, queue, outcome }) => {
    const [method = '', pattern = ''] = route.split(' ');
    const path = pattern
      .replace(':queueName', queue)
      .replace(':jobId', jobIn[queue])
      .replace(':queueStatus', 'failed')
      .replace(':schedulerId', 'any');
    const before = await subject.deadLetters.getJobCounts();

    const response = await subject.request(method.toUpperCase(), path);

    if (outcome === 'allowed') {
      expect([200, 204]).toContain(response.status);
    } else {
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ message: expect.stringMatching(/^Refused: /) });
      expect(await subject.deadLetters.getJobCounts()).toEqual(before);
      expect(await subject.signals.getDelayedCount()).toBe(1);
    }
  });

  it.each([
    ['PUT', `/api/queues/signals%2F..%2Fdead-letters/${DEAD_LETTER}/clean`],
    ['PUT', `/api/queues/dead-letters/${DEAD_LETTER}%2Fclean/retry`],
    ['PUT', `/api/queues/dead-letters/${DEAD_LETTER}/%63lean`],
    ['PUT', `/api/queues/dead-letters/retry/../${DEAD_LETTER}/clean`],
    ['PUT', `/api//queues/dead-letters/${DEAD_LETTER}/clean`],
    ['PUT', `/api/queues/dead-letters/${DEAD_LETTER}/clean/`],
    ['PUT', `/API/queues/dead-letters/${DEAD_LETTER}/clean`],
    ['PUT', '/api/queues/dead-letters/retry/retry'],
    ['PUT', '/api/queues/dead-letters/retry/clean'],
    ['PUT', '/api/queues/retry/dead-letters/clean'],
    ['POST', `/api/queues/dead-letters/${DEAD_LETTER}/retry`],
    ['DELETE', `/api/queues/dead-letters/${DEAD_LETTER}`],
    ['OPTIONS', '/api/queues'],
  ])('%s %s, a path spelled to bypass it → refused', async (method, path) => {
    const response = await subject.request(method, path);

    expect([403, 404]).toContain(response.status);
    expect(await subject.deadLetters.getFailedCount()).toBe(1);
  });

  it('a method override in a header or the query → ignored', async () => {
    const override = { 'x-http-method-override': 'PUT', 'x-http-method': 'PUT' };
    const path = `/api/queues/dead-letters/${DEAD_LETTER}/retry?_method=PUT`;

    expect((await subject.request('GET', path, override)).status).toBe(404);
    expect(await subject.deadLetters.getFailedCount()).toBe(1);
  });

  it('more than 300 jobs per page → refused', async () => {
    expect((await subject.request('GET', '/api/queues?jobsPerPage=300')).status).toBe(200);
    expect((await subject.request('GET', '/api/queues?jobsPerPage=301')).status).toBe(403);
  });
});
