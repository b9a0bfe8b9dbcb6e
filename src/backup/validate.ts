import { ArchiveExtents } from '../archive/archive-extents.ts';
import { isBackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { BackupEngine } from '../engines/port.ts';
import { isUnchanged, sameTime, type ListedFile } from '../layout/compare.ts';
import { manifestKey } from '../layout/keys.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Entry, Manifest } from '../layout/types.ts';
import { inOrder } from '../restore/in-order.ts';
import type { ObjectHead } from '../storage/port.ts';
import { PathCursor } from './arrivals.ts';
import { ClaimGroup, folderOf } from './claim-group.ts';
import { openManifest, type PointSource } from './point-reader.ts';
import {
  judgeHead,
  judgeSeen,
  KIND_OF,
  ProofTally,
  type ObjectVerdict,
  type ProofOutcome,
  type SeenObject,
} from './proof.ts';
import { missingChunks, readChunkEntries, sampleEntries, type BrokenChunk, type RandomSource } from './sample.ts';
import { sortExternally } from './sorted-listing.ts';
import { listSource } from './source-listing.ts';
import type { SpillSpace } from './spill.ts';
import { TaskPool } from './task-pool.ts';

const CHUNKS_AHEAD = 4;
const HEADS_AT_ONCE = 32;
/** Claim folders of which a point needs no more objects than this are not listed: the objects are asked for one by one. */
const FEW_OBJECTS = 24;
/** Listings of some sources have no fractions of seconds. */
const TIME_GRAIN_MS = 2_000;

export interface ValidationRequest {
  readonly points: PointSource;
  readonly place: { readonly run: string; readonly claim: string };
  /** As the database recorded it at the commit. */
  readonly manifestSha256?: string;
  /** So many files at random instead of all. */
  readonly sample: { readonly files: number; readonly random: RandomSource } | null;
  /** Null: the source is not compared. */
  readonly source: BackupEngine | null;
  /** Epoch milliseconds: when the point's run began. A file with a later date may have changed under it. */
  readonly begunAt: number;
  readonly space: SpillSpace;
  /** Aborts with the reason to throw. Nothing is written, so any moment is a safe one. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: {
    readonly files: number;
    readonly filesTotal: number;
    readonly bytes: number;
  }) => void;
}

/** What the comparison of the source with the manifest came to. */
export interface SourceReport {
  /** Files compared: by checksum, and by size and date where the source tells none. */
  byChecksum: number;
  bySize: number;
  /** In folders that could not be listed. */
  unread: number;
  /** Why the source was not compared, or not to its end. */
  error: ErrorCode | null;
}

/**
 * Compares a point with its manifest: every chunk, every object that an entry names (there, size, checksum), and the source as it is
 * now. Files that changed at the source since are told as such and are no damage.
 *
 * Finds are kept in `tally` and `source` while it goes on, so that one that was stopped keeps what it did.
 */
export class Validation {
  readonly tally = new ProofTally();
  readonly source: SourceReport = { byChecksum: 0, bySize: 0, unread: 0, error: null };
  readonly #request: ValidationRequest;
  readonly #extents = new ArchiveExtents(async (key) => await this.#sizeOf(key));
  #filesTotal = 0;

  constructor(request: ValidationRequest) {
    this.#request = request;
  }

  get outcome(): ProofOutcome {
    if (this.tally.problems > 0) return 'failed';
    return this.tally.count('size_only') > 0 || this.source.bySize > 0 ? 'size_only' : 'success';
  }

  /** @throws BackupError the signal's reason, `ERR_KEY_UNKNOWN`, and what the storage says */
  async execute(): Promise<void> {
    try {
      const manifest = await this.#open();
      if (manifest === null) return;
      await (this.#request.sample === null ? this.#everything(manifest) : this.#sample(manifest, this.#request.sample));
    } catch (error) {
      throw this.#request.signal.aborted ? this.#request.signal.reason : error;
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

  async #everything(manifest: Manifest): Promise<void> {
    this.#filesTotal = manifest.files;
    await this.#compareObjects(manifest);
    const { source } = this.#request;
    if (source !== null) await this.#besideSource(async () => await this.#compareSource(manifest, source));
  }

  /** Group by group: one listing of each claim folder in which the point has more than a few objects. */
  async #compareObjects(manifest: Manifest): Promise<void> {
    const counts = new Map<string, number>();
    const needed = await sortExternally(
      this.#objectsOf(manifest, counts),
      (a, b) => compareUtf8(a.key, b.key),
      this.#request.space,
    );
    const pool = new TaskPool(HEADS_AT_ONCE);
    let group: ClaimGroup | null = null;
    try {
      for await (const entry of needed) {
        this.#request.signal.throwIfAborted();
        if (entry.offset !== undefined) {
          this.#tell(entry, await this.#judgeArchived(entry));
          continue;
        }
        const folder = folderOf(entry);
        if (group?.folder !== folder) {
          await group?.close();
          group = await this.#openGroup(folder, counts.get(folder) ?? 0);
        }
        const verdict = group.objects === null ? 'ask' : this.#judgeListed(entry, await group.at(entry.key));
        if (verdict === 'ask')
          await pool.start(async () => this.#tell(entry, judgeHead(entry, await this.#head(entry))));
        else this.#tell(entry, verdict);
      }
    } finally {
      await group?.close();
      await pool.drain();
    }
  }

  async *#objectsOf(manifest: Manifest, counts: Map<string, number>): AsyncGenerator<Entry> {
    for await (const entry of this.#entries(manifest, (broken) => this.#tellBroken(broken))) {
      if (entry.state === 'failed') continue;
      const folder = folderOf(entry);
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
      yield entry;
    }
  }

  /** The entries of all chunks that can be read; the others are named. */
  async *#entries(manifest: Manifest, tell: (broken: BrokenChunk) => void): AsyncGenerator<Entry> {
    const { points } = this.#request;
    const chunks = (async function* () {
      yield* manifest.chunks;
    })();
    const read = inOrder(chunks, CHUNKS_AHEAD, async (chunk) => ({
      chunk,
      ...(await readChunkEntries(points, manifest, chunk)),
    }));
    let last = '';
    for await (const { chunk, entries, broken } of read) {
      if (broken !== null) tell(broken);
      else if (compareUtf8(last, entries[0]?.path ?? '') >= 0) tell({ key: chunk.key, reason: 'it overlaps' });
      else {
        last = entries.at(-1)?.path ?? last;
        yield* entries;
      }
    }
  }

  async #openGroup(folder: string, count: number): Promise<ClaimGroup> {
    if (count <= FEW_OBJECTS) return new ClaimGroup(folder, null, false);
    const listed = await sortExternally(
      this.#request.points.bucket.list(folder),
      (a, b) => compareUtf8(a.key, b.key),
      this.#request.space,
    );
    let first: string | null = null;
    for await (const object of listed) {
      if (object.md5 === null) continue;
      first = object.key;
      break;
    }
    const head = first === null ? null : await this.#headOf(first);
    // A listing does not say that an ETag is none because of a key service; the head does.
    const reliable = first === null || head === null || head.md5 !== null;
    return new ClaimGroup(folder, listed, reliable);
  }

  #tell(entry: Entry, verdict: ObjectVerdict): void {
    const { tally } = this;
    tally.files += 1;
    tally.bytes += entry.size;
    if (verdict === 'exact') tally.exact += 1;
    else tally.add({ kind: KIND_OF[verdict], code: verdict, path: entry.path });
    if (tally.files % 200 === 0) this.#progress();
  }

  /** No question to the bucket tells more of an encrypted object than its size. */
  #judgeListed(entry: Entry, seen: SeenObject | null): ObjectVerdict | 'ask' {
    const { bucket } = this.#request.points;
    const verdict = judgeSeen(entry, seen && bucket.factsOf(seen));
    return verdict === 'ask' && bucket.cipher !== null ? 'NO_CHECKSUM' : verdict;
  }

  async #judgeByName(entry: Entry): Promise<ObjectVerdict> {
    return entry.offset === undefined ? judgeHead(entry, await this.#head(entry)) : await this.#judgeArchived(entry);
  }

  /** Of a file in an archive no request tells more than that its archive is there and long enough: the restore test reads the bytes. */
  async #judgeArchived(entry: Entry): Promise<ObjectVerdict> {
    const verdicts = { there: 'NO_CHECKSUM', missing: 'OBJECT_MISSING', short: 'OBJECT_SIZE' } as const;
    return verdicts[await this.#extents.judge(entry)];
  }

  async #head(entry: Entry): Promise<ObjectHead | null> {
    const { bucket } = this.#request.points;
    const head = await this.#headOf(entry.key);
    return head === null || bucket.cipher === null ? head : { ...head, ...bucket.factsOf(head), metadata: {} };
  }

  async #headOf(key: string): Promise<ObjectHead | null> {
    const { points, signal } = this.#request;
    return await points.bucket.store.head(points.bucket.prefix + key, { signal });
  }

  async #sizeOf(key: string): Promise<number | null> {
    const head = await this.#headOf(key);
    return head === null ? null : this.#request.points.bucket.factsOf(head).size;
  }

  #progress(): void {
    const { files, bytes } = this.tally;
    this.#request.onProgress?.({ files, filesTotal: Math.max(files, this.#filesTotal), bytes });
  }

  /** That the source cannot be compared says nothing of what is stored. */
  async #besideSource(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#request.signal.aborted || !isBackupError(error)) throw error;
      this.source.error = error.code;
    }
  }

  async #compareSource(manifest: Manifest, engine: BackupEngine): Promise<void> {
    const { signal, space } = this.#request;
    const listed = await listSource(engine, { signal, space });
    const files = new PathCursor(listed.files);
    try {
      for await (const entry of this.#entries(manifest, () => undefined)) {
        signal.throwIfAborted();
        const file = (await files.at(entry.path))[0] ?? null;
        if (file === null && listed.isUnread(entry.path)) this.source.unread += 1;
        else this.#judgeSource(entry, file);
      }
    } finally {
      await files.close();
    }
    if (!listed.complete) this.source.error = 'ERR_SOURCE_LISTING';
  }

  async #sample(
    manifest: Manifest,
    { files, random }: { readonly files: number; readonly random: RandomSource },
  ): Promise<void> {
    const { points, signal, source } = this.#request;
    const lost = await missingChunks(points, manifest);
    const { entries, broken } = await sampleEntries(points, manifest, files, random);
    const known = new Set(lost.map(({ key }) => key));
    for (const chunk of [...lost, ...broken.filter(({ key }) => !known.has(key))]) this.#tellBroken(chunk);
    const stored = entries.filter((entry) => entry.state !== 'failed');
    this.#filesTotal = stored.length;
    const pool = new TaskPool(HEADS_AT_ONCE);
    try {
      for (const entry of stored) {
        signal.throwIfAborted();
        await pool.start(async () => this.#tell(entry, await this.#judgeByName(entry)));
      }
    } finally {
      await pool.drain();
    }
    if (source === null) return;
    await this.#besideSource(async () => {
      const seen = await source.look(
        stored.map(({ path }) => path),
        { signal },
      );
      for (const entry of stored) this.#judgeSource(entry, seen.get(entry.path) ?? null);
    });
  }

  /** What a carried or failed entry stands for is not what the source held: there is nothing to compare. */
  #judgeSource(entry: Entry, file: ListedFile | null): void {
    if (entry.state !== 'stored') return;
    const { path } = entry;
    if (file === null) this.tally.add({ kind: 'changed_since', code: 'SOURCE_DELETED', path });
    else if (isUnchanged(file, entry) || isSameByDate(file, entry)) {
      const byChecksum = entry.size === 0 || (file.hash !== null && entry.hash !== null);
      this.source[byChecksum ? 'byChecksum' : 'bySize'] += 1;
    } else if (this.#isSameDate(file, entry)) this.tally.add({ kind: 'differs', code: 'SOURCE_DIFFERS', path });
    else this.tally.add({ kind: 'changed_since', code: 'SOURCE_CHANGED', path });
  }

  /** Written while the run was under way, a file may have changed within the grain of its date. */
  #isSameDate(file: ListedFile, entry: Entry): boolean {
    return sameTime(file.mtime, entry.mtime) && Date.parse(entry.mtime) < this.#request.begunAt - TIME_GRAIN_MS;
  }
}

/** Nothing but its date is known at the source, and that is the same: no proof, and no damage either. */
function isSameByDate(file: ListedFile, entry: Entry): boolean {
  return file.size < 0 && sameTime(file.mtime, entry.mtime);
}
