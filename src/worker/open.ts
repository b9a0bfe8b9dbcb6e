import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { toolPath } from '../engines/tools.ts';
import { openDatabase, type Database } from '../database/connect.ts';
import { databaseIdentity } from '../database/identity.ts';
import { requireMigrated } from '../database/migrate.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { billingRecords } from '../host/billing-tables.ts';
import type { HostRecords } from '../host/port.ts';
import { createLog, type Logger } from '../log.ts';
import { createEgressGuard } from '../security/egress.ts';
import { loadSecrets } from '../security/envelope.ts';
import { databaseSettings, type WorkerConfig } from './config.ts';
import type { WorkerServices } from './services.ts';

/** Opens everything a process needs beside the portal: worker, restore, reindex. Throws the first thing that is wrong. */
export async function openServices(
  config: WorkerConfig,
  options: { environment?: NodeJS.ProcessEnv; log?: Logger; records?: (database: Database) => HostRecords } = {},
): Promise<WorkerServices & { close(): Promise<void> }> {
  const log =
    options.log ??
    createLog({
      level: config.logging.level,
      file: config.logging.file,
      maxSizeMb: config.logging.max_size_mb,
      maxBackups: config.logging.max_backups,
    });
  const rclone = await findRclone(config.rclone.binary_path);
  const database = openDatabase(databaseSettings(config));
  try {
    await answering(database);
    await requireMigrated(database);
    const records = options.records?.(database) ?? hostRecords(database, config);
    const secrets = loadSecrets({ env: options.environment ?? process.env, settings: await records.settings() });
    return {
      config,
      database,
      databaseIdentity: await databaseIdentity(database),
      records,
      secrets,
      egress: createEgressGuard({ allow: config.egress.allow }),
      log,
      rclone,
      close: async () => await database.close(),
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** The host's tables, as the worker may see them. */
export function hostRecords(database: Database, config: WorkerConfig): HostRecords {
  return billingRecords({ knex: database.knex, module: config.host.module, settingsTable: config.host.settings_table });
}

/** Throws ERR_DATABASE_UNREACHABLE with the reason in words. */
export async function answering(database: Database): Promise<void> {
  try {
    await database.readClock();
  } catch (error) {
    if (isBackupError(error)) throw error;
    const reason = String((error as Error).message).split('\n')[0] ?? '';
    throw new BackupError(
      'ERR_DATABASE_UNREACHABLE',
      `The database cannot be used: ${reason}. Check host, user and password, or the folder of the SQLite file.`,
      { cause: error },
    );
  }
}

const OLDEST_RCLONE = [1, 75] as const;

/** The pinned rclone, or the one that the configuration names if it is new enough. */
export async function findRclone(configured: string | undefined): Promise<{ path: string; version: string }> {
  const path = configured || toolPath('rclone');
  const { stdout } = await promisify(execFile)(path, ['version'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], RCLONE_CONFIG: '/dev/null' },
    timeout: 20_000,
  }).catch((cause: unknown) => {
    throw new BackupError(
      'ERR_RCLONE_START',
      `rclone at "${path}" cannot be started. Correct rclone.binary_path, or remove it to use the pinned one.`,
      { cause },
    );
  });
  const version = /^rclone v(\d+)\.(\d+)[^\s]*/m.exec(stdout);
  const [major, minor] = [Number(version?.[1]), Number(version?.[2])];
  if (!version || major < OLDEST_RCLONE[0] || (major === OLDEST_RCLONE[0] && minor < OLDEST_RCLONE[1])) {
    throw new BackupError(
      'ERR_TOOL_WRONG',
      `rclone at "${path}" is ${version?.[0] ?? 'of an unknown version'}; 1.75 or newer is needed, older ones lose data. Remove rclone.binary_path to use the pinned one.`,
    );
  }
  return { path, version: version[0].replace(/^rclone v/, '') };
}
