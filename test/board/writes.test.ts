import { waitFor } from '../support/waitFor.ts';

import { type BoardUnderTest, LETTER, LOGIN, RETRYING, startBoard } from './boardUnderTest.ts';

let subject: BoardUnderTest;
beforeAll(async () => {
  subject = await startBoard();
});
beforeEach(() => subject.reset());
afterAll(() => subject.stop());

describe('writes', () => {
  it('retries one letter, and says so in the log', async () => {
    const response = await subject.request('PUT', `/api/queues/dead-letters/${LETTER}/retry`);

    expect(response.status).toBe(204);
    await waitFor(async () => (await subject.deadLetters.getJob(LETTER))?.attemptsMade === 2);
    expect(subject.logged).toEqual([
      expect.objectContaining({
        message: 'Board write allowed',
        jobId: LETTER,
        by: LOGIN.username,
      }),
    ]);
    expect(subject.redrivers).toEqual([[LETTER, `board:${LOGIN.username}`]]);
  });

  it('retries all letters that failed, and none that completed', async () => {
    await subject.moveToDeadLetters('redriven', { returnvalue: 'redriven' });

    const response = await subject.request('PUT', '/api/queues/dead-letters/retry/failed');

    expect(await response.json()).toEqual({ retried: 1, skipped: 0 });
    await waitFor(async () => (await subject.deadLetters.getJob(LETTER))?.attemptsMade === 2);
    expect(await subject.deadLetters.getJob('redriven')).toMatchObject({ attemptsMade: 1 });
  });

  it.each(['redriven/retry', 'retry/completed'])(
    'refuses %s: the signal has long gone out again',
    async (path) => {
      await subject.moveToDeadLetters('redriven', { returnvalue: 'redriven' });

      const response = await subject.request('PUT', `/api/queues/dead-letters/${path}`);

      expect(response.status).toBe(403);
      expect(await subject.deadLetters.getJob('redriven')).toMatchObject({ attemptsMade: 1 });
    },
  );

  it.each([`${RETRYING}/promote`, 'promote'])('brings a retry forward with %s', async (path) => {
    const response = await subject.request('PUT', `/api/queues/signals/${path}`);

    expect(response.ok).toBe(true);
    expect(await subject.signals.getDelayedCount()).toBe(0);
    expect(await subject.signals.getWaitingCount()).toBe(1);
  });

  it('has an answer for a letter that is not there', async () => {
    const response = await subject.request('PUT', '/api/queues/dead-letters/nobody/retry');

    expect(response.status).toBe(404);
  });
});

describe('a read-only board', () => {
  it.each([
    `dead-letters/${LETTER}/retry`,
    'dead-letters/retry/failed',
    `signals/${RETRYING}/promote`,
    'signals/promote',
  ])('refuses %s', async (path) => {
    const response = await subject.board(true)('PUT', `/api/queues/${path}`);

    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ message: 'Refused: this board is read-only.' });
    expect(await subject.deadLetters.getFailedCount()).toBe(1);
    expect(await subject.signals.getDelayedCount()).toBe(1);
  });

  it('tells the page, which then shows no buttons', async () => {
    const response = await subject.board(true)('GET', '/api/queues');

    expect(await response.json()).toMatchObject({
      queues: [{ readOnlyMode: true }, { readOnlyMode: true }],
    });
  });
});
