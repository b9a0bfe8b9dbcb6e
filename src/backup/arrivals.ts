import { filesFolder } from '../layout/keys.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { JobBucket } from './job-bucket.ts';
import { sortExternally } from './sorted-listing.ts';
import type { Replayable, SpillSpace } from './spill.ts';

/** An object of a claim's folder, by the path of its file. */
export interface Arrival {
  readonly path: string;
  /** Bytes of the file; -1 when no file has such an object. */
  readonly size: number;
  /** `md5:<hex>` where the store tells it. */
  readonly hash: string | null;
  readonly claim: string;
  /** In an archive: where it lies (see Entry). */
  readonly place?: { readonly key: string; readonly offset: number; readonly length: number };
}

/** What lies in the folders of these claims of a run, by path. Objects under a name that no path has are left out. */
export async function listArrivals(
  bucket: JobBucket,
  run: string,
  claims: readonly string[],
  space: SpillSpace,
): Promise<Replayable<Arrival>> {
  return await sortExternally(arrivals(bucket, run, claims), (a, b) => compareUtf8(a.path, b.path), space);
}

async function* arrivals(bucket: JobBucket, run: string, claims: readonly string[]): AsyncGenerator<Arrival> {
  let reliable: boolean | null = null;
  for (const claim of claims) {
    const folder = filesFolder(run, claim);
    for await (const object of bucket.list(folder)) {
      const name = object.key.slice(folder.length);
      const path = bucket.names.pathOfKey(name);
      if (path === null) continue;
      const { size, md5 } = bucket.factsOf(object);
      if (md5 !== null) reliable ??= await isMd5(bucket, object.key);
      yield { path, size, hash: md5 === null || reliable !== true ? null : `md5:${md5}`, claim };
    }
  }
}

/** A listing does not say that its ETags are none because a key service encrypts what is stored; the answer for one object does. */
async function isMd5(bucket: JobBucket, key: string): Promise<boolean> {
  const head = await bucket.head(key);
  return head === null || head.md5 !== null;
}

/**
 * Steps through sorted items beside another sorted sequence: `at(path)` gives those of this path. Paths must be asked for in order.
 */
export class PathCursor<T extends { readonly path: string }> {
  readonly #items: AsyncIterator<T>;
  #next: IteratorResult<T> | null = null;

  constructor(items: AsyncIterable<T>) {
    this.#items = items[Symbol.asyncIterator]();
  }

  async at(path: string): Promise<readonly T[]> {
    this.#next ??= await this.#items.next();
    const found: T[] = [];
    while (this.#next.done !== true) {
      const order = compareUtf8(this.#next.value.path, path);
      if (order > 0) break;
      if (order === 0) found.push(this.#next.value);
      this.#next = await this.#items.next();
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#items.return?.();
  }
}
