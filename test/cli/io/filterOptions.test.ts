import { readFilter, readNumber, readOptions } from '../../../src/cli/io/filterOptions.ts';
import { ConfigError } from '../../../src/config/config.ts';

describe('readFilter', () => {
  it('several invalid options → one error that names each of them', () => {
    const options = { since: 'soon', until: 'later', limit: '1.5' };

    const read = () =>
      readOptions((addProblem) => [
        readFilter(options, addProblem),
        readNumber('rate', '0', addProblem),
      ]);

    expect(read).toThrow(
      new ConfigError(
        [
          '--since must be a date, not "soon"',
          '--until must be a date, not "later"',
          '--limit must be a whole number, not "1.5"',
          '--rate must be a number above 0, not "0"',
        ].join('\n'),
      ),
    );
  });

  it.each(['0', '-1', 'x', '', '-1.5'])('--limit %j → one error that names it', (limit) => {
    expect(() => readOptions((addProblem) => readFilter({ limit }, addProblem))).toThrow(
      new ConfigError(`--limit must be a number above 0, not ${JSON.stringify(limit)}`),
    );
  });

  it('valid options → the filter, with unset options undefined', () => {
    const options = { code: 'FORBIDDEN', since: '2026-11-01', application: '7', limit: '3' };

    expect(readOptions((addProblem) => readFilter(options, addProblem))).toMatchObject({
      code: 'FORBIDDEN',
      since: new Date('2026-11-01'),
      applicationId: '7',
      limit: 3,
      until: undefined,
      text: undefined,
    });
  });
});
