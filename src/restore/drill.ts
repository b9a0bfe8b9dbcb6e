import { createHash } from 'node:crypto';
import { openManifest, readEntries, type PointSource } from '../backup/point-reader.ts';
import { ProofTally, type ProofOutcome } from '../backup/proof.ts';
import { findEntry, missingChunks, sampleEntries, type BrokenChunk, type RandomSource } from '../backup/sample.ts';
import { TaskPool } from '../backup/task-pool.ts';
import { EntryReader } from '../content/entry-reader.ts';
import { isBackupError } from '../errors/backup-error.ts';
import { FormatError } from '../layout/entries.ts';
import { manifestKey } from '../layout/keys.ts';
import type { Entry, Manifest } from '../layout/types.ts';
import { recordedMd5 } from './object-time.ts';

const READS_AT_ONCE = 4;
/** A canary is a file that is quickly read every time. */
const CANARY_BYTES = 1024 * 1024;
/** Files that are drawn for each one that is read: some are too large for what is left of `maxBytes`. */
const DRAWN_PER_FILE = 8;

export interface DrillRequest {
  readonly points: PointSource;
  readonly place: { readonly run: string; readonly claim: string };
  /** As the database recorded it at the commit. */
  readonly manifestSha256?: string;
  /** Path of the canary of the drill before. */
  readonly canary: string | null;
  readonly maxFiles: number;
  readonly maxBytes: number;
  readonly random: RandomSource;
  /** Milliseconds of a clock that never goes back. */
  readonly clock: () => number;
  /** Aborts with the reason to throw. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: DrillProgress) => void;
}

export interface DrillProgress {
  readonly files: number;
  readonly filesTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

/**
 * A restore test: files of a point at random, and one canary (the same small file each time as long as it is there, else the newest small
 * one), are read whole into memory piece by piece, counted and hashed, and held to the manifest. Nothing is written.
 */
export class Drill {
  readonly tally = new ProofTally();
  canary: string | null = null;
  durationMs = 0;
  readonly #request: DrillRequest;
  readonly #reader: EntryReader;
  #filesTotal = 0;
  #bytesTotal = 0;
  /** The point holds files. */
  #holdsFiles = false;

  constructor(request: DrillRequest) {
    this.#request = request;
    const { store, prefix, cipher } = request.points.bucket;
    this.#reader = new EntryReader({ store, prefix, cipher, signal: request.signal });
  }

  /** `size_only`: the content of at least one file could not be compared, or none of those that were drawn is in the point. */
  get outcome(): ProofOutcome {
    const { tally } = this;
    if (tally.problems > 0) return 'failed';
    const readNothing = this.#holdsFiles && tally.files === 0;
    return readNothing || tally.count('size_only') > 0 ? 'size_only' : 'success';
  }

  /** @throws BackupError the signal's reason, `ERR_KEY_UNKNOWN`, and what the storage says */
  async execute(): Promise<void> {
    const startedAt = this.#request.clock();
    try {
      const manifest = await this.#open();
      if (manifest !== null) await this.#readSample(manifest);
    } catch (error) {
      throw this.#request.signal.aborted ? this.#request.signal.reason : error;
    } finally {
      this.durationMs = Math.round(this.#request.clock() - startedAt);
    }
  }

  async #open(): Promise<Manifest | null> {
    const { points, place, manifestSha256 } = this.#request;
    try {
      return (await openManifest(points, place, manifestSha256)).manifest;
    } catch (error) {
      if (!isBackupError(error, 'ERR_MANIFEST_INVALID')) throw error;
      this.#tellBroken({ key: manifestKey(place.run, place.claim), reason: String(error.details['reason'] ?? '') });
      return null;
    }
  }

  #tellBroken({ key, reason }: BrokenChunk): void {
    const kind = reason === 'it is missing' ? 'missing' : 'differs';
    this.tally.add({ kind, code: 'ERR_MANIFEST_INVALID', path: key });
  }

  async #readSample(manifest: Manifest): Promise<void> {
    const { points, maxFiles, random } = this.#request;
    this.#holdsFiles = manifest.files > 0;
    const lost = await missingChunks(points, manifest);
    const { entries, broken } = await sampleEntries(points, manifest, maxFiles * DRAWN_PER_FILE, random);
    const known = new Set(lost.map(({ key }) => key));
    for (const chunk of [...lost, ...broken.filter(({ key }) => !known.has(key))]) this.#tellBroken(chunk);
    const canary = await this.#findCanary(manifest);
    this.canary = canary?.path ?? null;
    const chosen = this.#choose(canary, entries.filter(canBeRead));
    this.#filesTotal = chosen.length;
    this.#bytesTotal = chosen.reduce((sum, entry) => sum + entry.size, 0);
    const pool = new TaskPool(READS_AT_ONCE);
    try {
      for (const entry of chosen) {
        this.#request.signal.throwIfAborted();
        await pool.start(async () => await this.#prove(entry));
      }
    } finally {
      await pool.drain();
    }
  }

