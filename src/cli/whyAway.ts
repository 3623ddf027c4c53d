import type { Backend } from '../queue/backend.ts';
import { createWordsOf } from '../queue/connectionTrouble.ts';

/** What to say of a Redis that could not be asked: its own refusal, such as NOAUTH, or why it was not reached. */
export const whyAway = (
  err: unknown,
  backend: Pick<Backend, 'trouble'>,
  url: string,
): { refusal?: string; trouble?: string | undefined } =>
  err instanceof Error && err.name === 'ReplyError'
    ? { refusal: createWordsOf(url)(err) }
    : { trouble: backend.trouble() };
