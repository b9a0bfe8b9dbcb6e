import { BackupError } from '../errors/backup-error.ts';
import { cryptKeysBytes, readCryptKeys, type CryptKeysVerdict, type WrappedKeys } from '../layout/crypt-keys.ts';
import { CRYPT_KEYS_KEY } from '../layout/keys.ts';
import type { MacKeys } from '../layout/mac.ts';
import type { JobBucket } from './job-bucket.ts';

/** What lies in a job's prefix: nothing, something that is not ours, or wrapped keys that we have signed. */
export async function readKeysOf(
  bucket: JobBucket,
  job: string,
  keys: MacKeys,
): Promise<WrappedKeys | CryptKeysVerdict | 'missing'> {
  const bytes = await bucket.get(CRYPT_KEYS_KEY);
  return bytes === null ? 'missing' : readCryptKeys(bytes, job, keys);
}

/**
 * The keys of an encrypted job in its prefix, wrapped by the envelope: so a database that has lost them can be made anew. Looked at with
 * each claim, so that a job never writes with other keys than its folder was begun with.
 */
export class CryptKeysGuard {
  readonly #bucket: JobBucket;
  readonly #job: string;
  readonly #keys: MacKeys;
  readonly #wrapped: WrappedKeys | null;

  /** @param wrapped null: the job is not encrypted */
  constructor(bucket: JobBucket, job: string, keys: MacKeys, wrapped: WrappedKeys | null) {
    this.#bucket = bucket;
    this.#job = job;
    this.#keys = keys;
    this.#wrapped = wrapped;
  }

  /**
   * `lacking`: they are to be put before anything encrypted is: they are not there, are not to be believed, or are wrapped with a former
   * secret. What somebody else put there under the name is nothing to a job without encryption.
   * @throws BackupError `ERR_CRYPT_KEYS_OTHER`; `ERR_KEY_UNKNOWN` where they were signed with a secret that is not configured: they may be the only ones
   */
  async look(): Promise<'in_place' | 'lacking'> {
    const found = await readKeysOf(this.#bucket, this.#job, this.#keys);
    if (found === 'unknown_key') throw new BackupError('ERR_KEY_UNKNOWN');
    const wrapped = this.#wrapped;
    if (typeof found === 'string') return wrapped === null ? 'in_place' : 'lacking';
    if (wrapped === null || found.key !== wrapped.key || found.version !== wrapped.version)
      throw new BackupError('ERR_CRYPT_KEYS_OTHER');
    return found.value === wrapped.value ? 'in_place' : 'lacking';
  }

  /** Puts the keys, or puts them anew; of a job without encryption, nothing. */
  async put(): Promise<void> {
    if (this.#wrapped === null) return;
    await this.#bucket.put(CRYPT_KEYS_KEY, cryptKeysBytes(this.#wrapped, this.#job, this.#keys), 'application/json');
  }
}
