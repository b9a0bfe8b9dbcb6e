import { randomUUID } from 'node:crypto';
import { openCopySource } from '../archive/copy-source.ts';
import { JobBucket } from '../backup/job-bucket.ts';
import { findKeptPoint, holdPoint, releaseHolds, renewHolds } from '../database/restore-points.ts';
import { readWorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { Overwrite } from '../protocol/run-options.ts';
import { LocalTarget } from '../restore/local-target.ts';
import { rcloneBulk } from '../restore/rclone-bulk.ts';
import type { RestoreProgress, RestoreReport } from '../restore/report.ts';
import { restorePoint } from '../restore/restore-point.ts';
import { bucketAccess } from '../storage/destinations.ts';
import { openS3Store } from '../storage/s3.ts';
import { jobCipher } from './job-keys.ts';
import { macKeysOf, type WorkerServices } from './services.ts';

export interface FolderRestore {
  /** `moment`: the newest point of the job that is not later, in epoch milliseconds. */
  readonly reference:
    { readonly point: string } | { readonly run: string } | { readonly job: string; readonly moment: number };
  /** Files and folders of the point; none = all of it. */
  readonly paths: readonly string[];
  /** Absolute path of a folder. Without `overwrite` it must be empty, or not exist yet. */
  readonly target: string;
  readonly overwrite: Overwrite | null;
  /** Only counts what would be done: nothing is written. */
  readonly dryRun: boolean;
  readonly workFolder: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

const HOLD_MS = 240_000;

/**
 * Restores a point into a folder of this machine and reads every file back. The point is held while this goes on; when the hold is
 * lost the restore fails aloud.
 * @throws BackupError `POINT_NOT_FOUND`, `INVALID_INPUT` (a path that the point does not hold), `ERR_RESTORE_TARGET`, `ERR_HOLD_LOST`, `ERR_MANIFEST_INVALID`, and what the storage says
 */
export async function restoreToFolder(services: WorkerServices, request: FolderRestore): Promise<RestoreReport> {
  const { database } = services;
  const point = await findKeptPoint(database, null, request.reference);
  if (point === null) throw new BackupError('POINT_NOT_FOUND');
  const job = await readWorkerJob(database, { id: point.jobId });
  if (job === null) throw new BackupError('JOB_NOT_FOUND');
  const hold = await holdPoint(database, {
    pointId: point.id,
    runUuid: randomUUID(),
    purpose: 'restore',
    ttlMs: HOLD_MS,
  });
  if (hold === null) throw new BackupError('POINT_NOT_FOUND');
  const lost = new AbortController();
  const timer = setInterval(() => {
    renewHolds(database, [hold], HOLD_MS).then(
      (renewed) => renewed === 0 && lost.abort(new BackupError('ERR_HOLD_LOST')),
      // The database is away: the hold still stands for minutes, and the next try may get through.
      () => undefined,
    );
  }, HOLD_MS / 8);
  const signal = AbortSignal.any([request.signal, lost.signal]);
  const closing: (() => Promise<void>)[] = [];
  try {
    const access = await bucketAccess(
      services.records,
      services.secrets,
      { clientId: point.clientId, bucketId: point.bucketId, bucketName: point.bucket },
      services.config.destination,
    );
    const cipher = await jobCipher(services, job);
    const bucket = new JobBucket(openS3Store(access), point.prefix, signal, cipher);
    const from = {
      source: { bucket, job: job.uuid, keys: macKeysOf(services.secrets) },
      place: { run: point.runUuid, claim: point.claimName },
      manifestSha256: point.manifestSha256,
      signal,
    };
    const copies = await openCopySource({ ...from, mode: job.mode, access });
    closing.push(copies.close);
    const bulk = rcloneBulk({
      binary: services.rclone,
      ...{ from: copies.from, cipher: copies.cipher, inOnePiece: copies.inOnePiece },
      to: { folder: request.target },
      workFolder: request.workFolder,
      transfers: services.config.rclone.transfers,
      memoryMb: services.config.rclone.memory_mb,
      bandwidth: 0,
    });
    return await restorePoint({
      ...from,
      paths: request.paths,
      overwrite: request.overwrite ?? 'never',
      dryRun: request.dryRun,
      target: new LocalTarget({ folder: request.target, bulk, overwrite: request.overwrite }),
      space: { folder: request.workFolder, memoryItems: 50_000 },
      ...(request.onProgress ? { onProgress: request.onProgress } : {}),
    });
  } finally {
    clearInterval(timer);
    for (const close of closing) await close();
    await database.transaction(async (trx) => await releaseHolds(trx, [hold]));
  }
}
