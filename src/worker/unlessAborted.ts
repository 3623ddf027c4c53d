/** Rejects once aborted, with the reason. The work itself goes on: others may wait for the same. */
export const unlessAborted = <T>(work: Promise<T>, abort: AbortSignal | undefined): Promise<T> => {
  if (abort === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abort.reason);
    abort.addEventListener('abort', onAbort, { once: true });
    if (abort.aborted) onAbort();
    work.then(resolve, reject).finally(() => abort.removeEventListener('abort', onAbort));
  });
};