  /** The canary, then what was drawn, as long as it fits. Where nothing fits, the smallest of what was drawn: a drill reads something. */
  #choose(canary: Entry | null, drawn: readonly Entry[]): Entry[] {
    const { maxFiles, maxBytes } = this.#request;
    const chosen = canary === null ? [] : [canary];
    let bytes = canary?.size ?? 0;
    for (const entry of drawn) {
      if (chosen.length >= maxFiles) break;
      if (entry.path === canary?.path || bytes + entry.size > maxBytes) continue;
      chosen.push(entry);
      bytes += entry.size;
    }
    if (chosen.length > 0 || drawn.length === 0) return chosen;
    return [drawn.reduce((least, entry) => (entry.size < least.size ? entry : least))];
  }

  async #findCanary(manifest: Manifest): Promise<Entry | null> {
    const { points, canary, signal } = this.#request;
    const same = canary === null ? null : await findEntry(points, manifest, canary);
    if (same !== null && isCanary(same)) return same;
    let newest: Entry | null = null;
    let newestAt = -Infinity;
    try {
      for await (const entry of readEntries(points, manifest)) {
        signal.throwIfAborted();
        const at = isCanary(entry) ? Date.parse(entry.mtime) : -Infinity;
        if (at > newestAt) [newest, newestAt] = [entry, at];
      }
    } catch (error) {
      // The chunk that ends the search early is in the report.
      if (!isBackupError(error, 'ERR_MANIFEST_INVALID')) throw error;
    }
    return newest;
  }

  async #prove(entry: Entry): Promise<void> {
    const { tally } = this;
    const { path } = entry;
    const read = await this.#read(entry);
    tally.files += 1;
    tally.bytes += read === null || read === 'unopenable' ? 0 : read.bytes;
    if (read === null) tally.add({ kind: 'missing', code: 'OBJECT_MISSING', path });
    else if (read === 'unopenable') tally.add({ kind: 'differs', code: 'OBJECT_DIFFERS', path });
    else if (read.bytes !== entry.size) tally.add({ kind: 'differs', code: 'OBJECT_SIZE', path });
    else if (entry.size === 0 || `md5:${read.md5}` === entry.hash) tally.exact += 1;
    // Every block of an encrypted file is authenticated: what opens is what was stored.
    else if (entry.hash === null && this.#request.points.bucket.cipher !== null) tally.exact += 1;
    else if (entry.hash === null || (await this.#isKeyServiceTag(entry)))
      tally.add({ kind: 'size_only', code: 'NO_CHECKSUM', path });
    else tally.add({ kind: 'differs', code: 'OBJECT_DIFFERS', path });
    this.#request.onProgress?.({
      files: tally.files,
      filesTotal: this.#filesTotal,
      bytes: tally.bytes,
      bytesTotal: this.#bytesTotal,
    });
  }

  /** Null: there is no such object. `unopenable`: it is not what was encrypted. More than the entry says is not read to its end. */
  async #read(entry: Entry): Promise<{ bytes: number; md5: string } | 'unopenable' | null> {
    const { signal } = this.#request;
    const hash = createHash('md5');
    let bytes = 0;
    try {
      const body = await this.#reader.stream(entry);
      if (body === null) return null;
      for await (const piece of body) {
        signal.throwIfAborted();
        bytes += piece.length;
        if (bytes > entry.size) break;
        hash.update(piece);
      }
    } catch (error) {
      if (error instanceof FormatError) return 'unopenable';
      throw error;
    }
    return { bytes, md5: hash.digest('hex') };
  }

  /**
   * Encrypted by a key service, an object has an ETag that looks like an MD5 and is none, and a backup may have taken it for one. The
   * head tells none then, while the listing still shows the very tag that was recorded: the object is the one that was stored, and
   * its content has nothing to be compared with.
   */
  async #isKeyServiceTag(entry: Entry): Promise<boolean> {
    const { points, signal } = this.#request;
    const { store, prefix, cipher } = points.bucket;
    if (cipher !== null || entry.offset !== undefined) return false;
    const head = await store.head(prefix + entry.key, { signal });
    if (head === null || head.md5 !== null || recordedMd5(head.metadata) !== null) return false;
    for await (const object of store.list(prefix + entry.key, { signal })) {
      if (object.key === prefix + entry.key) return object.md5 !== null && `md5:${object.md5}` === entry.hash;
    }
    return false;
  }
}

function canBeRead(entry: Entry): boolean {
  return entry.state !== 'failed';
}

function isCanary(entry: Entry): boolean {
  return canBeRead(entry) && entry.size > 0 && entry.size <= CANARY_BYTES;
}
