import { JobBucket } from '../backup/job-bucket.ts';
import type { PointSource } from '../backup/point-reader.ts';
import type { ProofFile, ProofTally } from '../backup/proof.ts';
import type { Transaction } from '../database/connect.ts';
import { recordRunFiles } from '../database/run_files.ts';
import type { findKeptPoint } from '../database/restore-points.ts';
import { readWorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { BackupEngine } from '../engines/port.ts';
import { rcloneEngine } from '../engines/rclone/engine.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { bucketAccess } from '../storage/destinations.ts';
import type { BucketAccess } from '../storage/port.ts';
import { openS3Store } from '../storage/s3.ts';
import { jobCipher } from './job-keys.ts';
import { openSource } from './open-source.ts';
import type { RunScope } from './run-scope.ts';
import { macKeysOf } from './services.ts';

const FILES_TOLD = 100;

export type KeptPoint = NonNullable<Awaited<ReturnType<typeof findKeptPoint>>>;

/** A kept point of the run's client, ready to be read. */
export async function openPoint(
  { services, active, job }: RunScope,
  point: KeptPoint,
): Promise<{ readonly points: PointSource; readonly access: BucketAccess }> {
  const { database, records, secrets, config } = services;
  const owner = await readWorkerJob(database, { id: point.jobId });
  if (owner === null) throw new BackupError('JOB_NOT_FOUND');
  const access = await bucketAccess(
    records,
    secrets,
    { clientId: job.clientId, bucketId: point.bucketId, bucketName: point.bucket },
    config.destination,
  );
  const bucket = new JobBucket(openS3Store(access), point.prefix, active.signal, await jobCipher(services, owner));
  return { points: { bucket, job: owner.uuid, keys: macKeysOf(secrets) }, access };
}

/** The job's source, to be listed and looked at. Nothing is copied. */
export async function openListing(scope: RunScope, access: BucketAccess): Promise<BackupEngine> {
  const { services, active, job, folder } = scope;
  const { definition, hostKey } = await openSource(services, job, access, { ...scope, signal: active.signal });
  return rcloneEngine({
    binary: services.rclone,
    source: definition,
    hostKey,
    destination: access,
    workFolder: folder,
    transfers: 1,
    statsSeconds: 1,
    bandwidth: 0,
  });
}

/** Files that are missing or differ, by name as far as an event holds them. */
export function damageEvents(tally: ProofTally): RunEvent[] {
  const damage = tally.told.filter(({ kind }) => kind === 'missing' || kind === 'differs');
  if (damage.length === 0) return [];
  const files = damage.slice(0, FILES_TOLD).map(({ path, code }) => ({ path, code }));
  return [event('FILES_DIFFER', { files, total: tally.problems })];
}

export async function recordTally({ services, active }: RunScope, trx: Transaction, tally: ProofTally): Promise<void> {
  const files: readonly ProofFile[] = tally.told;
  await recordRunFiles(services.database, trx, active.run.id, files, tally.totals);
}
