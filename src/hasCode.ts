/** Whether an error is that of the system, or of a library, which bears this code. */
export const hasCode = (err: unknown, code: string): boolean =>
  typeof err === 'object' && err !== null && 'code' in err && err.code === code;
