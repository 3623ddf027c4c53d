import { parseJson } from '../parseJson.ts';
import { type ApplicationTokens, ApplicationTokensSchema } from '../schemas/seekToken.ts';
import { NO_TOKENS } from './tokenRules.ts';
import type { StoredTokens, TokenStore } from './tokenStore.ts';

// Others write now and then; so many times in a row that is no accident.
const MOST_TRIES = 20;

type Deps = { store: Pick<TokenStore, 'read' | 'replace'>; ttlMs: number; now: () => number };

/** What is known of each application: read, and changed by a rule, whoever else changes it meanwhile. */
export const createTokenRecords = ({ store, ttlMs, now }: Deps) => {
  const change = async (
    applicationId: string,
    rule: (known: ApplicationTokens) => ApplicationTokens,
    { keepsUntil = false } = {},
  ): Promise<void> => {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const text = await store.read(applicationId);
      const known = toKnown(text);
      const changed = rule(known);
      if (changed === known) return;
      const stored = toStored(changed);
      const after = keepsUntil ? stored : { ...stored, until: untilOf(changed) };
      if (await store.replace(applicationId, text, after)) return;
    }
    throw new Error('The tokens of this application are not to be written');
  };

  const toStored = (known: ApplicationTokens): StoredTokens => {
    const received = known.tokens.map(({ receivedAt }) => Date.parse(receivedAt));
    return {
      text: JSON.stringify(known),
      // When the last of them expires there is none that lives.
      ...(received.length === 0 ? {} : { receivedAt: Math.max(...received) }),
      forgotten: now() - 2 * ttlMs,
    };
  };

  /** Kept for as long again as a token lives: SEEK's word on how long that is has changed before. */
  const untilOf = ({ tokens }: ApplicationTokens): number => {
    const received = tokens.map(({ receivedAt }) => Date.parse(receivedAt));
    return Math.max(now(), ...received) + 2 * ttlMs;
  };

  return {
    read: async (applicationId: string): Promise<ApplicationTokens> =>
      toKnown(await store.read(applicationId)),
    change,
  };
};

/** By a newer version, or by nobody of ours. */
export class UnreadableTokensError extends Error {
  override readonly name = 'UnreadableTokensError';

  constructor() {
    super('What is kept of this application cannot be read');
  }
}

/** What can't be read must not pass for nothing: it would be written over, and a token lost. */
const toKnown = (text: string | undefined): ApplicationTokens => {
  if (text === undefined) return NO_TOKENS;
  const read = ApplicationTokensSchema.safeParse(parseJson(text));
  if (!read.success) throw new UnreadableTokensError();
  return read.data;
};
