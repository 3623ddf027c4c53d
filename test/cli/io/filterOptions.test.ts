import { readFilter, readNumber, withoutProblems } from '../../../src/cli/io/filterOptions.ts';
import { ConfigError } from '../../../src/config/config.ts';

describe('readFilter', () => {
  it('names all that is wrong at once', () => {
    const options = { since: 'soon', until: 'later', limit: '1.5' };

    const read = () =>
      withoutProblems((refuse) => [readFilter(options, refuse), readNumber('rate', '0', refuse)]);

    expect(read).toThrow(
      new ConfigError(
        [
          '--since is not a date: soon',
          '--until is not a date: later',
          '--limit is not a whole number: 1.5',
          '--rate is not a number above 0: 0',
        ].join('\n'),
      ),
    );
  });

  it.each(['0', '-1', 'x', '', '-1.5'])('refuses --limit %j, once', (limit) => {
    expect(() => withoutProblems((refuse) => readFilter({ limit }, refuse))).toThrow(
      new ConfigError(`--limit is not a number above 0: ${limit}`),
    );
  });

  it('reads what is given', () => {
    const options = { code: 'FORBIDDEN', since: '2026-11-01', application: '7', limit: '3' };

    expect(withoutProblems((refuse) => readFilter(options, refuse))).toMatchObject({
      ...{ code: 'FORBIDDEN', since: new Date('2026-11-01'), applicationId: '7', limit: 3 },
      ...{ until: undefined, text: undefined },
    });
  });
});
