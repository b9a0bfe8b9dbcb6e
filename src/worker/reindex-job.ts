import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { reindex } from '../backup/reindex.ts';
import { applyReindex, beginReindex, jobCounters } from '../database/reindex.ts';
import { isUnreachable } from '../database/connect.ts';
import { finishRun, renewLease, type Lease } from '../database/leases.ts';
import { jobRuns, livePoints } from '../database/restore-points.ts';
import { readWorkerJob, type WorkerJob } from '../database/worker-jobs.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import type { ReindexPlan } from '../layout/reindex.ts';
import { bucketAccess } from '../storage/destinations.ts';
import { openS3Store } from '../storage/s3.ts';
import { keysFromBucket } from './job-keys.ts';
import { toPointView, toRunViews } from './ledger.ts';
import { macKeysOf, ownershipOf, type WorkerServices } from './services.ts';

/**
 * Makes the database what the bucket of one job says. Holds the job's active key meanwhile, so no backup of it can run.
 * @throws BackupError `JOB_NOT_FOUND`, `ALREADY_RUNNING` (stop the workers first), `ERR_DEST_NOT_OURS`, `ERR_CRYPT_KEYS_OTHER`, `ERR_KEY_UNKNOWN`, and what the storage says
 */
export async function reindexJob(services: WorkerServices, jobUuid: string, signal: AbortSignal): Promise<ReindexPlan> {
  const { database, config, records, secrets } = services;
  const job = await readWorkerJob(database, { uuid: jobUuid });
  if (job === null) throw new BackupError('JOB_NOT_FOUND');
  const leaseMs = config.worker.lease_seconds * 1000;
  const lease = await beginReindex(database, job, {
    leaseMs,
    marginMs: config.worker.lease_margin_seconds * 1000,
    host: config.worker.hostname,
  });
  if (lease === null) throw new BackupError('ALREADY_RUNNING');
  mkdirSync(config.rclone.run_dir, { recursive: true, mode: 0o700 });
  const workFolder = mkdtempSync(join(config.rclone.run_dir, '.reindex-'));
  const kept = keepLease(services, lease, leaseMs);
  try {
    const access = await bucketAccess(
      records,
      secrets,
      { clientId: job.clientId, bucketId: job.bucketId, bucketName: job.bucketName },
      config.destination,
    );
    return await reindex({
      job: { uuid: job.uuid, prefix: job.prefix },
      owner: ownershipOf(services),
      store: openS3Store(access),
      keys: macKeysOf(secrets),
      encryption: await keysFromBucket(services, job, openS3Store(access)),
      ledger: ledgerOf(services, job, lease, AbortSignal.any([signal, kept.signal])),
      workFolder,
    });
  } catch (error) {
    const code = isBackupError(error) ? error.code : 'ERR_INTERNAL';
    await database
      .transaction(async (trx) => await finishRun(database, trx, lease, { status: 'failed', errorCode: code }))
      .catch(() => undefined);
    throw error;
  } finally {
    kept.stop();
    rmSync(workFolder, { recursive: true, force: true });
  }
}

function ledgerOf(
  { database }: WorkerServices,
  job: WorkerJob,
  lease: Lease,
  signal: AbortSignal,
): Parameters<typeof reindex>[0]['ledger'] {
  return {
    signal,
    async view(runs) {
      const points = await livePoints(database, job.id);
      const rows = await jobRuns(database, job.id, [...new Set([...runs, ...points.map((point) => point.runUuid)])]);
      return { points: points.map(toPointView), runs: toRunViews(rows), job: await jobCounters(database, job.id) };
    },
    apply: async (plan, sizes) => await applyReindex(database, job, lease, plan, sizes),
  };
}

function keepLease({ database }: WorkerServices, lease: Lease, leaseMs: number): { signal: AbortSignal; stop(): void } {
  const lost = new AbortController();
  const timer = setInterval(() => {
    renewLease(database, lease, leaseMs).then(
      (answer) => {
        if (answer === null) lost.abort(new BackupError('ERR_LEASE_LOST'));
      },
      (error: unknown) => {
        if (!isUnreachable(error)) lost.abort(error);
      },
    );
  }, leaseMs / 4);
  return { signal: lost.signal, stop: () => clearInterval(timer) };
}
