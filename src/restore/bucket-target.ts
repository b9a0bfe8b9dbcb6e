import { sortExternally } from '../backup/sorted-listing.ts';
import { PathCursor } from '../backup/arrivals.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import { isPath, keyOfPath, pathOfKey } from '../layout/encoding.ts';
import { enclosingPrefixes, MAX_KEY_BYTES, OWNER_KEY } from '../layout/keys.ts';
import { compareUtf8, utf8Length } from '../layout/order.ts';
import type { Entry } from '../layout/types.ts';
import { keyOfSourcePath, pathOfSourceKey, sourceError } from '../sources/list-s3.ts';
import type { ObjectHead, ObjectStore, StoredObject } from '../storage/port.ts';
import { inOrder } from './in-order.ts';
import { objectTime, recordedMd5 } from './object-time.ts';
import type { BulkCopier, BulkCopy, Existing, LookOptions, RestoreTarget, SingleCopies } from './port.ts';

const LOOKS_AT_ONCE = 32;
/** Up to so many files each is asked for by its name, where others may lie beside them; from then on everything is listed. */
const LOOKED_SINGLY = 500;

/** How keys below the target's prefix and paths of entries stand for each other. */
export interface KeyNames {
  /** Relative to the prefix. */
  keyOf(path: string): string;
  /** Null: a key that is no path's. */
  pathOf(key: string): string | null;
  /** The failure in words that fit whose bucket it is. */
  error(error: unknown): unknown;
}

/** As in the buckets of backups. */
export const destinationNames: KeyNames = {
  keyOf: keyOfPath,
  pathOf(key) {
    const path = pathOfKey(key);
    return keyOfPath(path) === key ? path : null;
  },
  error: (error) => error,
};

/** As the source itself names its objects. */
export const sourceNames: KeyNames = {
  keyOf: keyOfSourcePath,
  pathOf(key) {
    const path = pathOfSourceKey(key);
    return isPath(path) ? path : null;
  },
  error: sourceError,
};

export interface BucketTargetOptions {
  /** The bucket that is restored into. */
  readonly store: ObjectStore;
  /** Ends in a slash, or is empty where a source is a whole bucket. */
  readonly prefix: string;
  readonly names: KeyNames;
  /** Prefixes of this bucket in which backups lie: nothing is ever written there. */
  readonly protectedPrefixes: readonly string[];
  readonly bulk: BulkCopier;
}

interface FoundObject {
  readonly path: string;
  readonly object: StoredObject;
}

/** A prefix of a bucket: of one that the customer has with us, or of the source. */
export class BucketTarget implements RestoreTarget {
  readonly mayIgnoreCase = false;
  isEmpty = false;
  readonly #options: BucketTargetOptions;

  constructor(options: BucketTargetOptions) {
    this.#options = options;
  }

