/** The message of an error. If the message is empty, its code or its name. */
export const messageOf = (err: unknown): string => {
  if (!(err instanceof Error)) return String(err);
  // Node's AggregateError has no message when all addresses of a host refuse the connection.
  return err.message || ('code' in err ? String(err.code) : err.name);
};

/** Whether an error of the system, or of a library, has this code. */
export const hasCode = (err: unknown, code: string): boolean =>
  typeof err === 'object' && err !== null && 'code' in err && err.code === code;
