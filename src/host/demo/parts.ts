import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Database } from '../../database/connect.ts';
import { migrateUp } from '../../database/migrate.ts';
import { packageRoot } from '../../engines/tools.ts';
import { BackupError } from '../../errors/backup-error.ts';
import { startChild, toolsEnvironment, type Child } from './children.ts';
import type { DataFolder } from './data-folder.ts';
import { officeFiles, shopFiles, writeFiles } from './files.ts';
import { SOURCE_BUCKET } from './jobs.ts';
import type { DemoSecrets } from './secrets.ts';
import { demoCustomers, seedHost } from './seed.ts';
import { startS3Server, startSftpServer, type LocalServer } from './servers.ts';
import { createHostTables } from './tables.ts';

/** Tables of the host, its customers, then ours, as it goes where a host mounts us. Returns the steps of ours that were taken. */
export async function prepareDatabase(database: Database, secrets: DemoSecrets): Promise<string[]> {
  await createHostTables(database.knex);
  await seedHost(database.knex, secrets);
  return await migrateUp(database);
}

export async function clientIdOf(database: Database, email: string): Promise<number> {
  const row: unknown = await database.knex('tblclients').where('email', email).select('id').first();
  return z.object({ id: z.coerce.number() }).parse(row).id;
}

/** Folder of the S3 source's only bucket: what is changed in there is in the next backup. */
export function shopFolder(folder: DataFolder): string {
  return folder.path('sources', 's3', SOURCE_BUCKET);
}

function officeFolder(folder: DataFolder): string {
  return folder.path('sources', 'sftp');
}

/** Fills the sources once: what somebody changes in them later stays. */
export function prepareFiles(folder: DataFolder, say: (line: string) => void): void {
  const filled = 'sources.filled';
  for (const customer of demoCustomers) {
    for (const bucket of customer.buckets) mkdirSync(folder.path('storage', bucket), { recursive: true, mode: 0o700 });
  }
  if (folder.read(filled) !== null) return;
  const [shop, office] = [shopFiles(), officeFiles()];
  say(`Sources: writing ${shop.length} files to S3 and ${office.length} to SFTP`);
  folder.folder('sources');
  writeFiles(shopFolder(folder), shop);
  writeFiles(officeFolder(folder), office);
  folder.write(filled, '');
}

export interface DemoServers {
  /** The storage that customers buy: destination of backups. */
  readonly storage: LocalServer;
  readonly source: LocalServer;
  readonly sftp: LocalServer;
}

const Ports = z.object({ storage: z.number(), source: z.number(), sftp: z.number() });
const PORTS_FILE = 'ports.json';

/** Starts all three, at the ports of the last time where they are free. `started` gets each one as soon as it runs. */
export async function startServers(
  folder: DataFolder,
  secrets: DemoSecrets,
  started: (server: LocalServer) => LocalServer,
): Promise<DemoServers> {
  const last = readPorts(folder);
  const logFile = (name: string): string => join(folder.folder('logs'), `${name}.log`);
  const { ada, grace } = secrets.storage;
  const hostKeyFile = 'sftp-host-key';
  folder.write(hostKeyFile, secrets.sftp.hostKeyPem);
  const starts = await Promise.allSettled([
    startS3Server({
      name: 'storage server',
      folder: folder.path('storage'),
      port: last?.storage ?? null,
      keys: [ada, grace],
      fresh: false,
      logFile: logFile('storage'),
    }).then(started),
    startS3Server({
      name: 'S3 source',
      folder: folder.path('sources', 's3'),
      port: last?.source ?? null,
      keys: [secrets.sourceS3],
      fresh: true,
      logFile: logFile('source-s3'),
    }).then(started),
    startSftpServer({
      name: 'SFTP source',
      folder: officeFolder(folder),
      port: last?.sftp ?? null,
      user: secrets.sftp.user,
      password: secrets.sftp.password,
      hostKeyFile: folder.path(hostKeyFile),
      logFile: logFile('source-sftp'),
    }).then(started),
  ]);
  const [storage, source, sftp] = starts.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  if (storage === undefined || source === undefined || sftp === undefined) throw new BackupError('ERR_INTERNAL');
  folder.write(PORTS_FILE, JSON.stringify({ storage: storage.port, source: source.port, sftp: sftp.port }));
  return { storage, source, sftp };
}

function readPorts(folder: DataFolder): z.infer<typeof Ports> | null {
  try {
    return Ports.parse(JSON.parse(folder.read(PORTS_FILE) ?? ''));
  } catch {
    return null;
  }
}

/** The worker as an operator would start it, with the configuration file of the demo. */
export function startWorker(folder: DataFolder, secrets: DemoSecrets, configFile: string): Child {
  return startChild({
    name: 'worker',
    program: process.execPath,
    args: [launcher('worker'), '--config', configFile],
    env: { ...toolsEnvironment(), CLOUD_BACKUP_ENCRYPTION_KEY: secrets.encryptionKey },
    folder: folder.folder('logs'),
    logFile: join(folder.folder('logs'), 'worker.log'),
  });
}

/**
 * Restores the point of a run to a new folder with bin/restore, as an operator would. It verifies what it writes; `how` says why
 * it failed.
 */
export async function restoreTo(
  given: { folder: DataFolder; secrets: DemoSecrets; configFile: string; signal: AbortSignal },
  runId: string,
  target: string,
): Promise<{ ok: boolean; how: string }> {
  const { folder, secrets, configFile, signal } = given;
  const child = startChild({
    name: 'restore',
    program: process.execPath,
    args: [launcher('restore'), '--config', configFile, '--run', runId, '--to', target],
    env: { ...toolsEnvironment(), CLOUD_BACKUP_ENCRYPTION_KEY: secrets.encryptionKey },
    folder: folder.folder('logs'),
    logFile: join(folder.folder('logs'), 'restore.log'),
  });
  signal.addEventListener('abort', () => void child.stop(), { once: true });
  const how = await child.ended;
  return { ok: how === 'ended with code 0', how: `${how}. ${child.tail()}` };
}

function launcher(name: string): string {
  const path = join(packageRoot(), 'bin', `${name}.js`);
  if (!existsSync(path)) throw new BackupError('ERR_TOOL_MISSING', `${path} is missing.`);
  return path;
}
