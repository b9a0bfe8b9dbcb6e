import type { ClockParts } from './clock.ts';
import { openDatabase } from './database/connect.ts';
import { requireMigrated } from './database/migrate.ts';
import { BackupError } from './errors/backup-error.ts';
import { billingTables } from './host/billing-tables.ts';
import { createLog } from './log.ts';
import { isTimezone } from './schedule/zone.ts';
import { databaseSettings, loadConfig } from './worker/config.ts';
import { answering } from './worker/open.ts';

/**
 * Opens what a cron needs: the database of the worker's configuration and the host's tables in it; mails go by SMTP (`SMTP_URL`,
 * `SMTP_FROM`). No keys and no tools: crons never see a secret of a job. Throws ERR_CONFIG_INVALID,
 * ERR_DATABASE_UNREACHABLE, ERR_SCHEMA_OLD.
 */
export async function openClock(
  configFile: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<{ parts: ClockParts; close(): Promise<void> }> {
  const config = loadConfig(configFile, environment);
  const defaultTimezone = environment['CLOUD_BACKUP_PORTAL_TIMEZONE'];
  if (defaultTimezone && !isTimezone(defaultTimezone)) {
    throw new BackupError(
      'ERR_CONFIG_INVALID',
      'CLOUD_BACKUP_PORTAL_TIMEZONE must be a time zone such as Europe/Berlin.',
    );
  }
  const database = openDatabase(databaseSettings(config));
  try {
    await answering(database);
    await requireMigrated(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  const host = billingTables({ knex: database.knex, identify: () => ({ kind: 'nobody' }) });
  return {
    parts: {
      database,
      host,
      log: createLog({ level: config.logging.level === 'info' ? 'warn' : config.logging.level }),
      ...(defaultTimezone ? { defaultTimezone } : {}),
    },
    close: async () => await database.close(),
  };
}
