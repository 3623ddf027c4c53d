import type { Redis } from 'ioredis';

/** The answers of a pipeline, in order; throws the first error among them. */
export const runPipeline = async (pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> =>
  ((await pipeline.exec()) ?? []).map(([err, value]) => {
    if (err) throw err;
    return value;
  });
