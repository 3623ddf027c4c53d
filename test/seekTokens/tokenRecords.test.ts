import { createTokenRecords, UnreadableTokensError } from '../../src/seekTokens/tokenRecords.ts';

it.each([
  ['that are not JSON', 'tokens'],
  ['of a newer version', '{"version":3,"tokens":[]}'],
])('stored seek tokens %s → reads and writes fail, and nothing is written', async (_, text) => {
  const written: unknown[] = [];
  const records = createTokenRecords({
    store: {
      read: async () => text,
      replace: async (...given) => written.push(given) > 0,
    },
    ttlMs: 1_000,
    now: () => 0,
  });

  await expect(records.read('a')).rejects.toBeInstanceOf(UnreadableTokensError);
  const changing = records.change('a', () => ({ version: 2, tokens: [] }));
  await expect(changing).rejects.toBeInstanceOf(UnreadableTokensError);
  expect(written).toEqual([]);
});
