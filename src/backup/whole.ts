import { ArchiveExtents } from '../archive/archive-extents.ts';
import { isBackupError } from '../errors/backup-error.ts';
import { parseKey, RUN_FOLDER_START } from '../layout/keys.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Manifest } from '../layout/types.ts';
import { readEntries, type PointSource } from './point-reader.ts';
import { sortExternally } from './sorted-listing.ts';
import type { Replayable, SpillSpace } from './spill.ts';

interface SizedKey {
  readonly key: string;
  /** Of the file in the object; below zero: any, or none. */
  readonly size: number;
}

const byKey = (a: SizedKey, b: SizedKey): number => compareUtf8(a.key, b.key);

/**
 * Finds out whether manifests are whole: every chunk is what its name says, and every object that an entry names is there with its
 * size, all in **one** listing of the job's run folders, made when the first question comes.
 */
export class WholenessProof {
  readonly #source: PointSource;
  readonly #space: SpillSpace;
  /** Sizes of archives, known once the objects were listed. */
  readonly #archives = new Map<string, number>();
  #objects: Promise<Replayable<SizedKey>> | null = null;

  constructor(source: PointSource, space: SpillSpace) {
    this.#source = source;
    this.#space = space;
  }

  async isWhole(manifest: Manifest): Promise<boolean> {
    try {
      const needed = await sortExternally(this.#neededBy(manifest), byKey, this.#space);
      this.#objects ??= sortExternally(this.#listed(), byKey, this.#space);
      return (await contains(await this.#objects, needed)) && (await this.#reaches(manifest));
    } catch (error) {
      if (isBackupError(error, 'ERR_MANIFEST_INVALID')) return false;
      throw error;
    }
  }

  /** Files and bytes below a folder, by the same listing, and how many of the files are objects of archives. */
  async sizeOf(folder: string): Promise<{ files: number; bytes: number; archives: number }> {
    this.#objects ??= sortExternally(this.#listed(), byKey, this.#space);
    let files = 0;
    let bytes = 0;
    for await (const object of await this.#objects) {
      if (!object.key.startsWith(folder)) continue;
      files += 1;
      bytes += Math.max(object.size, 0);
    }
    const archives = [...this.#archives.keys()].filter((key) => key.startsWith(folder)).length;
    return { files, bytes, archives };
  }

  /** Files of archives lie within what was listed of them. */
  async #reaches(manifest: Manifest): Promise<boolean> {
    if (this.#archives.size === 0) return true;
    const extents = new ArchiveExtents(async (key) => this.#archives.get(key) ?? null);
    for await (const entry of readEntries(this.#source, manifest)) {
      if (entry.offset !== undefined && (await extents.judge(entry)) !== 'there') return false;
    }
    return true;
  }

  async *#neededBy(manifest: Manifest): AsyncGenerator<SizedKey> {
    for await (const entry of readEntries(this.#source, manifest)) {
      // An entry of an archive is a part of its object.
      if (entry.key !== '') yield { key: entry.key, size: entry.offset === undefined ? entry.size : -1 };
    }
  }

  async *#listed(): AsyncGenerator<SizedKey> {
    const { bucket } = this.#source;
    for await (const object of bucket.list(RUN_FOLDER_START)) {
      const { size } = bucket.factsOf(object);
      if (parseKey(object.key)?.kind === 'archive') this.#archives.set(object.key, size);
      yield { key: object.key, size };
    }
  }
}

async function contains(objects: Replayable<SizedKey>, needed: Replayable<SizedKey>): Promise<boolean> {
  const there = objects[Symbol.asyncIterator]();
  let object = await there.next();
  try {
    for await (const want of needed) {
      while (object.done !== true && compareUtf8(object.value.key, want.key) < 0) object = await there.next();
      if (object.done === true || object.value.key !== want.key) return false;
      if (want.size >= 0 && object.value.size !== want.size) return false;
    }
    return true;
  } finally {
    await there.return?.();
  }
}
