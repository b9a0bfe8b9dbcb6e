import { runExecutable, stopSignal } from '../src/command-line.ts';
import { recordAudit } from '../src/database/audit.ts';
import { openDatabase } from '../src/database/connect.ts';
import { requireMigrated } from '../src/database/migrate.ts';
import { secretStore } from '../src/database/secrets.ts';
import { BackupError } from '../src/errors/backup-error.ts';
import { loadSecrets } from '../src/security/envelope.ts';
import { secretColumns } from '../src/security/labels.ts';
import { rotateKeys, type ColumnReport, type RotationReport } from '../src/security/rotation.ts';
import { databaseSettings, loadConfig } from '../src/worker/config.ts';
import { answering, hostRecords } from '../src/worker/open.ts';

/** Between two lines of progress. */
const PROGRESS_MS = 2_000;

await runExecutable({
  name: 'rotate-keys',
  summary: 'Re-encrypts all secrets of e3 Cloud Backup with the current encryption key, while portal and workers run.',
  notes: `
The current key is CLOUD_BACKUP_ENCRYPTION_KEY (or what stands in its place); former ones are listed, separated by commas, in
CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS. Restart portal and workers with both before you run it. It can be interrupted and run
again. Tables of the host are never touched. The database user must be allowed to update all tables of this package.
Keep former keys in CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS afterwards: backups that were made under them are signed with them.

Exit codes: 0 everything is under the current key; 1 some values cannot be read and were left as they are; 3 values under
other keys remain (--check, or it was interrupted).`,
  options: {
    config: { type: 'string', short: 'c', value: 'file', description: 'YAML configuration of the worker' },
    check: { type: 'boolean', description: 'Only count the values by key and try to open each; change nothing' },
  },
  tools: [],
  async main({ values }) {
    const config = loadConfig(values.config);
    const database = openDatabase(databaseSettings(config));
    try {
      await answering(database);
      await requireMigrated(database);
      const settings = await hostRecords(database, config).settings();
      const secrets = loadSecrets({ env: process.env, settings });
      console.log(`Current key: ${secrets.current.keyId}. Read with: ${secrets.keyIds.join(', ')}.`);
      const report = await rotateKeys({
        secrets,
        store: secretStore(database),
        checkOnly: values.check,
        signal: stopSignal(),
        onProgress: progress(),
      });
      print(report, secrets.current.keyId);
      const rewritten = report.columns.reduce((sum, column) => sum + column.rewritten, 0);
      if (rewritten > 0) {
        await recordAudit(database, {
          actorKind: 'operator',
          actorId: 'rotate-keys',
          clientId: null,
          action: 'keys.rotated',
          targetKind: null,
          targetId: null,
          params: { keyId: secrets.current.keyId, rewritten, unreadable: report.unreadable.length },
        });
      }
      return report.remaining > 0 || report.stopped ? 3 : report.unreadable.length > 0 ? 1 : 0;
    } catch (error) {
      throw denied(error) ?? error;
    } finally {
      await database.close();
    }
  },
});

/** The worker's own database user may read most of these columns, but not change them. */
function denied(error: unknown): BackupError | null {
  const { code } = (error ?? {}) as { code?: unknown };
  if (code !== 'ER_TABLEACCESS_DENIED_ERROR' && code !== 'ER_COLUMNACCESS_DENIED_ERROR') return null;
  return new BackupError(
    'ERR_CONFIG_INVALID',
    'This database user may not read or change all tables of this package. Give CLOUD_BACKUP_DATABASE_USERNAME and CLOUD_BACKUP_DATABASE_PASSWORD of the user that bin/migrate runs under.',
    { cause: error },
  );
}

function progress(): (column: Readonly<ColumnReport>) => void {
  let next = performance.now() + PROGRESS_MS;
  return (column) => {
    if (performance.now() < next) return;
    next = performance.now() + PROGRESS_MS;
    console.log(`${nameOf(column)}: ${column.total} looked at, ${column.rewritten} re-encrypted …`);
  };
}

function print(report: RotationReport, currentKeyId: string): void {
  for (const column of report.columns) {
    const found = [...column.found].map(([form, count]) => `${count} ${describe(form, currentKeyId)}`);
    const rewritten = column.rewritten > 0 ? `; ${column.rewritten} re-encrypted` : '';
    console.log(`${nameOf(column)}: ${found.length === 0 ? 'empty' : found.join(', ')}${rewritten}`);
  }
  for (const { label, uuid, reason } of report.unreadable) {
    console.error(`${nameOf({ label })} of ${uuid}: ${reason}; left as it is.`);
  }
  if (report.stopped) console.log('Interrupted. Run it again to go on.');
  else if (report.remaining > 0) console.log(`${report.remaining} values are not under the current key.`);
  else if (report.unreadable.length === 0) console.log('Everything is under the current key.');
}

function describe(form: string, currentKeyId: string): string {
  if (form === currentKeyId) return 'under the current key';
  if (form === 'legacy') return 'in the older format';
  return form === 'unreadable' ? 'damaged' : `under key ${form}`;
}

function nameOf({ label }: Pick<ColumnReport, 'label'>): string {
  return `${secretColumns[label].table}.${secretColumns[label].column}`;
}
