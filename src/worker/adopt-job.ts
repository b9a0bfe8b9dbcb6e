import { userInfo } from 'node:os';
import { JobBucket } from '../backup/job-bucket.ts';
import { OwnerGuard } from '../backup/owner-marker.ts';
import { recordAudit } from '../database/audit.ts';
import { readWorkerJob } from '../database/worker-jobs.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { OWNER_KEY } from '../layout/keys.ts';
import { readOwner } from '../layout/owner.ts';
import { bucketAccess } from '../storage/destinations.ts';
import { openS3Store } from '../storage/s3.ts';
import { keysFromBucket } from './job-keys.ts';
import { macKeysOf, ownershipOf, type WorkerServices } from './services.ts';

export interface Adoption {
  readonly state: 'ours' | 'foreign' | 'adopted';
  /** The marker that was there, in words. */
  readonly before: string;
}

/**
 * Puts our owner marker into a job's prefix, whatever lay there. The decision is an operator's and goes into the audit log before
 * the marker is written. Keys of an encrypted job that the database lacks are taken from the bucket.
 * @throws BackupError `JOB_NOT_FOUND`, and what the storage says
 */
export async function adoptJob(
  services: WorkerServices,
  jobUuid: string,
  options: { apply: boolean },
): Promise<Adoption> {
  const job = await readWorkerJob(services.database, { uuid: jobUuid });
  if (job === null) throw new BackupError('JOB_NOT_FOUND');
  const access = await bucketAccess(
    services.records,
    services.secrets,
    { clientId: job.clientId, bucketId: job.bucketId, bucketName: job.bucketName },
    services.config.destination,
  );
  const bucket = new JobBucket(openS3Store(access), job.prefix, new AbortController().signal);
  const guard = new OwnerGuard(bucket, { ...ownershipOf(services), job: job.uuid }, macKeysOf(services.secrets));
  if (await isOurs(guard)) return { state: 'ours', before: 'ours' };
  const bytes = await bucket.get(OWNER_KEY);
  const marker = bytes === null ? null : readOwner(bytes);
  const before =
    bytes === null
      ? 'no marker'
      : marker === null
        ? 'an unreadable marker'
        : `installation ${marker.installation}, database ${marker.database}, job ${marker.job}`;
  if (!options.apply) return { state: 'foreign', before };
  await recordAudit(services.database, {
    actorKind: 'operator',
    actorId: userInfo().username,
    clientId: job.clientId,
    action: 'prefix.adopted',
    targetKind: 'job',
    targetId: job.uuid,
    params: { before, bucket: job.bucketName, prefix: job.prefix },
  });
  await guard.write();
  await keysFromBucket(services, job, openS3Store(access));
  return { state: 'adopted', before };
}

async function isOurs(guard: OwnerGuard): Promise<boolean> {
  try {
    return (await guard.look()) === 'ours';
  } catch (error) {
    if (isBackupError(error, 'ERR_DEST_NOT_OURS')) return false;
    throw error;
  }
}
