import type { Knex } from 'knex';
import { steps, tables } from '../../migrations/index.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { Database } from './connect.ts';

/** Our own bookkeeping table: the host's migrations are none of our business. */
export const MIGRATIONS_TABLE = 'e3_cloudbackup_migrations';

const config: Knex.MigratorConfig = {
  tableName: MIGRATIONS_TABLE,
  migrationSource: {
    getMigrations: async () => [...steps],
    getMigrationName: (step: (typeof steps)[number]) => step.name,
    getMigration: async (step: (typeof steps)[number]) => ({ up: step.up, down: step.down }),
  } satisfies Knex.MigrationSource<(typeof steps)[number]>,
};

/** Brings our tables up to date and returns the names of the steps that were taken. Throws ERR_SCHEMA_FOREIGN before anything is altered. */
export async function migrateUp(database: Database): Promise<string[]> {
  await refuseForeignTables(database);
  const [, taken] = (await database.knex.migrate.latest(config)) as [number, string[]];
  return taken;
}

/** Takes every step back: **drops all our tables**. Only for tests and for taking the package out. */
export async function migrateDown(database: Database): Promise<void> {
  await database.knex.migrate.rollback(config, true);
  await database.knex.schema.dropTableIfExists(MIGRATIONS_TABLE);
  await database.knex.schema.dropTableIfExists(`${MIGRATIONS_TABLE}_lock`);
}

/** Names of steps that are not taken yet; processes refuse to work on an older schema (ERR_SCHEMA_OLD). */
export async function pendingMigrations(database: Database): Promise<string[]> {
  if (!(await database.knex.schema.hasTable(MIGRATIONS_TABLE))) return steps.map((step) => step.name);
  const done = (await database.knex(MIGRATIONS_TABLE).select('name')) as { name: string }[];
  const names = new Set(done.map((row) => row.name));
  return steps.map((step) => step.name).filter((name) => !names.has(name));
}

export async function requireMigrated(database: Database): Promise<void> {
  const pending = await pendingMigrations(database);
  if (pending.length > 0) throw new BackupError('ERR_SCHEMA_OLD', undefined, { details: { pending } });
}

async function refuseForeignTables(database: Database): Promise<void> {
  const pending = await pendingMigrations(database);
  if (pending.length !== steps.length) return;
  for (const table of tables) {
    if (await database.knex.schema.hasTable(table)) {
      throw new BackupError(
        'ERR_SCHEMA_FOREIGN',
        `The database already has a table "${table}" that this package did not make. Nothing was altered. Use another database, or rename that table.`,
        { details: { table } },
      );
    }
  }
}
