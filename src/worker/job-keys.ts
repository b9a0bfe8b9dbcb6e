import type { JobCipher } from '../crypt/job-cipher.ts';
import { openJobCipher } from '../crypt/job-cipher.ts';
import type { JobEncryption } from '../crypt/job-encryption.ts';
import { findKeys } from '../database/keys.ts';
import type { WorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { WrappedKeys } from '../layout/crypt-keys.ts';
import { unwrapKeys } from '../security/crypt-keys.ts';
import type { WorkerServices } from './services.ts';

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

export async function openWrapped(
  { secrets }: Pick<WorkerServices, 'secrets'>,
  { key, version, value }: WrappedKeys,
): Promise<JobEncryption> {
  const wrapped = { key, version, value };
  return { cipher: await openJobCipher(unwrapKeys(secrets, wrapped)), wrapped };
}
