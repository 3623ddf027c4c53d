import { createTokenRecords, UnreadableTokensError } from '../../src/seekTokens/registry.ts';

it.each([
  ['no JSON', 'tokens'],
  ['of a newer version', '{"version":2,"tokens":[]}'],
])('what is kept of an application and is %s passes for nothing else', async (_, text) => {
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
  const erasing = records.change('a', () => ({ version: 2, tokens: [] }));
  await expect(erasing).rejects.toBeInstanceOf(UnreadableTokensError);
  expect(written).toEqual([]);
});
