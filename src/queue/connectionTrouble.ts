import { messageOf } from '../messageOf.ts';
import { redact } from '../observability/redact.ts';

// A Redis that does not know AUTH repeats what it was given with it: the password.
const REPEATED = /,? with args beginning with:.*/s;
// A shorter one may be a word of the message, and a mask in its place would give it away.
const LEAST_SECRET = 12;

/** What an error of a connection says, in one line and without secrets. */
export const createWordsOf = (url: string) => {
  const secrets = secretsOf(url);
  return (err: unknown): string => {
    const words = messageOf(err).replace(REPEATED, '').replace(/\s+/g, ' ').trim();
    return redact(words, secrets);
  };
};

/** The same with the code, where the words lack it. */
export const createTroubleOf = (url: string) => {
  const wordsOf = createWordsOf(url);
  return (err: unknown): string => {
    const words = wordsOf(err);
    const code = err instanceof Error && 'code' in err ? String(err.code) : '';
    return words.includes(code) ? words : `${code}: ${words}`;
  };
};

const secretsOf = (url: string): string[] => {
  if (!URL.canParse(url)) return [];
  const { password, searchParams } = new URL(url);
  const named = [...searchParams].filter(([name]) => /password/i.test(name));
  return [password, ...named.map(([, value]) => value)].filter(
    (secret) => secret.length >= LEAST_SECRET,
  );
};
