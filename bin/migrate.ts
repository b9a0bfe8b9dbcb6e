import { isUnreachable, openDatabase, type Database } from '../src/database/connect.ts';
import { migrateDown, migrateUp, pendingMigrations } from '../src/database/migrate.ts';
import { runExecutable } from '../src/command-line.ts';
import { BackupError, isBackupError } from '../src/errors/backup-error.ts';
import { databaseSettings, loadConfig } from '../src/worker/config.ts';

const DENIED = new Set(['ER_ACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR', 'ER_BAD_DB_ERROR', 'SQLITE_CANTOPEN']);

await runExecutable({
  name: 'migrate',
  summary: 'Brings the tables of e3 Cloud Backup up to date. Tables of the host are never touched.',
  notes: `
The database is the one of the worker's configuration. Every key can come from the environment instead, for example
CLOUD_BACKUP_DATABASE_USERNAME and CLOUD_BACKUP_DATABASE_PASSWORD of a user who may create tables.
With --status, the exit code is 3 when there are steps to take.`,
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    status: { type: 'boolean', description: 'Only say which steps are still to be taken' },
    'drop-all': {
      type: 'string',
      value: 'database',
      description: 'Drop all tables of this package with what they hold; the value must be the name of the database',
    },
  },
  async main({ values }) {
    const settings = databaseSettings(loadConfig(values.config));
    const name = settings.driver === 'sqlite' ? settings.filename : settings.database;
    const drop = values['drop-all'];
    if (drop !== undefined && drop !== name) {
      throw new BackupError('ERR_USAGE', `--drop-all must be followed by the name of the database, ${name}.`);
    }
    let database: Database | undefined;
    try {
      database = openDatabase(settings);
      if (values.status) return await status(database);
      if (drop === undefined) await up(database);
      else await migrateDown(database).then(() => console.log(`All tables of this package in ${name} are dropped.`));
      return 0;
    } catch (error) {
      throw unreachable(error) ?? error;
    } finally {
      await database?.close();
    }
  },
});

async function up(database: Database): Promise<void> {
  const taken = await migrateUp(database);
  for (const step of taken) console.log(`${step}: done`);
  console.log(
    taken.length === 0 ? 'The tables are up to date.' : `The tables are up to date; steps taken: ${taken.length}.`,
  );
}

async function status(database: Database): Promise<number> {
  const pending = await pendingMigrations(database);
  for (const step of pending) console.log(`${step}: to be taken`);
  if (pending.length === 0) console.log('The tables are up to date.');
  return pending.length === 0 ? 0 : 3;
}

function unreachable(error: unknown): BackupError | null {
  if (isBackupError(error) || !(error instanceof Error)) return null;
  const code = 'code' in error ? String(error.code) : '';
  const noFolder = error instanceof TypeError && error.message.startsWith('Cannot open database');
  return noFolder || DENIED.has(code) || isUnreachable(error)
    ? new BackupError('ERR_DATABASE_UNREACHABLE', undefined, { cause: error })
    : null;
}
