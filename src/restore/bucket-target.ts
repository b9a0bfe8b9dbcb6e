import { BackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { keyOfPath } from '../layout/encoding.ts';
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
  readonly bulk: BulkCopier & {
    copyOne(fromKey: string, toPath: string, signal: AbortSignal): Promise<ErrorCode | null>;
  };
}

/** A prefix of a bucket, empty when the restore begins; so nothing of anybody else is ever overwritten. */
export class BucketTarget implements RestoreTarget {
  readonly #options: BucketTargetOptions;

  constructor(options: BucketTargetOptions) {
    this.#options = options;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    if (this.#options.mayContinue) return;
    for await (const _ of this.#options.store.list(this.#options.prefix, { signal }))
      throw new BackupError('ERR_RESTORE_TARGET');
  }

  async copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    return await this.#options.bulk.copy(request);
  }

  async copyOne(entry: Entry, signal: AbortSignal): Promise<ErrorCode | null> {
    return await this.#options.bulk.copyOne(this.#options.fromPrefix + entry.key, entry.path, signal);
  }

  async *inspect(
    entries: AsyncIterable<Entry>,
    signal: AbortSignal,
  ): AsyncGenerator<{ entry: Entry; found: Inspection }> {
    yield* inOrder(entries, LOOKS_AT_ONCE, async (entry) => ({ entry, found: await this.#inspectOne(entry, signal) }));
  }

  async #inspectOne(entry: Entry, signal: AbortSignal): Promise<Inspection> {
    signal.throwIfAborted();
    const head = await this.#options.store.head(this.#options.prefix + keyOfPath(entry.path), { signal });
    if (head === null) return 'missing';
    if (head.size !== entry.size) return 'differs';
    const md5 = head.md5 ?? recordedMd5(head.metadata);
    if (entry.hash === null || md5 === null) return 'size_only';
    return `md5:${md5}` === entry.hash ? 'exact' : 'differs';
  }
}
