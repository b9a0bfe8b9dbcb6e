import { BackupError } from '../errors/backup-error.ts';
import type { ObjectStore, StoredObject } from '../storage/port.ts';

/**
 * Whether the ETags of an S3 source are the MD5 sums that they look like. Those of objects that the store encrypts with a key of its key
 * service (SSE-KMS) look the same and are none; a listing does not tell, the answer for a single object does. Two objects are asked: the
 * first and the newest of those seen first, because a bucket's default encryption holds from some day on. Where one of them says so, no
 * ETag of the source counts, and files are compared by size and date.
 */
export class EtagJudge {
  #verdict: boolean | null = null;

  /** Until somebody has looked, they are taken for what they look like. */
  get areMd5(): boolean {
    return this.#verdict ?? true;
  }

  /** Looks once, at the first objects that have an MD5 at all. */
  async look(store: ObjectStore, seen: readonly StoredObject[], signal: AbortSignal): Promise<void> {
    const hashed = seen.filter(({ md5 }) => md5 !== null);
    const [first] = hashed;
    if (this.#verdict !== null || first === undefined) return;
    const newest = hashed.reduce((a, b) => (b.lastModified > a.lastModified ? b : a));
    const asked = await Promise.all(
      [...new Set([first, newest])].map(async ({ key }) => await headOf(store, key, signal)),
    );
    this.#verdict = asked.every((head) => head === null || head.md5 !== null);
  }
}

/** Null where it has gone meanwhile or may not be read: whoever copies it will say so. */
async function headOf(store: ObjectStore, key: string, signal: AbortSignal): ReturnType<ObjectStore['head']> {
  try {
    return await store.head(key, { signal });
  } catch (error) {
    if (signal.aborted || !(error instanceof BackupError)) throw error;
    return null;
  }
}
