import { maskJob } from '../../src/board/maskJob.ts';
import type { DeadLetter } from '../../src/schemas/deadLetter.ts';
import type { Attempt, SignalJob } from '../../src/schemas/signalJob.ts';

import { type BoardUnderTest, DEAD_LETTER, RETRYING, startBoard, TOKEN } from './boardUnderTest.ts';

const NOW = '2026-07-01T00:00:00.000Z';

const dataOf = (data: unknown) => maskJob({ data }).data;

describe('maskJob', () => {
  it('dead letter → everything is shown but the token', () => {
    const attempt: Attempt = {
      at: NOW,
      requestId: 'request',
      outcome: 'dead',
      durationMs: 12,
      code: 'BAD_USER_INPUT',
      reason: '/input/token: Is not valid',
    };
    const signal = {
      typeCode: 'ApplicationStatusUpdate',
      current: {
        status: { label: 'Interview', index: 2, total: 5 },
        success: true,
        timestamp: NOW,
      },
      candidateApplicationProfileId: 'seekAnzPublicTest:candidateProfile:apply:1',
      positionId: 'requisition-2',
      positionProfileIds: ['seekAnzPublicTest:positionProfile:jobAd:2'],
    };
    const job: Omit<SignalJob, 'signal'> = {
      version: 4,
      contentId: DEAD_LETTER,
      acceptedAt: NOW,
      acceptedFrom: 'ats',
      redrives: 1,
      redrivenAt: NOW,
      redriveOf: `${DEAD_LETTER}@1`,
      attempts: [attempt],
      nextAttemptAt: NOW,
    };
    const deadLetter: Omit<DeadLetter, 'job'> = {
      version: 2,
      signalId: DEAD_LETTER,
      failedJob: { jobId: DEAD_LETTER, finishedAt: 1 },
      redrives: 1,
      typeCode: 'ApplicationStatusUpdate',
      reason: 'Is not valid',
      code: 'BAD_USER_INPUT',
      diedAt: NOW,
      acceptedAt: NOW,
      attempts: [attempt],
      redriveRequested: true,
    };

    expect(dataOf({ ...deadLetter, job: { ...job, signal: { ...signal, token: TOKEN } } })).toEqual(
      {
        ...deadLetter,
        job: { ...job, signal: { ...signal, token: `[masked: length ${TOKEN.length}]` } },
      },
    );
  });

  it.each([
    { what: 'data that is a string', data: TOKEN },
    { what: 'a list', data: [[TOKEN]] },
    { what: 'an unknown field', data: { payload: TOKEN } },
    { what: 'a field with a secret name', data: { partnerAccessToken: TOKEN } },
    { what: 'a shown field inside a secret one', data: { token: { id: [TOKEN] } } },
    { what: 'a secret field inside a shown one', data: { status: { Authorization: TOKEN } } },
    { what: 'a shown field that quotes it', data: { token: TOKEN, reason: `no: ${TOKEN}` } },
    { what: 'a property name', data: { token: TOKEN, [TOKEN]: 1 } },
    { what: 'an Authorization header', data: { reason: `Bearer ${TOKEN}` } },
  ])('token in $what → masked', ({ data }) => {
    expect(JSON.stringify(dataOf(data))).not.toContain(TOKEN);
    expect(JSON.stringify(dataOf(data))).toContain('[masked');
  });

  it('number → masked only in a field with a secret name', () => {
    expect(dataOf({ token: 12345, attempts: 3 })).toEqual({
      token: '[masked: length 5]',
      attempts: 3,
    });
  });

  it('id of the job that a masked field repeats → the id is shown', () => {
    expect(maskJob({ id: DEAD_LETTER, data: { unknown: DEAD_LETTER } })).toMatchObject({
      id: DEAD_LETTER,
    });
  });

  it.each(['returnValue', 'progress', 'opts'])('token in %s → masked', (field) => {
    expect(JSON.stringify(maskJob({ [field]: { x: TOKEN, id: TOKEN } }))).not.toContain(TOKEN);
  });

  it.each(['failedReason', 'stacktrace', 'deferredFailure', 'name'])(
    'token of the job in its %s, quoted or not → removed',
    (field) => {
      const token = `${TOKEN}"\n`;
      const texts = [token, token.trim(), JSON.stringify(token)].map((text) => `for ${text}`);
      const masked = maskJob({ data: { signal: { token } }, [field]: texts });

      expect(JSON.stringify(masked)).not.toContain(TOKEN);
      expect(JSON.stringify(masked[field])).toContain('for [masked]');
    },
  );
});

describe('Bull Board', () => {
  let subject: BoardUnderTest;
  beforeAll(async () => {
    subject = await startBoard();
    await subject.reset();
    const deadLetter = await subject.deadLetters.getJob(DEAD_LETTER);
    await deadLetter?.log(`attempt with ${TOKEN}`);
    await deadLetter?.updateProgress({ at: TOKEN, state: 'done' });
    await subject.moveToDeadLetters('unreadable', TOKEN);
    await subject.moveToDeadLetters('redriven', { returnvalue: { token: TOKEN }, token: TOKEN });
  });
  afterAll(() => subject.stop());

  it.each([
    `/api/queues?activeQueue=signals&status=delayed`,
    `/api/queues?activeQueue=dead-letters&status=failed`,
    `/api/queues?activeQueue=dead-letters&status=latest`,
    `/api/queues/signals/${RETRYING}`,
    `/api/queues/dead-letters/${DEAD_LETTER}`,
    `/api/queues/dead-letters/unreadable`,
    `/api/queues/dead-letters/redriven`,
    `/api/queues/dead-letters/${DEAD_LETTER}/logs`,
  ])('GET %s → holds no token', async (path) => {
    const response = await subject.request('GET', path);
    const text = await response.text();

    expect(response.status).toBe(200);
    expect(text).toContain('[masked');
    expect(text).not.toContain(TOKEN);
  });

  it('job data that is not JSON → an error that does not quote it', async () => {
    const job = await subject.signals.add('broken', {});
    const client = await subject.signals.getBackend().client;
    await client.hset(subject.signals.toKey(job.id ?? ''), { data: TOKEN });

    const response = await subject.request('GET', `/api/queues/signals/${job.id}`);

    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({
      message: 'The data of a job is not valid JSON.',
    });
  });

  it('failed dead letter → shows the reason without the token', async () => {
    const response = await subject.request('GET', `/api/queues/dead-letters/${DEAD_LETTER}`);

    expect(await response.json()).toMatchObject({
      status: 'failed',
      job: { id: DEAD_LETTER, failedReason: '/input/token: Is not valid: [masked]' },
    });
  });
});
