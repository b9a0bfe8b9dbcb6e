import { compareUtf8 } from '../layout/order.ts';
import type { ChunkRef, Manifest } from '../layout/types.ts';

/**
 * Files and folders of a point that are wanted, by their paths; no path at all means everything. It takes memory for the paths that
 * were named, never for what lies in them, and only those chunks are read in which any of it can lie.
 */
export class Selection {
  readonly #paths: ReadonlySet<string>;
  readonly #unseen: Set<string>;

  /** @param paths without slashes at their ends; `''` stands for the whole point */
  constructor(paths: readonly string[]) {
    const whole = paths.length === 0 || paths.includes('');
    this.#paths = new Set(whole ? [] : paths);
    this.#unseen = new Set(this.#paths);
  }

  get isEverything(): boolean {
    return this.#paths.size === 0;
  }

  /** Named paths of which `see` was told no file: the point does not hold them. */
  get unseen(): readonly string[] {
    return [...this.#unseen];
  }

  holds(path: string): boolean {
    if (this.isEverything || this.#paths.has(path)) return true;
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      if (this.#paths.has(path.slice(0, slash))) return true;
    }
    return false;
  }

  /** Notes that the point holds this file. */
  see(path: string): void {
    if (this.#unseen.size === 0) return;
    this.#unseen.delete(path);
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      this.#unseen.delete(path.slice(0, slash));
    }
  }

  /** The manifest with those chunks only in which something wanted can lie. */
  narrow(manifest: Manifest): Manifest {
    if (this.isEverything) return manifest;
    const { chunks } = manifest;
    const wanted = new Set<number>();
    for (const path of this.#paths) {
      // The file itself, and all names below the folder: they begin with its slash, and '0' follows the slash.
      addChunks(chunks, wanted, path, path);
      addChunks(chunks, wanted, `${path}/`, `${path}0`);
    }
    return { ...manifest, chunks: chunks.filter((_, index) => wanted.has(index)) };
  }
}

/** Adds the chunks that can hold paths of `first` up to `last`. */
function addChunks(chunks: readonly ChunkRef[], wanted: Set<number>, first: string, last: string): void {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareUtf8(chunks[middle]?.first_path ?? '', first) <= 0) low = middle + 1;
    else high = middle;
  }
  for (let index = Math.max(0, low - 1); index < chunks.length; index += 1) {
    if (compareUtf8(chunks[index]?.first_path ?? '', last) > 0) return;
    wanted.add(index);
  }
}
