import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

import { openPostgres } from '../../../src/producer/outbox/postgres.ts';
import { freePort } from '../../support/redisServer.ts';

// What PgBouncer takes when somebody connects; whoever says more is shown out.
const TAKEN_BY_PGBOUNCER = ['user', 'database', 'client_encoding', 'application_name'];

/** Four bytes of length, four of the protocol's version, then names and values, each ended by a zero. */
const parametersOf = (startup: Buffer): string[] =>
  startup
    .subarray(8)
    .toString()
    .split('\0')
    .filter((text, index) => text !== '' && index % 2 === 0);

describe('a connection to the database', () => {
  it('begins in a way that PgBouncer takes', async () => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    const postgres = await openPostgres(`postgresql://ats@127.0.0.1:${port}/postgres`, 1);
    try {
      const connected: Promise<[Socket]> = once(server, 'connection').then(([socket]) => [socket]);
      const asked = postgres.query('SELECT 1').catch(() => {});
      const [socket] = await connected;
      const [startup]: Buffer[] = await once(socket, 'data');
      socket.destroy();
      await asked;

      const said = startup === undefined ? [] : parametersOf(startup);
      expect(said).toContain('application_name');
      expect(said.filter((name) => !TAKEN_BY_PGBOUNCER.includes(name))).toEqual([]);
    } finally {
      await postgres.close();
      server.close();
    }
  });
});
