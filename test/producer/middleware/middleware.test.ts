import { once } from 'node:events';
import type { Server } from 'node:http';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';

import { seekToken as ofExpress } from '../../../src/producer/middleware/express.ts';
import {
  seekToken as ofFastify,
  type WithSeekToken,
} from '../../../src/producer/middleware/fastify.ts';
import {
  seekToken as ofHono,
  type SeekTokenVariables,
} from '../../../src/producer/middleware/hono.ts';
import type { SeekTokenReading } from '../../../src/producer/readSeekToken.ts';

declare module 'fastify' {
  interface FastifyRequest extends WithSeekToken {}
}

type Ask = (path: string) => Promise<unknown>;
const answer = (reading: SeekTokenReading | undefined) => reading ?? 'none';

const underExpress = async (work: (ask: Ask) => Promise<void>): Promise<void> => {
  const app = express();
  const router = express.Router();
  router.get('/', (req, res) => {
    res.json(answer(req.seekToken));
  });
  app.use(ofExpress());
  app.use('/apply', router);
  const server: Server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await work(async (path) => (await fetch(`http://127.0.0.1:${address.port}${path}`)).json());
  server.closeAllConnections();
  server.close();
};

const underFastify = async (work: (ask: Ask) => Promise<void>): Promise<void> => {
  const app = fastify();
  await app.register(ofFastify);
  app.get('/apply', async (request) => answer(request.seekToken));
  await work(async (path) => {
    const { body } = await app.inject(path);
    return body === 'none' ? body : JSON.parse(body);
  });
  await app.close();
};

const underHono = async (work: (ask: Ask) => Promise<void>): Promise<void> => {
  const app = new Hono<{ Variables: SeekTokenVariables }>();
  app.use(ofHono());
  app.get('/apply', (c) => c.json(answer(c.get('seekToken'))));
  await work(async (path) => (await app.request(path)).json());
};

describe.each([
  ['Express', underExpress],
  ['Fastify', underFastify],
  ['Hono', underHono],
])('the middleware for %s', (_, under) => {
  it('request with a token → its unchanged token; without a token → none', () =>
    under(async (ask) => {
      expect(await ask('/apply?seek-token=a+b%2B%3D=')).toEqual({
        token: 'a+b+==',
        source: 'linkOut',
      });
      expect(await ask('/apply?seek-prefill-id=p&seek-token=c')).toEqual({
        token: 'c',
        source: 'applyWithSeek',
      });
      expect(await ask('/apply')).toBe('none');
    }));
});
