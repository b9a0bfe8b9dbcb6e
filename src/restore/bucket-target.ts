import { sortExternally } from '../backup/sorted-listing.ts';
import type { SpillSpace } from '../backup/spill.ts';
import { PathCursor } from '../backup/arrivals.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { keyOfPath, pathOfKey } from '../layout/encoding.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Entry } from '../layout/types.ts';
import type { ObjectStore } from '../storage/port.ts';
import { inOrder } from './in-order.ts';
import { recordedMd5 } from './object-time.ts';
import type { BulkCopier, BulkCopy, Inspection, RestoreTarget } from './port.ts';

const LOOKS_AT_ONCE = 32;

export interface BucketTargetOptions {
  /** The bucket that is restored into. */
  readonly store: ObjectStore;
  /** Ends in a slash; nothing may lie below it. */
  readonly prefix: string;
  /** Prefix of the job that is restored from, in its own bucket. */
  readonly fromPrefix: string;
  /** An earlier attempt of this very restore may have left something. */
  readonly mayContinue: boolean;
  /** The job's bucket is this very one, seen with the same credentials: single objects are copied by the storage itself. */
  readonly sameBucket?: boolean;
  readonly bulk: BulkCopier & {
    copyOne(fromKey: string, toPath: string, signal: AbortSignal): Promise<ErrorCode | null>;
  };
}

interface FoundObject {
  readonly path: string;
  readonly size: number;
  readonly md5: string | null;
}

/** A prefix of a bucket, empty when the restore begins; so nothing of anybody else is ever overwritten. */
export class BucketTarget implements RestoreTarget {
  readonly #options: BucketTargetOptions;

  constructor(options: BucketTargetOptions) {
    this.#options = options;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    if (this.#options.mayContinue) return;
    for await (const _ of this.#options.store.list(this.#options.prefix, { signal })) {
      throw new BackupError('ERR_RESTORE_TARGET');
    }
  }

  async copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    return await this.#options.bulk.copy(request);
  }

  async copyOne(entry: Entry, signal: AbortSignal): Promise<ErrorCode | null> {
    const { sameBucket, store, prefix, fromPrefix, bulk } = this.#options;
    if (sameBucket !== true) return await bulk.copyOne(fromPrefix + entry.key, entry.path, signal);
    try {
      const copied = await store.copy(fromPrefix + entry.key, prefix + keyOfPath(entry.path), { signal });
      return copied ? null : 'ERR_OBJECT_MISSING';
    } catch (error) {
      if (isBackupError(error, 'ERR_DEST_REFUSED')) return 'ERR_RESTORE_TARGET';
      throw error;
    }
  }

  /** One listing tells sizes and most hashes; only objects that were uploaded in parts are asked for theirs. */
  async *inspect(
    entries: AsyncIterable<Entry>,
    signal: AbortSignal,
    space: SpillSpace,
  ): AsyncGenerator<{ entry: Entry; found: Inspection }> {
    const there = await sortExternally(this.#list(signal), (a, b) => compareUtf8(a.path, b.path), space);
    yield* inOrder(this.#beside(entries, there), LOOKS_AT_ONCE, async ({ entry, object }) => {
      signal.throwIfAborted();
      return { entry, found: object === null ? 'missing' : await this.#compare(entry, object, signal) };
    });
  }

  async *#list(signal: AbortSignal): AsyncGenerator<FoundObject> {
    const { store, prefix } = this.#options;
    for await (const { key, size, md5 } of store.list(prefix, { signal })) {
      const name = key.slice(prefix.length);
      const path = pathOfKey(name);
      if (keyOfPath(path) === name) yield { path, size, md5 };
    }
  }

  async *#beside(
    entries: AsyncIterable<Entry>,
    there: AsyncIterable<FoundObject>,
  ): AsyncGenerator<{ entry: Entry; object: FoundObject | null }> {
    const cursor = new PathCursor(there);
    try {
      for await (const entry of entries) yield { entry, object: (await cursor.at(entry.path))[0] ?? null };
    } finally {
      await cursor.close();
    }
  }

  async #compare(entry: Entry, object: FoundObject, signal: AbortSignal): Promise<Inspection> {
    if (object.size !== entry.size) return 'differs';
    if (entry.hash === null) return 'size_only';
    const md5 = object.md5 ?? (await this.#recordedMd5(entry.path, signal));
    if (md5 === null) return 'size_only';
    return `md5:${md5}` === entry.hash ? 'exact' : 'differs';
  }

  async #recordedMd5(path: string, signal: AbortSignal): Promise<string | null> {
    const head = await this.#options.store.head(this.#options.prefix + keyOfPath(path), { signal });
    return head === null ? null : recordedMd5(head.metadata);
  }
}
