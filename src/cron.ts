import type { ClockParts } from './clock.ts';
import { runExecutable, stopSignal } from './command-line.ts';
import { openDatabase } from './database/connect.ts';
import { requireMigrated } from './database/migrate.ts';
import { BackupError } from './errors/backup-error.ts';
import { billingTables } from './host/billing-tables.ts';
import { createLog } from './log.ts';
import { isTimezone } from './schedule/zone.ts';
import { databaseSettings, loadConfig } from './worker/config.ts';
import { answering } from './worker/open.ts';

export interface Cron {
  readonly name: string;
  /** One sentence: what it does. */
  readonly summary: string;
  /** When to run it, and what its exit codes say. */
  readonly notes: string;
  work(parts: ClockParts, signal: AbortSignal): Promise<object>;
}

/** Runs the executable of a cron. Its exit code is 1 when the report counts something as failed. */
export async function runCron(cron: Cron): Promise<void> {
  await runExecutable({
    name: cron.name,
    summary: cron.summary,
    notes: `
${cron.notes}
The database is the one of the worker's configuration; every key can come from the environment (CLOUD_BACKUP_<SECTION>_<KEY>).
Nothing is printed unless --verbose is given or something fails.`,
    tools: [],
    options: {
      config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
      verbose: { type: 'boolean', short: 'v', description: 'Say what was done, as one line of JSON' },
    },
    async main({ values }) {
      const { parts, close } = await openClock(values.config);
      try {
        const report = await cron.work(parts, stopSignal());
        if (values.verbose) process.stdout.write(`${JSON.stringify(report)}\n`);
        return 'failed' in report && report.failed !== 0 ? 1 : 0;
      } finally {
        await close();
      }
    },
  });
}

/**
 * Opens what a cron needs: the database of the worker's configuration and the host's tables in it; mails go by SMTP (`SMTP_URL`,
 * `SMTP_FROM`). No keys and no tools: crons never see a secret of a job. Throws ERR_CONFIG_INVALID,
 * ERR_DATABASE_UNREACHABLE, ERR_SCHEMA_OLD.
 */
async function openClock(
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
