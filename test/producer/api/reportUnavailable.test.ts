import { createReportUnavailable } from '../../../src/producer/api/reportUnavailable.ts';
import { QueueUnavailableError } from '../../../src/producer/errors.ts';
import { captureLogs } from '../../support/captureLogs.ts';

const setup = () => {
  const logs = captureLogs();
  const clock = { now: 0 };
  return { report: createReportUnavailable(logs.logger, () => clock.now), logs, clock };
};

const unavailable = (message: string) =>
  new QueueUnavailableError({ code: 'ECONNREFUSED', message, cause: new Error('connect') });

describe('report of an unavailable queue', () => {
  it('a thousand refused requests → one line in ten seconds, with their number', () => {
    const { report, logs, clock } = setup();
    const error = unavailable('Redis at r:6379 did not answer in time');

    for (let request = 0; request < 1_000; request += 1) report(error, '/signals');
    clock.now += 10_000;
    report(error, '/signals');

    const line = { level: 'warn', msg: 'The queue is unavailable', reason: error.message };
    expect(logs.lines()).toMatchObject([
      { ...line, requests: 1, path: '/signals' },
      { ...line, requests: 1_000, path: '/signals' },
    ]);
  });

  it('error with a cause → the code and the message, without a stack', () => {
    const { report, logs } = setup();

    report(unavailable('Redis at r:6379 is not reachable'), '/status');

    expect(logs.lines()).toMatchObject([
      { reason: 'Redis at r:6379 is not reachable', code: 'ECONNREFUSED' },
    ]);
    expect(logs.text()).not.toContain('stack');
  });

  it('long message and path → are cut', () => {
    const { report, logs } = setup();

    report(unavailable('m'.repeat(400_000)), `/${'p'.repeat(16_000)}`);

    expect(logs.text().length).toBeLessThan(1_500);
  });
});
