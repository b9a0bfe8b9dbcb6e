import type { Knex } from 'knex';

/**
 * For knex's own command line while developing migrations (`npx knex --knexfile knexfile.js …`). Operators use bin/migrate.
 * DATABASE_FILE names a SQLite file.
 */
const config: Knex.Config = {
  client: 'better-sqlite3',
  connection: { filename: process.env.DATABASE_FILE ?? '.e3/development.sqlite' },
  useNullAsDefault: true,
  migrations: { tableName: 'e3_cloudbackup_migrations', directory: './migrations', extension: 'ts' },
};

export default config;
