import { BackupError } from '../errors/backup-error.ts';
import { OWNER_KEY } from '../layout/keys.ts';
import type { MacKeys } from '../layout/mac.ts';
import { judgeOwner, ownerBytes, type Ownership, type OwnerVerdict } from '../layout/owner.ts';
import type { JobBucket } from './job-bucket.ts';

/**
 * The owner marker of a job's prefix: read at claim, before chunks, before the manifest and before deletes, so that neither two
 * installations nor an original database and its copy ever work in one prefix.
 */
export class OwnerGuard {
  readonly #bucket: JobBucket;
  readonly #owner: Ownership;
  readonly #keys: MacKeys;

  constructor(bucket: JobBucket, owner: Ownership, keys: MacKeys) {
    this.#bucket = bucket;
    this.#owner = owner;
    this.#keys = keys;
  }

  /** Whether the prefix is ours, or has no marker. Throws `ERR_DEST_NOT_OURS` for any other marker. */
  async look(): Promise<'ours' | 'unmarked'> {
    const bytes = await this.#bucket.get(OWNER_KEY);
    if (bytes === null) return 'unmarked';
    const verdict = judgeOwner(bytes, this.#owner, this.#keys);
    if (verdict !== 'ours') throw notOurs(verdict);
    return 'ours';
  }

  /** Throws `ERR_DEST_NOT_OURS` unless the marker is there and ours. */
  async require(): Promise<void> {
    if ((await this.look()) !== 'ours') throw notOurs('missing');
  }

  /**
   * Takes an empty prefix for this job, which must not have a point. Another claim of the same job may do so at the same moment: then
   * the prefix is not empty any more, but ours. Throws `ERR_DEST_NOT_OURS` when it is neither.
   */
  async mark(): Promise<void> {
    if (await this.#bucket.isEmpty()) await this.write();
    await this.require();
  }

  /** Puts our marker whatever was there: only `bin/adopt` does so, when somebody decided it. */
  async write(): Promise<void> {
    await this.#bucket.put(OWNER_KEY, ownerBytes(this.#owner, this.#keys), 'application/json');
  }
}

function notOurs(reason: OwnerVerdict | 'missing'): BackupError {
  return new BackupError('ERR_DEST_NOT_OURS', undefined, { details: { reason } });
}
