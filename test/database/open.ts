import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase, type Database, type DatabaseSettings, type Dialect } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { tables } from '../../migrations/index.ts';
import { startMariaDb, type MariaDb } from '../servers/mariadb.ts';

export interface TestDatabase {
  readonly dialect: Dialect;
  readonly database: Database;
  /** To open more connections, also from other processes. */
  readonly settings: DatabaseSettings;
  /** MariaDB only. */
  readonly server: MariaDb | null;
}

/** A fresh, migrated database of one dialect; `release` closes it and stops its server. */
export async function openTestDatabase(
  dialect: Dialect,
  options: { migrate?: boolean } = {},
): Promise<{ test: TestDatabase; release: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'e3-db-'));
  const server = dialect === 'mysql' ? await startMariaDb() : null;
  if (server)
    server.admin(
      `CREATE DATABASE e3 CHARACTER SET utf8mb4; CREATE USER e3@'%' IDENTIFIED BY 'secret'; GRANT ALL ON e3.* TO e3@'%'`,
    );
  const settings: DatabaseSettings = server
    ? { driver: 'mysql', host: '127.0.0.1', port: server.port, database: 'e3', username: 'e3', password: 'secret' }
    : { driver: 'sqlite', filename: join(folder, 'test.sqlite') };
  const database = openDatabase(settings);
  if (options.migrate !== false) await migrateUp(database);
  return {
    test: { dialect, database, settings, server },
    release: async () => {
      await database.close();
      await server?.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Empties all our tables, children first. */
export async function emptyTables(database: Database): Promise<void> {
  await database.knex.transaction(async (trx) => {
    if (database.dialect === 'mysql') await trx.raw('SET FOREIGN_KEY_CHECKS = 0');
    else await trx.raw('PRAGMA defer_foreign_keys = ON');
    for (const table of tables) await trx(table).delete();
    if (database.dialect === 'mysql') await trx.raw('SET FOREIGN_KEY_CHECKS = 1');
  });
}
