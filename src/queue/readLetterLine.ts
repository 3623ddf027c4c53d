import { type DeadLetter, DeadLetterSchema } from '../schemas/deadLetter.ts';
import { nameProblems, toInvalidFields } from '../schemas/invalidFields.ts';
import { isLetterId, letterIdOf } from './letterId.ts';

export type LetterLine = { letter: DeadLetter } | { problem: string };

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A letter as it is written into a file: what is asked of it at present goes its own way. */
export const writeLetterLine = ({ redriveBy, redriveRequested, ...letter }: DeadLetter): string =>
  `${JSON.stringify(letter)}\n`;

/** A line of such a file; what is wrong is named, and nothing repeated. `undefined`: it is empty. */
export const readLetterLine = (bytes: Uint8Array): LetterLine | undefined => {
  const read = parse(bytes);
  if (read === undefined || 'problem' in read) return read;
  const parsed = DeadLetterSchema.safeParse(read.value, { reportInput: true });
  if (!parsed.success) return { problem: nameProblems(toInvalidFields(parsed.error)) };
  const { redriveBy, redriveRequested, ...letter } = parsed.data;
  const { signalId, burial } = letter;
  // By its own name alone a signal is found, and its sealed token opened.
  if (signalId !== letterIdOf(burial.jobId) || !isLetterId(signalId)) {
    return { problem: '/signalId: Is not the name of a letter of /burial/jobId' };
  }
  return { letter };
};

const parse = (bytes: Uint8Array): { value: unknown } | { problem: string } | undefined => {
  try {
    const text = decoder.decode(bytes).trim();
    return text === '' ? undefined : { value: JSON.parse(text, refuseUnstorable) };
  } catch (err) {
    if (err instanceof UnstorableError) return { problem: err.message };
    // Not in the parser's words, which quote the line. What is nested too deep is no letter either.
    return { problem: 'Is not JSON in UTF-8' };
  }
};

class UnstorableError extends Error {
  override readonly name = 'UnstorableError';
}

/** One such text would keep everything behind it from being stored. */
const refuseUnstorable = (key: string, value: unknown): unknown => {
  for (const text of [key, value]) {
    if (typeof text !== 'string') continue;
    if (text.includes('\0')) throw new UnstorableError('Has a NUL character in it');
    if (!text.isWellFormed()) throw new UnstorableError('Is not well-formed Unicode');
  }
  return value;
};
