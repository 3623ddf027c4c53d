import { createReportUnconfirmed } from '../../../src/worker/delivery/reportUnconfirmed.ts';
import { captureLogs } from '../../support/captureLogs.ts';

const setup = () => {
  const clock = { now: 0 };
  const logs = captureLogs();
  const counted: number[] = [];
  const report = createReportUnconfirmed({
    logger: logs.logger,
    metrics: { unconfirmed: { inc: (signals) => counted.push(signals) } },
    now: () => clock.now,
  });
  return { report, clock, logs, counted };
};

describe('answer without errors that is not true', () => {
  it('→ counts all signals of the request, and warns with request id, value and their number', () => {
    const { report, logs, counted } = setup();

    report({ requestId: 'request-1', value: null, signals: 7 });

    expect(counted).toEqual([7]);
    expect(logs.lines()).toMatchObject([
      { level: 'warn', msg: 'signal.unconfirmed', requestId: 'request-1', value: null, signals: 7 },
    ]);
  });

  it('again within ten seconds → is counted without a warning; after them → warns again', () => {
    const { report, clock, logs, counted } = setup();

    for (const now of [0, 9_999, 10_000]) {
      clock.now = now;
      report({ requestId: `at-${now}`, value: false, signals: 1 });
    }

    expect(counted).toEqual([1, 1, 1]);
    expect(logs.lines().map(({ requestId }) => requestId)).toEqual(['at-0', 'at-10000']);
  });
});