  async prepare({ signal }: { signal: AbortSignal }): Promise<void> {
    const { store, prefix, protectedPrefixes } = this.#options;
    if (protectedPrefixes.some((taken) => prefix.startsWith(taken))) throw new BackupError('ERR_RESTORE_TARGET');
    await this.#told(async () => {
      for (const folder of [...enclosingPrefixes(prefix), prefix]) {
        // Backups of whatever installation begin with their owner's marker.
        if ((await store.head(folder + OWNER_KEY, { signal })) !== null) throw new BackupError('ERR_RESTORE_TARGET');
      }
      this.isEmpty = true;
      for await (const _ of store.list(prefix, { signal })) {
        this.isEmpty = false;
        return;
      }
    });
  }

  refusal(path: string): ErrorCode | null {
    const { prefix, names, protectedPrefixes } = this.#options;
    const key = prefix + names.keyOf(path);
    if (protectedPrefixes.some((taken) => key.startsWith(taken))) return 'PREFIX_TAKEN';
    return key.length * 3 > MAX_KEY_BYTES && utf8Length(key) > MAX_KEY_BYTES ? 'ERR_KEY_TOO_LONG' : null;
  }

  async copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>> {
    return await this.#options.bulk.copy(request);
  }

  async copySome(request: SingleCopies): Promise<ReadonlyMap<string, ErrorCode>> {
    return await this.#options.bulk.copySome(request);
  }

  async close(): Promise<void> {
    await this.#options.bulk.close();
  }

  async *look(
    entries: AsyncIterable<Entry>,
    options: LookOptions,
  ): AsyncGenerator<{ entry: Entry; existing: Existing | null }> {
    // Empty when the restore began; reading back, it is not any more.
    if (this.isEmpty && !options.hashes) {
      for await (const entry of entries) yield { entry, existing: null };
      return;
    }
    const singly = !this.isEmpty && options.count <= LOOKED_SINGLY;
    yield* singly ? this.#lookSingly(entries, options) : this.#lookByListing(entries, options);
  }

  #lookSingly(
    entries: AsyncIterable<Entry>,
    { signal }: LookOptions,
  ): AsyncGenerator<{ entry: Entry; existing: Existing | null }> {
    return inOrder(entries, LOOKS_AT_ONCE, async (entry) => {
      signal.throwIfAborted();
      const object = await this.#told(async () => await this.#find(entry.path, signal));
      return { entry, existing: object === null ? null : existingOf(object, object) };
    });
  }

  /** One listing tells sizes and most hashes; only objects that were uploaded in parts, or seem to differ, are asked for theirs. */
  async *#lookByListing(
    entries: AsyncIterable<Entry>,
    options: LookOptions,
  ): AsyncGenerator<{ entry: Entry; existing: Existing | null }> {
    const { signal, space } = options;
    const there = await sortExternally(this.#list(signal), (a, b) => compareUtf8(a.path, b.path), space);
    yield* inOrder(beside(entries, there), LOOKS_AT_ONCE, async ({ entry, object }) => {
      signal.throwIfAborted();
      if (object === null) return { entry, existing: null };
      const more = options.times || (options.hashes && object.size === entry.size && isInDoubt(entry, object));
      const head = more ? await this.#told(async () => await this.#find(entry.path, signal)) : null;
      return { entry, existing: existingOf(object, head) };
    });
  }

  async *#list(signal: AbortSignal): AsyncGenerator<FoundObject> {
    const { store, prefix, names } = this.#options;
    try {
      for await (const object of store.list(prefix, { signal })) {
        const path = names.pathOf(object.key.slice(prefix.length));
        if (path !== null) yield { path, object };
      }
    } catch (error) {
      throw names.error(error);
    }
  }

  async #find(path: string, signal: AbortSignal): Promise<ObjectHead | null> {
    const { store, prefix, names } = this.#options;
    const key = prefix + names.keyOf(path);
    if (key.isWellFormed()) return await store.head(key, { signal });
    // What is no text cannot be asked for; what precedes it can be listed.
    for await (const object of store.list(key.slice(0, key.search(/[\ud800-\udfff]/)), { signal })) {
      if (object.key === key) return { ...object, metadata: {} };
    }
    return null;
  }

  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#options.names.error(error);
    }
  }
}

/** Where a key service encrypts objects, a listing's ETags look like MD5 sums and are none: only the object's own answer tells. */
function isInDoubt({ hash }: Entry, { md5 }: StoredObject): boolean {
  return hash !== null && (md5 === null || hash !== `md5:${md5}`);
}

/** @param head where the object was asked for itself */
function existingOf(object: StoredObject, head: ObjectHead | null): Existing {
  const metadata = head?.metadata ?? {};
  const md5 = (head ?? object).md5 ?? recordedMd5(metadata);
  return {
    size: object.size,
    hash: md5 === null ? null : `md5:${md5}`,
    modified: objectTime(metadata) ?? object.lastModified,
  };
}

async function* beside(
  entries: AsyncIterable<Entry>,
  there: AsyncIterable<FoundObject>,
): AsyncGenerator<{ entry: Entry; object: StoredObject | null }> {
  const cursor = new PathCursor(there);
  try {
    for await (const entry of entries) yield { entry, object: (await cursor.at(entry.path))[0]?.object ?? null };
  } finally {
    await cursor.close();
  }
}
