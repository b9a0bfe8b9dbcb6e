import { z } from 'zod';
import { JobBucket } from '../backup/job-bucket.ts';
import { finishRun } from '../database/leases.ts';
import { appendEvents } from '../database/events.ts';
import { findKeptPoint, holdPoint, releaseHolds } from '../database/restore-points.ts';
import { readWorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import { event } from '../events/catalogue.ts';
import { BucketTarget } from '../restore/bucket-target.ts';
import { rcloneBulk } from '../restore/rclone-bulk.ts';
import { requireExact, restorePoint, type RestoreProgress, type RestoreReport } from '../restore/restore-point.ts';
import { bucketAccess } from '../storage/destinations.ts';
import { openS3Store } from '../storage/s3.ts';
import { bandwidthOf } from './bandwidth.ts';
import type { RunScope } from './run-scope.ts';
import { macKeysOf } from './services.ts';

/** What the portal writes into a restore run. */
const Options = z.looseObject({
  point: z.uuid(),
  folder: z.string().default(''),
  target: z.object({ bucket_id: z.number(), bucket: z.string(), prefix: z.string().min(1) }),
});

/** One claim of a restore into a folder of one of the client's buckets: copied, read back, compared. */
export async function executeRestore(scope: RunScope): Promise<void> {
  const { services, active, job, reporter, folder } = scope;
  const { database, records, secrets, config } = services;
  const options = Options.parse(active.run.options);
  const targetPath = `${options.target.bucket}/${options.target.prefix}`;
  reporter.event(event('RESTORE_STARTING', { target_path: targetPath }));
  const point = await findKeptPoint(database, job.clientId, { point: options.point });
  if (point === null) throw new BackupError('POINT_NOT_FOUND');
  const hold = await holdPoint(database, {
    pointId: point.id,
    runUuid: active.run.uuid,
    purpose: 'restore',
    ttlMs: active.leaseMs * 4,
  });
  if (hold === null) throw new BackupError('POINT_NOT_FOUND');
  active.watchHolds([hold]);
  const owner = await readWorkerJob(database, { id: point.jobId });
  if (owner === null) throw new BackupError('JOB_NOT_FOUND');
  const from = await bucketAccess(
    records,
    secrets,
    { clientId: job.clientId, bucketId: point.bucketId, bucketName: point.bucket },
    config.destination,
  );
  const to = await bucketAccess(
    records,
    secrets,
    { clientId: job.clientId, bucketId: options.target.bucket_id, bucketName: options.target.bucket },
    config.destination,
  );
  const bucket = new JobBucket(openS3Store(from), point.prefix, active.signal);
  const bulk = rcloneBulk({
    binary: services.rclone,
    from,
    to: { access: to, prefix: options.target.prefix },
    workFolder: folder,
    transfers: config.rclone.transfers,
    bandwidth: await bandwidthOf(services, job),
  });
  const report = await restorePoint({
    source: { bucket, job: owner.uuid, keys: macKeysOf(secrets) },
    place: { run: point.runUuid, claim: point.claimName },
    manifestSha256: point.manifestSha256,
    folder: options.folder,
    target: new BucketTarget({
      store: openS3Store(to),
      prefix: options.target.prefix,
      fromPrefix: point.prefix,
      bulk,
      mayContinue: active.run.claim > 1,
      sameBucket: from.endpoint === to.endpoint && from.bucket === to.bucket && from.accessKey === to.accessKey,
    }),
    space: { folder, memoryItems: 50_000 },
    signal: active.signal,
    onProgress: (progress) => reporter.figures(figuresOf(progress)),
  });
  requireExact(report);
  await finish(scope, report, targetPath);
}

function figuresOf(progress: RestoreProgress): Parameters<RunScope['reporter']['figures']>[0] {
  const share =
    progress.bytesTotal > 0
      ? progress.bytes / progress.bytesTotal
      : progress.filesTotal > 0
        ? progress.files / progress.filesTotal
        : 0;
  return {
    phase: progress.phase,
    bytesTotal: progress.bytesTotal,
    bytesTransferred: progress.bytes,
    bytesProcessed: progress.bytes,
    objectsTotal: progress.filesTotal,
    objectsTransferred: progress.files,
    speedBytesPerSec: 0,
    etaSeconds: null,
    currentItem: null,
    percent: progress.phase === 'copying' ? 90 * Math.min(1, share) : 95,
  };
}

async function finish(
  { services, active, reporter, notify }: RunScope,
  report: RestoreReport,
  targetPath: string,
): Promise<void> {
  const { database } = services;
  await reporter.flush();
  const holds = active.forgetHolds();
  const status = report.carried > 0 || report.sizeOnly > 0 ? 'warning' : 'success';
  await database.transaction(async (trx) => {
    const moved = { files: report.files, bytes: report.bytes, bytesListed: report.bytes };
    const stats = {
      files: report.files,
      bytes: report.bytes,
      exact: report.exact,
      size_only: report.sizeOnly,
      carried: report.carried,
    };
    if (!(await finishRun(database, trx, active.lease, { status, stats, moved })))
      throw new BackupError('ERR_LEASE_LOST');
    await appendEvents(trx, database, active.run.id, [
      event('RESTORE_VERIFIED', { files: report.exact + report.sizeOnly, bytes: report.bytes }),
      event('RESTORE_COMPLETED', { target_path: targetPath }),
    ]);
    await notify(trx, status);
    await releaseHolds(trx, holds);
  });
}
