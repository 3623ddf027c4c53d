/** What an error says; where it says nothing, its code, or its name. */
export const messageOf = (err: unknown): string => {
  if (!(err instanceof Error)) return String(err);
  // A host with several addresses, none of which answers, makes for one without a message.
  return err.message || ('code' in err ? String(err.code) : err.name);
};

/** Whether an error is that of the system, or of a library, which bears this code. */
export const hasCode = (err: unknown, code: string): boolean =>
  typeof err === 'object' && err !== null && 'code' in err && err.code === code;
