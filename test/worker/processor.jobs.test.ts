import { DelayedError, UnrecoverableError } from 'bullmq';

import { RETRY_OPTIONS } from '../../src/queue/bullWorker.ts';
import { RetryError } from '../../src/worker/processor.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { ACCEPTED_AT, attempted, HOUR_MS, LOCK, RETRY, setup } from './setupProcessor.ts';

describe('content of a job', () => {
  it.each([
    { attempts: 1 },
    { attempts: 1, backoff: { type: 'fixed', delay: 1 } },
    { attempts: 0 },
    {},
  ])('options %j → are replaced: this worker’s retry options apply', async (opts) => {
    const { fail, job } = setup({ result: attempted(RETRY), job: { opts: { ...opts } } });

    await expect(fail()).resolves.toBeInstanceOf(RetryError);
    expect(job.opts).toMatchObject(RETRY_OPTIONS);
  });

  it.each([
    { what: 'an unknown version', data: buildSignalJob({ version: 0 }), says: '/version' },
    {
      what: 'no signal',
      data: buildSignalJob({ signal: undefined }),
      says: '/signal: Is required',
    },
    {
      what: 'a broken signal',
      data: buildSignalJob({ signal: { typeCode: 'New', token: ' s3cret', s: 's3cret' } }),
      says: '/signal/token: Must not begin or end with white space; /signal/s: Unknown field',
    },
    { what: 'only a text', data: 's3cret', says: '/: ' },
    { what: 'nothing', data: null, says: '/: ' },
    {
      what: 'a secret in every field',
      data: Object.fromEntries(
        Object.keys(buildSignalJob()).map((key) => [key, { s3cret: 's3cret' }]),
      ),
      says: '/acceptedAt: ',
    },
  ])(
    'data with $what → fails as UNREADABLE, names fields and repeats no value',
    async ({ data, says }) => {
      const { fail, deliveries, updates } = setup({ job: { data } });

      const error = await fail();

      expect(error).toBeInstanceOf(UnrecoverableError);
      expect(error).toHaveProperty('message', expect.stringContaining(says));
      expect(error).toHaveProperty('message', expect.stringMatching(/^UNREADABLE: /));
      expect(String(error).replaceAll('/s3cret', '')).not.toContain('s3cret');
      expect([deliveries, updates]).toEqual([[], []]);
    },
  );
});

describe('job of a newer version', () => {
  const data = { version: 5, something: 'else' };

  it.each([{ ageMs: 0 }, { ageMs: 72 * HOUR_MS - 1 }])(
    '$ageMs ms old → is delayed for a newer worker and not attempted',
    async ({ ageMs }) => {
      const { fail, deliveries, updates, delayedWith, counted, logs, unsent } = setup({
        job: { data },
        ageMs,
      });

      await expect(fail()).resolves.toBeInstanceOf(DelayedError);

      expect(delayedWith).toEqual([[ACCEPTED_AT + ageMs + 15_000, LOCK]]);
      expect([deliveries, updates, counted]).toEqual([[], [], []]);
      expect(unsent).toEqual(['signal-1']);
      expect(logs.lines()).toMatchObject([
        { level: 'info', msg: 'signal.leftForNewerVersion', signalId: 'signal-1', version: 5 },
      ]);
    },
  );

  it('as old as the maximum age → fails as UNREADABLE', async () => {
    const { fail, delayedWith } = setup({ job: { data }, ageMs: 72 * HOUR_MS });

    const error = await fail();

    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error).toHaveProperty('message', expect.stringMatching(/^UNREADABLE: .*newer.*\(5\)/));
    expect(delayedWith).toEqual([]);
  });
});
