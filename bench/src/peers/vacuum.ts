import pg from 'pg';

/** What autovacuum would do within a minute of the filling: without statistics PostgreSQL plans badly. */
export const vacuum = async (connectionString: string): Promise<void> => {
  const client = new pg.Client(connectionString);
  await client.connect();
  await client.query('VACUUM ANALYZE');
  await client.end();
};
