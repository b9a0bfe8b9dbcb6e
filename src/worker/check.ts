import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { openDatabase, type Database } from '../database/connect.ts';
import { databaseIdentity } from '../database/identity.ts';
import { pendingMigrations } from '../database/migrate.ts';
import { isBackupError } from '../errors/backup-error.ts';
import { loadSecrets } from '../security/envelope.ts';
import { destinationSettings } from '../storage/destinations.ts';
import { databaseSettings, type WorkerConfig } from './config.ts';
import { answering, findRclone, hostRecords } from './open.ts';

/** One line of the doctor: what was looked at, what was found, and what to do when it is not well. */
export interface Finding {
  readonly subject: string;
  readonly ok: boolean;
  readonly found: string;
  readonly remedy?: string;
}

/** Looks at everything a worker needs. Changes nothing but a probe file in the run folder, which it removes. */
export async function checkWorker(
  config: WorkerConfig,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Finding[]> {
  return [
    ...(await checkDatabase(config, environment)),
    await finding('rclone', 'Run "npm run tools -- rclone", or correct rclone.binary_path.', async () => {
      const rclone = await findRclone(config.rclone.binary_path);
      return `${rclone.version} at ${rclone.path}`;
    }),
    await finding('leash', 'Install bash and util-linux: transfers must die with their worker.', async () => {
      await promisify(execFile)('bash', ['-c', 'type setpriv >/dev/null']);
      return 'bash and setpriv are there';
    }),
    await finding('run folder', `Create ${config.rclone.run_dir} and give it to the worker's user (mode 0700).`, () =>
      checkFolder(config.rclone.run_dir),
    ),
  ];
}

async function checkDatabase(config: WorkerConfig, environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  const findings: Finding[] = [];
  const database: Database = openDatabase(databaseSettings(config));
  try {
    const reached = await finding(
      'database',
      'Correct the section "database", and check that the server lets this user in.',
      async () => {
        await answering(database);
        return `${config.database.driver} answers; its identity is ${await databaseIdentity(database)}`;
      },
    );
    findings.push(reached);
    if (!reached.ok) return findings;
    findings.push(
      await finding('tables', 'Run bin/migrate with a user who may create tables.', async () => {
        const pending = await pendingMigrations(database);
        if (pending.length > 0) throw new Error(`${pending.length} steps are missing`);
        return 'up to date';
      }),
      await finding('encryption key', 'Set CLOUD_BACKUP_ENCRYPTION_KEY to the key that the portal uses.', async () => {
        const settings = await hostRecords(database, config).settings();
        return `current key ${loadSecrets({ env: environment, settings }).current.keyId}`;
      }),
      await finding(
        'storage',
        'Set the module setting s3_endpoint, or destination.endpoint; check network and certificate.',
        async () => {
          const settings = await hostRecords(database, config).settings();
          const destination = destinationSettings(settings, config.destination);
          // Any answer will do: without keys a store says 403.
          const answer = await fetch(destination.endpoint || 'https://s3.amazonaws.com', {
            signal: AbortSignal.timeout(8_000),
            redirect: 'manual',
          });
          return `${destination.endpoint || 'AWS'} answers (${answer.status}), provider ${destination.provider}`;
        },
      ),
    );
    return findings;
  } finally {
    await database.close();
  }
}

function checkFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  const probe = `${folder}/.probe-${process.pid}`;
  writeFileSync(probe, 'x');
  unlinkSync(probe);
  const disk = statfsSync(folder);
  const freeGb = (disk.bavail * disk.bsize) / 1e9;
  if (freeGb < 1) throw new Error(`only ${freeGb.toFixed(1)} GB are free in ${folder}`);
  return `${folder} can be written, ${freeGb.toFixed(0)} GB free`;
}

async function finding(subject: string, remedy: string, look: () => Promise<string> | string): Promise<Finding> {
  try {
    return { subject, ok: true, found: await look() };
  } catch (error) {
    const found = isBackupError(error)
      ? error.message
      : `${String((error as Error).message).split('\n')[0]}${causeOf(error)}`;
    return { subject, ok: false, found, remedy };
  }
}

function causeOf(error: unknown): string {
  const cause = (error as Error).cause;
  return cause instanceof Error && cause.message ? ` (${cause.message})` : '';
}
