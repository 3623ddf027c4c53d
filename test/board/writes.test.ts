import { waitFor } from '../support/waitFor.ts';

import { type BoardUnderTest, DEAD_LETTER, LOGIN, RETRYING, startBoard } from './boardUnderTest.ts';

let subject: BoardUnderTest;
beforeAll(async () => {
  subject = await startBoard();
});
beforeEach(() => subject.reset());
afterAll(() => subject.stop());

describe('a write in Bull Board', () => {
  it('Retry of a dead letter → retried, logged, and recorded with the login', async () => {
    const response = await subject.request('PUT', `/api/queues/dead-letters/${DEAD_LETTER}/retry`);

    expect(response.status).toBe(204);
    await waitFor(async () => (await subject.deadLetters.getJob(DEAD_LETTER))?.attemptsMade === 2);
    expect(subject.logged).toEqual([
      expect.objectContaining({
        message: 'Board write allowed',
        jobId: DEAD_LETTER,
        by: LOGIN.username,
      }),
    ]);
    expect(subject.redrivers).toEqual([[DEAD_LETTER, `board:${LOGIN.username}`]]);
  });

  it('Retry all → retries the failed dead letters, not the completed ones', async () => {
    await subject.moveToDeadLetters('redriven', { returnvalue: 'redriven' });

    const response = await subject.request('PUT', '/api/queues/dead-letters/retry/failed');

    expect(await response.json()).toEqual({ retried: 1, skipped: 0 });
    await waitFor(async () => (await subject.deadLetters.getJob(DEAD_LETTER))?.attemptsMade === 2);
    expect(await subject.deadLetters.getJob('redriven')).toMatchObject({ attemptsMade: 1 });
  });

  it.each(['redriven/retry', 'retry/completed'])(
    '%s, of a dead letter already redriven → refused',
    async (path) => {
      await subject.moveToDeadLetters('redriven', { returnvalue: 'redriven' });

      const response = await subject.request('PUT', `/api/queues/dead-letters/${path}`);

      expect(response.status).toBe(403);
      expect(await subject.deadLetters.getJob('redriven')).toMatchObject({ attemptsMade: 1 });
    },
  );

  it.each([`${RETRYING}/promote`, 'promote'])(
    '%s → the retrying signal waits for a worker at once',
    async (path) => {
      const response = await subject.request('PUT', `/api/queues/signals/${path}`);

      expect(response.ok).toBe(true);
      expect(await subject.signals.getDelayedCount()).toBe(0);
      expect(await subject.signals.getWaitingCount()).toBe(1);
    },
  );

  it('Retry of an unknown dead letter → 404', async () => {
    const response = await subject.request('PUT', '/api/queues/dead-letters/unknown/retry');

    expect(response.status).toBe(404);
  });
});

describe('a read-only board', () => {
  it.each([
    `dead-letters/${DEAD_LETTER}/retry`,
    'dead-letters/retry/failed',
    `signals/${RETRYING}/promote`,
    'signals/promote',
  ])('%s → refused', async (path) => {
    const response = await subject.board(true)('PUT', `/api/queues/${path}`);

    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ message: 'Refused: this board is read-only.' });
    expect(await subject.deadLetters.getFailedCount()).toBe(1);
    expect(await subject.signals.getDelayedCount()).toBe(1);
  });

  it('reports read-only mode to the page, which then shows no buttons', async () => {
    const response = await subject.board(true)('GET', '/api/queues');

    expect(await response.json()).toMatchObject({
      queues: [{ readOnlyMode: true }, { readOnlyMode: true }],
    });
  });
});
