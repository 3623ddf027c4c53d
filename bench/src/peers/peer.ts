import pino from 'pino';

import type { buildSignal } from '../payload.js';
import { createBatcher } from './batcher.js';

export type BenchSignal = ReturnType<typeof buildSignal>;

/** Sends a signal in a batch, and logs it. */
export type Deliver = (jobId: string, signal: BenchSignal) => Promise<void>;

/** Jobs in progress: four batches. */
export const CONCURRENCY = 400;

type Peer = {
  fill: (storeUrl: string, count: number) => Promise<void>;
  work: (storeUrl: string, deliver: Deliver) => unknown;
};

const createDeliver = (seekUrl: string): Deliver => {
  // Buffered as in the dispatcher: a write per line would be the largest cost of a signal.
  const logger = pino(pino.destination({ minLength: 4_096, periodicFlush: 100, sync: true }));
  const send = createBatcher(seekUrl);
  return async (jobId, signal) => {
    await send(signal);
    logger.info({ jobId, typeCode: signal.typeCode }, 'signal sent');
  };
};

/** `PEER fill STORE_URL COUNT` adds jobs and exits. `PEER work STORE_URL SEEK_URL` delivers them. */
export const runPeer = async ({ fill, work }: Peer): Promise<void> => {
  const [, , command, storeUrl = '', argument = ''] = process.argv;
  if (command === 'fill') {
    await fill(storeUrl, Number(argument));
    process.exit(0);
  }
  await work(storeUrl, createDeliver(argument));
};
