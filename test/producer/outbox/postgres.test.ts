import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

import { openPostgres } from '../../../src/producer/outbox/postgres.ts';
import { freePort } from '../../support/redisServer.ts';

// The startup parameters that PgBouncer accepts. It closes a connection that sends another one.
const ALLOWED_BY_PGBOUNCER = ['user', 'database', 'client_encoding', 'application_name'];

/** Reads the parameter names of a startup message: 4 bytes length, 4 bytes version, then names and values, each ended by NUL. */
const parameterNames = (startup: Buffer): string[] =>
  startup
    .subarray(8)
    .toString()
    .split('\0')
    .filter((text, index) => text !== '' && index % 2 === 0);

describe('openPostgres', () => {
  it('connecting → sends only startup parameters that PgBouncer accepts', async () => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    const postgres = await openPostgres(`postgresql://ats@127.0.0.1:${port}/postgres`, 1);
    try {
      const connected: Promise<[Socket]> = once(server, 'connection').then(([socket]) => [socket]);
      const query = postgres.query('SELECT 1').catch(() => {});
      const [socket] = await connected;
      const [startup]: Buffer[] = await once(socket, 'data');
      socket.destroy();
      await query;

      const names = startup === undefined ? [] : parameterNames(startup);
      expect(names).toContain('application_name');
      expect(names.filter((name) => !ALLOWED_BY_PGBOUNCER.includes(name))).toEqual([]);
    } finally {
      await postgres.close();
      server.close();
    }
  });
});
