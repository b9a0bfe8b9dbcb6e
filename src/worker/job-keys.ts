import { readKeysOf } from '../backup/crypt-keys.ts';
import { JobBucket } from '../backup/job-bucket.ts';
import { openJobCipher, type JobCipher } from '../crypt/job-cipher.ts';
import type { JobEncryption } from '../crypt/job-encryption.ts';
import { findKeys, takeInKeys } from '../database/keys.ts';
import type { WorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { WrappedKeys } from '../layout/crypt-keys.ts';
import { unwrapKeys } from '../security/crypt-keys.ts';
import type { ObjectStore } from '../storage/port.ts';
import { macKeysOf, type WorkerServices } from './services.ts';

/**
 * The keys of a job; null where it is not encrypted.
 * @throws BackupError `ERR_CRYPT_KEYS_MISSING`, `ERR_KEY_UNKNOWN`, `ERR_SECRET_CORRUPT`
 */
export async function jobEncryption(
  services: Pick<WorkerServices, 'database' | 'secrets'>,
  job: Pick<WorkerJob, 'uuid' | 'encrypted'>,
): Promise<JobEncryption | null> {
  if (!job.encrypted) return null;
  const stored = await findKeys(services.database.knex, job.uuid);
  if (stored === null) throw new BackupError('ERR_CRYPT_KEYS_MISSING');
  return await openWrapped(services, stored);
}

/** As `jobEncryption`, for those who only read. */
export async function jobCipher(
  services: Pick<WorkerServices, 'database' | 'secrets'>,
  job: Pick<WorkerJob, 'uuid' | 'encrypted'>,
): Promise<JobCipher | null> {
  return (await jobEncryption(services, job))?.cipher ?? null;
}

/**
 * As `jobEncryption`, but what lies in the bucket counts too: keys that the database has lost, and that it has lost the fact that the job is
 * encrypted, are taken in. Only for who holds the job.
 * @throws BackupError as `jobEncryption`, `ERR_CRYPT_KEYS_OTHER`, and what the storage says
 */
export async function keysFromBucket(
  services: Pick<WorkerServices, 'database' | 'secrets' | 'log'>,
  job: WorkerJob,
  store: ObjectStore,
): Promise<JobEncryption | null> {
  const bucket = new JobBucket(store, job.prefix, new AbortController().signal);
  const found = await readKeysOf(bucket, job.uuid, macKeysOf(services.secrets));
  if (found === 'unknown_key') throw new BackupError('ERR_KEY_UNKNOWN');
  if (typeof found === 'string') {
    if (found !== 'missing')
      services.log.warn('keys in the bucket are not to be believed', { job: job.uuid, reason: found });
    return await jobEncryption(services, job);
  }
  const encryption = await openWrapped(services, found);
  if (!(await takeInKeys(services.database, job, found))) throw new BackupError('ERR_CRYPT_KEYS_OTHER');
  return encryption;
}

async function openWrapped(
  { secrets }: Pick<WorkerServices, 'secrets'>,
  { key, version, value }: WrappedKeys,
): Promise<JobEncryption> {
  const wrapped = { key, version, value };
  return { cipher: await openJobCipher(unwrapKeys(secrets, wrapped)), wrapped };
}
