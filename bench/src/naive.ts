import { Worker } from 'bullmq';
import { GraphQLClient } from 'graphql-request';
import { Redis } from 'ioredis';
import pino from 'pino';

import { MUTATION } from './payload.js';

/** A simple worker: `naive REDIS_URL SEEK_URL`. */
const [, , redisUrl = '', seekUrl = ''] = process.argv;

const logger = pino();
let partnerToken: Promise<string> | undefined;
const getToken = async (): Promise<string> => {
  const answer = await fetch(`${seekUrl}/oauth/token`, { method: 'POST', body: '{}' });
  const { access_token }: { access_token: string } = JSON.parse(await answer.text());
  return access_token;
};
const client = new GraphQLClient(`${seekUrl}/graphql`);

new Worker(
  'signals',
  async (job) => {
    partnerToken ??= getToken();
    await client.request(
      MUTATION,
      { input: job.data },
      {
        authorization: `Bearer ${await partnerToken}`,
      },
    );
    logger.info({ jobId: job.id, typeCode: job.name }, 'signal sent');
  },
  {
    connection: new Redis(redisUrl, { maxRetriesPerRequest: null }),
    concurrency: 50,
    removeOnComplete: { count: 1000 },
  },
);
