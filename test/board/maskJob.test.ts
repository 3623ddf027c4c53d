import { maskJob } from '../../src/board/maskJob.ts';
import type { DeadLetter } from '../../src/schemas/deadLetter.ts';
import type { Attempt, SignalJob } from '../../src/schemas/signalJob.ts';

import { type BoardUnderTest, LETTER, RETRYING, startBoard, TOKEN } from './boardUnderTest.ts';

const NOW = '2026-07-01T00:00:00.000Z';

const dataOf = (data: unknown) => maskJob({ data }).data;

describe('maskJob', () => {
  it('shows all of a letter but the token', () => {
    const attempt: Attempt = {
      ...{ at: NOW, requestId: 'request', outcome: 'dead', durationMs: 12 },
      ...{ code: 'BAD_USER_INPUT', reason: '/input/token: Is not valid' },
    };
    const signal = {
      typeCode: 'ApplicationStatusUpdate',
      current: {
        status: { label: 'Interview', index: 2, total: 5 },
        success: true,
        timestamp: NOW,
      },
      candidateApplicationProfileId: 'seekAnzPublicTest:candidateProfile:apply:1',
      positionProfileIds: ['seekAnzPublicTest:positionProfile:jobAd:2'],
    };
    const job: Omit<SignalJob, 'signal'> = {
      ...{ version: 4, contentId: LETTER, acceptedAt: NOW, acceptedFrom: 'ats', redrives: 1 },
      ...{ redrivenAt: NOW, redriveOf: `${LETTER}@1`, attempts: [attempt], nextAttemptAt: NOW },
    };
    const deadLetter: Omit<DeadLetter, 'job'> = {
      ...{ version: 2, signalId: LETTER, failedJob: { jobId: LETTER, finishedAt: 1 }, redrives: 1 },
      ...{ typeCode: 'ApplicationStatusUpdate', reason: 'Is not valid', code: 'BAD_USER_INPUT' },
      ...{ diedAt: NOW, acceptedAt: NOW, attempts: [attempt], redriveRequested: true },
    };

    expect(dataOf({ ...deadLetter, job: { ...job, signal: { ...signal, token: TOKEN } } })).toEqual(
      {
        ...deadLetter,
        job: { ...job, signal: { ...signal, token: `[masked: length ${TOKEN.length}]` } },
      },
    );
  });

  it.each([
    { what: 'a string', data: TOKEN },
    { what: 'a list', data: [[TOKEN]] },
    { what: 'an unknown name', data: { payload: TOKEN } },
    { what: 'a secret name', data: { partnerAccessToken: TOKEN } },
    { what: 'a harmless name in a secret', data: { token: { id: [TOKEN] } } },
    { what: 'a secret in a harmless name', data: { status: { Authorization: TOKEN } } },
    { what: 'a harmless name that quotes it', data: { token: TOKEN, reason: `no: ${TOKEN}` } },
    { what: 'a property name', data: { token: TOKEN, [TOKEN]: 1 } },
    { what: 'a header', data: { reason: `Bearer ${TOKEN}` } },
  ])('hides a token in $what', ({ data }) => {
    expect(JSON.stringify(dataOf(data))).not.toContain(TOKEN);
    expect(JSON.stringify(dataOf(data))).toContain('[masked');
  });

  it('hides a number that is a token, and shows other numbers', () => {
    expect(dataOf({ token: 12345, attempts: 3 })).toEqual({
      token: '[masked: length 5]',
      attempts: 3,
    });
  });

  it('leaves the id alone, whatever else repeats it', () => {
    expect(maskJob({ id: LETTER, data: { unknown: LETTER } })).toMatchObject({ id: LETTER });
  });

  it.each(['returnValue', 'progress', 'opts'])('hides a token in %s', (field) => {
    expect(JSON.stringify(maskJob({ [field]: { x: TOKEN, id: TOKEN } }))).not.toContain(TOKEN);
  });

  it.each(['failedReason', 'stacktrace', 'deferredFailure', 'name'])(
    'cuts the token of the job out of its %s, quoted or not',
    (field) => {
      const token = `${TOKEN}"\n`;
      const texts = [token, token.trim(), JSON.stringify(token)].map((text) => `for ${text}`);
      const masked = maskJob({ data: { signal: { token } }, [field]: texts });

      expect(JSON.stringify(masked)).not.toContain(TOKEN);
      expect(JSON.stringify(masked[field])).toContain('for [masked]');
    },
  );
});

describe('the board', () => {
  let subject: BoardUnderTest;
  beforeAll(async () => {
    subject = await startBoard();
    await subject.reset();
    const deadLetter = await subject.deadLetters.getJob(LETTER);
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
    `/api/queues/dead-letters/${LETTER}`,
    `/api/queues/dead-letters/unreadable`,
    `/api/queues/dead-letters/redriven`,
    `/api/queues/dead-letters/${LETTER}/logs`,
  ])('shows no token in %s', async (path) => {
    const response = await subject.request('GET', path);
    const text = await response.text();

    expect(response.status).toBe(200);
    expect(text).toContain('[masked');
    expect(text).not.toContain(TOKEN);
  });

  it('does not quote data that is no JSON', async () => {
    const job = await subject.signals.add('broken', {});
    const client = await subject.signals.getBackend().client;
    await client.hset(subject.signals.toKey(job.id ?? ''), { data: TOKEN });

    const response = await subject.request('GET', `/api/queues/signals/${job.id}`);

    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ message: 'The data of a job here is not JSON.' });
  });

  it('still shows why a letter failed', async () => {
    const response = await subject.request('GET', `/api/queues/dead-letters/${LETTER}`);

    expect(await response.json()).toMatchObject({
      status: 'failed',
      job: { id: LETTER, failedReason: '/input/token: Is not valid: [masked]' },
    });
  });
});
