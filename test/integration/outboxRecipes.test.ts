import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { drizzle } from 'drizzle-orm/node-postgres';
import createKnex from 'knex';
import pg from 'pg';
import { DataSource } from 'typeorm';

import { migrate } from '../../src/producer/outbox/migrations.ts';
import { parseRecording } from '../../src/producer/parseRecording.ts';
import { prepareSignal } from '../../src/producer/prepareSignal.ts';
import { LIVE_AUDIENCE } from '../../src/schemas/seekApi.ts';
import { readCode } from '../support/docsCode.ts';
import { type PostgresServer, startPostgres } from '../support/postgresServer.ts';
import { newToken } from '../support/startDispatcher.ts';

type Submit = (id: string, token: string) => Promise<unknown>;

const PROJECT = new URL('../../', import.meta.url).pathname;
const PAGE = 'docs/guides/outbox.md';
const codeOf = (language: string) =>
  readCode(language)
    .filter(({ name }) => name === PAGE)
    .map(({ code }) => code);

/** Loads the TypeScript code of the guide as one module. */
const loadRecipes = async () => {
  const folder = await mkdtemp(`${PROJECT}.recipes-`);
  try {
    await writeFile(`${folder}/recipes.ts`, codeOf('ts').join('\n'));
    return await import(`${folder}/recipes.ts`);
  } finally {
    await rm(folder, { recursive: true });
  }
};

let postgres: PostgresServer;
let pool: pg.Pool;
const submits: Record<string, Submit> = {};
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  const connectionString = postgres.url;
  pool = new pg.Pool({ connectionString });
  closing.push(() => pool.end());
  const knex = createKnex({ client: 'pg', connection: connectionString });
  closing.push(() => knex.destroy());
  const dataSource = new DataSource({ type: 'postgres', url: connectionString });
  await dataSource.initialize();
  closing.push(() => dataSource.destroy());
  const recipes = await loadRecipes();
  const db = drizzle(pool);
  submits['node-postgres'] = (id, token) => recipes.submitWithPg(pool, id, token);
  submits.recording = (id, token) => recipes.applyWithPg(pool, id, token);
  submits.Drizzle = (id, token) => recipes.submitWithDrizzle(db, id, token);
  submits.Knex = (id, token) => recipes.submitWithKnex(knex, id, token);
  submits.TypeORM = (id, token) => recipes.submitWithTypeOrm(dataSource, id, token);
});
beforeEach(async () => {
  await pool.query('DROP SCHEMA IF EXISTS seek_signals CASCADE');
  await pool.query('DROP TABLE IF EXISTS applications');
  // Deferred, so that the constraint fails as late as possible: at the commit.
  await pool.query(
    'CREATE TABLE applications (id text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED)',
  );
  await migrate(pool);
});
afterAll(async () => {
  for (const close of closing) await close();
  await postgres.stop();
});

const written = async () =>
  (await pool.query('SELECT signal, idempotency_key, sender, state FROM seek_signals.outbox')).rows;

const problemsOf = (signal: unknown) => {
  const rules = { allowUnknownTypes: false, audience: LIVE_AUDIENCE, maxSignalBytes: 65_536 };
  const prepared = prepareSignal(signal, { from: 'outbox' }, rules);
  return prepared instanceof Error ? prepared.invalidFields : {};
};

describe.each(['node-postgres', 'Drizzle', 'Knex', 'TypeORM'])('the recipe for %s', (library) => {
  const submit: Submit = async (id, token) => submits[library]?.(id, token);

  it('application saved → one valid row', async () => {
    const token = newToken();

    await submit('application-1', token);

    const rows = await written();
    expect(rows).toEqual([
      {
        signal: {
          typeCode: 'ApplicationComplete',
          token,
          timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
        },
        idempotency_key: null,
        sender: 'outbox',
        state: 'pending',
      },
    ]);
    expect(problemsOf(rows[0].signal)).toEqual({});
  });

  it('application not saved → no row', async () => {
    await pool.query(`INSERT INTO applications (id) VALUES ('application-1')`);

    await expect(submit('application-1', newToken())).rejects.toThrow();

    expect(await written()).toEqual([]);
  });
});

