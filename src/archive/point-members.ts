import { fetchChunk, openManifest, type PointSource } from '../backup/point-reader.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { ChunkRef, Entry, Manifest } from '../layout/types.ts';
import { ArchiveReader } from './archive-reader.ts';
import { memberKey, splitMemberKey } from './member-keys.ts';

/** Chunks that are kept: files are mostly asked for in their order. */
const CACHED_CHUNKS = 3;

export interface PointMembersOptions {
  readonly source: PointSource;
  readonly place: { readonly run: string; readonly claim: string };
  readonly manifestSha256?: string | undefined;
  readonly signal: AbortSignal;
}

/** The files of a point whose job writes archives, as if each were an object: found by `memberKey`, read by range. */
export class PointMembers {
  readonly #options: PointMembersOptions;
  readonly #reader: ArchiveReader;
  readonly #chunks = new Map<string, Promise<ReadonlyMap<string, Entry>>>();
  #manifest: Promise<Manifest> | null = null;

  constructor(options: PointMembersOptions) {
    const { bucket } = options.source;
    this.#options = options;
    this.#reader = new ArchiveReader({ ...bucketParts(bucket), signal: options.signal });
  }

  /** @param key relative to the job's prefix @throws BackupError `ERR_MANIFEST_INVALID`, and what the storage says */
  async find(key: string): Promise<Entry | null> {
    const path = splitMemberKey(key)?.path;
    if (path === undefined) return null;
    const { chunks } = await (this.#manifest ??= this.#openManifest());
    const chunk = chunks.findLast(({ first_path: first }) => compareUtf8(first, path) <= 0);
    const entry = chunk === undefined ? undefined : (await this.#entries(chunk)).get(path);
    return entry !== undefined && entry.state !== 'failed' && memberKey(entry) === key ? entry : null;
  }

  /** As `ArchiveReader.stream`. */
  async stream(entry: Entry, first = 0): Promise<AsyncIterable<Buffer> | null> {
    return await this.#reader.stream(entry, first);
  }

  async #openManifest(): Promise<Manifest> {
    const { source, place, manifestSha256 } = this.#options;
    return (await openManifest(source, place, manifestSha256)).manifest;
  }

  async #entries(chunk: ChunkRef): Promise<ReadonlyMap<string, Entry>> {
    const known = this.#chunks.get(chunk.key);
    const entries = known ?? this.#fetch(chunk);
    this.#chunks.delete(chunk.key);
    this.#chunks.set(chunk.key, entries);
    if (known === undefined) {
      entries.catch(() => this.#chunks.delete(chunk.key));
      const [oldest] = this.#chunks.keys();
      if (this.#chunks.size > CACHED_CHUNKS && oldest !== undefined) this.#chunks.delete(oldest);
    }
    return await entries;
  }

  async #fetch(chunk: ChunkRef): Promise<ReadonlyMap<string, Entry>> {
    const entries = await fetchChunk(this.#options.source.bucket, chunk);
    return new Map(entries.map((entry) => [entry.path, entry]));
  }
}

function bucketParts({ store, prefix, cipher }: PointSource['bucket']) {
  return { store, prefix, cipher };
}
