import { invalid } from '../layout/manifest.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { ChunkRef, Entry, Manifest } from '../layout/types.ts';
import { lowerBound, pathAt, type ChunkIndex } from './chunk-index.ts';

/** Where an entry is: its chunk, and its number in there. The end of a point is the number of chunks, 0. */
export interface Place {
  readonly chunk: number;
  readonly at: number;
}

/** How chunks come: from the bucket, or from memory. Both throw `ERR_MANIFEST_INVALID` for one that is missing or altered. */
export interface ChunkReader {
  index(ref: ChunkRef): Promise<ChunkIndex>;
  entries(ref: ChunkRef): Promise<readonly Entry[]>;
}

/** One point whose manifest was read. Reads only the chunks that hold what is asked for. */
export class OpenPoint {
  readonly manifest: Manifest;
  readonly #reader: ChunkReader;
  /** How many entries lie before each chunk. */
  readonly #before: readonly number[];

  constructor(manifest: Manifest, reader: ChunkReader) {
    this.manifest = manifest;
    this.#reader = reader;
    let before = 0;
    this.#before = [...manifest.chunks, null].map((chunk) => {
      const here = before;
      before += chunk?.entries ?? 0;
      return here;
    });
  }

  get chunkCount(): number {
    return this.manifest.chunks.length;
  }

  get end(): Place {
    return { chunk: this.chunkCount, at: 0 };
  }

  /** How many entries lie before this place. */
  ordinal(place: Place): number {
    return (this.#before[place.chunk] ?? this.manifest.files) + place.at;
  }

  async index(chunk: number): Promise<ChunkIndex> {
    const ref = this.#ref(chunk);
    const index = await this.#reader.index(ref);
    const next = this.manifest.chunks[chunk + 1];
    if (next !== undefined && compareUtf8(pathAt(index, index.count - 1), next.first_path) >= 0) {
      throw invalid(next.key, 'it overlaps the one before');
    }
    return index;
  }

  async entries(chunk: number): Promise<readonly Entry[]> {
    return await this.#reader.entries(this.#ref(chunk));
  }

  /** The first entry whose path is not before `path`. Reads one chunk at most; `near` is a place that is not behind it. */
  async place(path: string, near: Place = { chunk: 0, at: 0 }): Promise<Place> {
    if (near.chunk >= this.chunkCount) return this.end;
    const chunk = this.#chunkOf(path, near.chunk);
    if (compareUtf8(this.#ref(chunk).first_path, path) >= 0) return { chunk, at: chunk === near.chunk ? near.at : 0 };
    const index = await this.index(chunk);
    const at = lowerBound(index, path, chunk === near.chunk ? near.at : 0);
    return at === index.count ? { chunk: chunk + 1, at: 0 } : { chunk, at };
  }

  /** The path of the entry there; '' at the end. */
  async pathAt(place: Place): Promise<string> {
    if (place.chunk >= this.chunkCount) return '';
    return place.at === 0 ? this.#ref(place.chunk).first_path : pathAt(await this.index(place.chunk), place.at);
  }

  /** The entry of exactly this path, or null. */
  async find(path: string): Promise<Entry | null> {
    const place = await this.place(path);
    if (place.chunk >= this.chunkCount || (await this.pathAt(place)) !== path) return null;
    return (await this.entries(place.chunk))[place.at] ?? null;
  }

  /** The last chunk, from `from` on, that begins at `path` or before it; `from` itself when all begin behind it. */
  #chunkOf(path: string, from: number): number {
    let low = from;
    let high = this.chunkCount - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (compareUtf8(this.#ref(middle).first_path, path) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #ref(chunk: number): ChunkRef {
    const ref = this.manifest.chunks[chunk];
    if (ref === undefined) throw new RangeError(`there is no chunk ${chunk}`);
    return ref;
  }
}

export function isBefore(one: Place, other: Place): boolean {
  return one.chunk < other.chunk || (one.chunk === other.chunk && one.at < other.at);
}

/** The entries below a folder lie between these two: from its name with a slash to what sorts behind all of them ('0' follows the slash). */
export async function rangeOf(point: OpenPoint, folder: string): Promise<{ first: Place; end: Place }> {
  if (folder === '') return { first: { chunk: 0, at: 0 }, end: point.end };
  const first = await point.place(`${folder}/`);
  return { first, end: await point.place(`${folder}0`, first) };
}