describe('the recipe that records a seek token', () => {
  const apply: Submit = async (id, token) => submits.recording?.(id, token);
  const records = async () =>
    (await pool.query('SELECT record, signal FROM seek_signals.outbox ORDER BY id')).rows;

  it('application saved → one record and one signal that names the application', async () => {
    const token = newToken();

    await apply('application-1', token);

    expect(await records()).toEqual([
      {
        record: {
          applicationId: 'application-1',
          token,
          source: 'linkOut',
          receivedAt: expect.any(String),
        },
        signal: null,
      },
      {
        record: null,
        signal: { typeCode: 'ApplicationComplete', applicationId: 'application-1' },
      },
    ]);
  });

  it('application not saved → no row', async () => {
    await pool.query(`INSERT INTO applications (id) VALUES ('application-1')`);

    await expect(apply('application-1', newToken())).rejects.toThrow();

    expect(await records()).toEqual([]);
  });
});

describe('the SQL of the outbox guide', () => {
  const [grants = '', insert = '', insertRecord = '', repair = ''] = codeOf('sql');

  it('INSERT → one valid row, only if the application is saved', async () => {
    await pool.query(insert);
    await expect(pool.query(insert)).rejects.toThrow('applications');

    const rows = await written();
    expect(rows).toMatchObject([{ sender: 'careers', state: 'pending' }]);
    expect(problemsOf(rows[0]?.signal)).toEqual({});
  });

  it('INSERT of a record → one valid record', async () => {
    await pool.query(insertRecord);

    const { rows } = await pool.query('SELECT record, state FROM seek_signals.outbox');
    expect(rows).toMatchObject([{ state: 'pending' }]);
    expect(parseRecording(rows[0]?.record, Date.now())).toMatchObject({ positionId: 'position-1' });
  });

  it('repair statement → a rejected row becomes valid and pending', async () => {
    await pool.query(
      `INSERT INTO seek_signals.outbox (signal, state, reason)
       SELECT jsonb_build_object('typeCode', 'Complete', 'token', 'token-' || n), 'rejected', 'why'
       FROM generate_series(1, 17) AS numbers (n)`,
    );

    await pool.query(repair);

    const pending = (await written()).filter(({ state }) => state === 'pending');
    expect(pending).toHaveLength(1);
    expect(problemsOf(pending[0]?.signal)).toEqual({});
  });

  it('grants → each role may do what it needs, and no more', async () => {
    await pool.query(`DROP ROLE IF EXISTS ats_app, seek_relay`);
    await pool.query('CREATE ROLE ats_app');
    await pool.query('CREATE ROLE seek_relay');
    await pool.query(grants.replace(/\bats\b/g, 'ats_app'));

    await as('ats_app', `INSERT INTO seek_signals.outbox (signal) VALUES ('{}')`);
    await as('ats_app', `INSERT INTO seek_signals.outbox (record) VALUES ('{}')`);
    await expect(as('ats_app', 'SELECT * FROM seek_signals.outbox')).rejects.toThrow('permission');
    await expect(as('ats_app', 'DELETE FROM seek_signals.outbox')).rejects.toThrow('permission');
    await as('seek_relay', 'SELECT id FROM seek_signals.outbox FOR UPDATE SKIP LOCKED');
    await as('seek_relay', `UPDATE seek_signals.outbox SET state = 'rejected'`);
    await as('seek_relay', 'DELETE FROM seek_signals.outbox');
    await expect(as('seek_relay', 'SELECT * FROM applications')).rejects.toThrow('permission');
  });
});

const as = async (role: string, sql: string): Promise<void> => {
  const client = await pool.connect();
  try {
    await client.query(`SET ROLE ${role}`);
    await client.query(sql);
  } finally {
    // Closes the connection, because it still has the other role.
    client.release(true);
  }
};
