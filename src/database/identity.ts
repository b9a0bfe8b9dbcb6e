import { realpathSync, statSync } from 'node:fs';
import { BackupError } from '../errors/backup-error.ts';
import type { Database } from './connect.ts';

/**
 * What tells this database from every other one, also from a copy of it: Galera's cluster id, else the server's own uuid, else for
 * SQLite the file's path and inode. Never anything read from our own tables, which a copy would bring along. Stands in the owner
 * marker of every prefix.
 */
export async function databaseIdentity(database: Database): Promise<string> {
  return database.dialect === 'sqlite' ? await sqliteIdentity(database) : await mysqlIdentity(database);
}

async function sqliteIdentity(database: Database): Promise<string> {
  const rows = (await database.knex.raw('PRAGMA database_list')) as { name: string; file: string }[];
  const file = rows.find((row) => row.name === 'main')?.file;
  if (!file) return 'sqlite:memory';
  const path = realpathSync(file);
  return `sqlite:${path}:${statSync(path, { bigint: true }).ino}`;
}

async function mysqlIdentity(database: Database): Promise<string> {
  // The schema's name belongs to it: a staging copy beside the original on one server is another database too.
  const [schemas] = (await database.knex.raw('SELECT DATABASE() AS name')) as [{ name: string }[]];
  const schema = schemas[0]?.name ?? '';
  const cluster = await variable(database, 'STATUS', 'wsrep_cluster_state_uuid');
  // A node that has not joined its cluster yet: every other such node would pass for it.
  if (/^[0-]+$/.test(cluster))
    throw new BackupError('ERR_DATABASE_UNREACHABLE', 'This node of the database has not joined its cluster yet.');
  if (cluster) return `galera:${cluster}/${schema}`;
  // MariaDB: server_uid; MySQL: server_uuid.
  const server =
    (await variable(database, 'VARIABLES', 'server_uid')) || (await variable(database, 'VARIABLES', 'server_uuid'));
  if (server) return `server:${server}/${schema}`;
  // MariaDB before 10.10 has no such variable: its data folder on its host is the next best thing.
  const [rows] = (await database.knex.raw('SELECT @@hostname AS host, @@datadir AS folder, @@port AS port')) as [
    { host: string; folder: string; port: number }[],
  ];
  const row = rows[0];
  return `server:${row?.host ?? ''}:${row?.port ?? ''}:${row?.folder ?? ''}/${schema}`;
}

async function variable(database: Database, kind: 'STATUS' | 'VARIABLES', name: string): Promise<string> {
  const [rows] = (await database.knex.raw(`SHOW GLOBAL ${kind} LIKE ?`, [name])) as [{ Value: string }[]];
  return rows[0]?.Value ?? '';
}
