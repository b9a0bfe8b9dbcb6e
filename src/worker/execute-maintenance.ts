import { prune } from '../backup/prune.ts';
import type { PruneReport } from '../backup/prune-ledger.ts';
import type { JobEncryption } from '../crypt/job-encryption.ts';
import { appendEvents } from '../database/events.ts';
import { beginDeletingData, endDeletingData } from '../database/job-data.ts';
import { finishRun } from '../database/leases.ts';
import { hastenMaintenance, recordStoredBytes } from '../database/maintenance.ts';
import type { WorkerJob } from '../database/worker-jobs.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { bucketAccess } from '../storage/destinations.ts';
import { openS3Store } from '../storage/s3.ts';
import { jobEncryption } from './job-keys.ts';
import { reachable } from './ledger.ts';
import { SqlPruneLedger } from './prune-ledger.ts';
import type { RunScope } from './run-scope.ts';
import { macKeysOf, ownershipOf, type WorkerServices } from './services.ts';

/** Points that should go but are in use: looked at again after so long. */
const IN_USE_AGAIN_MS = 3_600_000;

/** One claim of a maintenance run: removes the points that retention gives up, what runs left behind, or all data of a deleted job. */
export async function executeMaintenance(scope: RunScope): Promise<void> {
  const { services, active, job, reporter, folder } = scope;
  const { config, database, records } = services;
  reporter.event(event('MAINTENANCE_STARTING'));
  const dataState = await reachable(async () => await beginDeletingData(database, active.lease, job.id));
  if (dataState === 'gone') return await finish(scope, null, 'nothing');
  // Read before the bucket is listed: what a final listing proves is told by this time.
  const listedAt = await database.readClock();
  const access = await bucketAccess(
    records,
    services.secrets,
    { clientId: job.clientId, bucketId: job.bucketId, bucketName: job.bucketName },
    config.destination,
  );
  const zone = active.run.options['timezone'];
  const report = await prune({
    job: { uuid: job.uuid, prefix: job.prefix },
    wholeData: dataState === 'deleting',
    owner: ownershipOf(services),
    store: openS3Store(access),
    ledger: new SqlPruneLedger({
      database,
      active,
      job,
      reporter,
      hostTimezone: typeof zone === 'string' ? zone : await records.timezone(job.clientId),
    }),
    keys: macKeysOf(services.secrets),
    encryption: await keysForPruning(services, job, dataState === 'deleting'),
    workFolder: folder,
  });
  const zombieMs = (config.worker.lease_seconds + config.worker.lease_margin_seconds) * 1000;
  // What lies there and is not of the format stays, and so does the folder's owner.
  const empty = report.emptied && report.foreign === 0 && !report.yielded;
  const data = empty
    ? await reachable(async () => await endDeletingData(database, { lease: active.lease, job, listedAt, zombieMs }))
    : 'nothing';
  await finish(scope, report, data, zombieMs);
}

/** What is only to be deleted need not be read: all data of a job can go also when its keys are lost. */
async function keysForPruning(
  services: WorkerServices,
  job: WorkerJob,
  wholeData: boolean,
): Promise<JobEncryption | null> {
  try {
    return await jobEncryption(services, job);
  } catch (error) {
    const lost = isBackupError(error, 'ERR_CRYPT_KEYS_MISSING', 'ERR_KEY_UNKNOWN', 'ERR_SECRET_CORRUPT');
    if (wholeData && lost) return null;
    throw error;
  }
}

async function finish(
  { services: { database }, active, job, reporter, notify }: RunScope,
  report: PruneReport | null,
  data: 'gone' | 'too_early' | 'nothing',
  zombieMs = 0,
): Promise<void> {
  await reporter.flush();
  const yielded = report?.yielded === true;
  const status = yielded ? 'cancelled' : 'success';
  await database.transaction(async (trx) => {
    const ended = await finishRun(database, trx, active.lease, {
      status,
      errorCode: yielded ? 'ERR_YIELDED' : null,
      stats: statisticsOf(report, data),
      moved: movedOf(report),
    });
    if (!ended) throw new BackupError('ERR_LEASE_LOST');
    if (data !== 'gone' && report !== null) {
      if (report.remaining !== null) await recordStoredBytes(trx, job.id, report.remaining.bytes);
      if (data === 'too_early') await hastenMaintenance(database, trx, job.id, zombieMs + 1_000);
      else if (report.inUse > 0) await hastenMaintenance(database, trx, job.id, IN_USE_AGAIN_MS);
    }
    await appendEvents(trx, database, active.run.id, closingEvents(yielded));
    await notify(trx, status);
  });
}

function closingEvents(yielded: boolean): RunEvent[] {
  return [yielded ? event('YIELDED') : event('MAINTENANCE_COMPLETED')];
}

function movedOf(report: PruneReport | null): { files: number; bytes: number; bytesListed: number } {
  const bytes = report?.freed.bytes ?? 0;
  return { files: report?.freed.objects ?? 0, bytes, bytesListed: bytes };
}

function statisticsOf(report: PruneReport | null, data: string): Record<string, unknown> {
  if (report === null) return { points: 0, objects: 0, bytes: 0 };
  return {
    points: report.pruned,
    objects: report.freed.objects,
    bytes: report.freed.bytes,
    swept_objects: report.leftovers.objects,
    swept_bytes: report.leftovers.bytes,
    uploads_aborted: report.uploadsAborted,
    adopted: report.adopted,
    spared: report.spared,
    in_use: report.inUse,
    foreign: report.foreign,
    versioned: report.versioned,
    ...(data === 'gone' ? { data_deleted: true } : {}),
  };
}
