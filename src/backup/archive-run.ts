import { createHash, type Hash } from 'node:crypto';
import { ArchiveWriter, type PlacedMember } from '../archive/archive-writer.ts';
import { LONGEST_PATH_BYTES, WHOLE_BYTES, type Member } from '../archive/frame-builder.ts';
import { ObjectSeries } from '../archive/object-series.ts';
import { PartBuffers } from '../archive/part-upload.ts';
import { Patience, readAhead, type ReadFile } from '../archive/read-ahead.ts';
import { readLarge } from '../archive/read-large.ts';
import { ARCHIVE_SETTINGS } from '../archive/settings.ts';
import { TransferMeter } from '../archive/transfer-meter.ts';
import { isBackupError } from '../errors/backup-error.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { SourceReader, TransferProgress } from '../engines/port.ts';
import type { ListedFile } from '../layout/compare.ts';
import { filesOf } from './archive-plan.ts';
import type { Arrival } from './arrivals.ts';
import type { BackupContext } from './context.ts';
import { heapPassesBuffers } from './heap.ts';
import type { BackupPlan } from './plan.ts';
import { SpillList, type Replayable, type SpillSpace } from './spill.ts';

export interface ArchiveJob {
  readonly context: BackupContext;
  readonly plan: BackupPlan;
  readonly space: SpillSpace;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TransferProgress) => void;
}

export interface ArchiveResult {
  /** What lies in the archive, by path. */
  readonly arrivals: Replayable<Arrival>;
  /** Why single files are not in it. */
  readonly failed: ReadonlyMap<string, ErrorCode>;
  /** Bytes that were put into the bucket. */
  readonly storedBytes: number;
}

/**
 * Writes every file of the source into one archive (docs/backup-format.md, "Archives"). A small file that cannot be read leaves nothing in it; a
 * large one that fails in its middle is filled up, and named in the archive itself. Whoever has no file at all leaves no object.
 * @throws BackupError what ended it; then no object and no pending upload is left
 */
export async function writeArchive(job: ArchiveJob): Promise<ArchiveResult> {
  const reader = job.context.engine.read({ signal: job.signal });
  const writing = new ArchiveWriting(job, reader);
  const heapIsCalm = heapPassesBuffers();
  try {
    return await writing.execute();
  } catch (error) {
    await writing.abort();
    throw job.signal.aborted ? job.signal.reason : error;
  } finally {
    heapIsCalm();
    await writing.close();
    await reader.close();
  }
}

class ArchiveWriting {
  readonly #job: ArchiveJob;
  readonly #reader: SourceReader;
  readonly #objects: ObjectSeries;
  readonly #buffers: PartBuffers;
  readonly #writer: ArchiveWriter;
  readonly #arrivals: SpillList<Arrival>;
  readonly #failed = new Map<string, ErrorCode>();
  /** Members that were filled up: their bytes in the archive are not the file's. */
  readonly #filledUp: string[] = [];
  readonly #meter: TransferMeter;
  readonly #patience = new Patience();
  readonly #partMemory: Buffer[] = [];
  #written = 0;

  constructor(job: ArchiveJob, reader: SourceReader) {
    this.#job = job;
    this.#reader = reader;
    const { context, plan, space, signal } = job;
    const { frameBytes, objectBytes, partBytes, uploadBytes } = { ...ARCHIVE_SETTINGS, ...context.archive };
    this.#buffers = new PartBuffers(uploadBytes);
    this.#objects = new ObjectSeries({
      store: context.store,
      prefix: context.job.prefix,
      run: context.run.uuid,
      claim: context.run.claim,
      cipher: context.encryption?.cipher ?? null,
      objectBytes,
      parts: partBytes,
      buffers: this.#buffers,
      signal,
    });
    this.#arrivals = new SpillList<Arrival>(space);
    this.#meter = new TransferMeter({ files: plan.copyFiles, bytes: plan.copyBytes }, job.onProgress);
    const onPlaced = async (placed: PlacedMember): Promise<void> => await this.#arrive(placed);
    this.#writer = new ArchiveWriter({ objects: this.#objects, frameBytes, onPlaced });
  }

  async execute(): Promise<ArchiveResult> {
    const { plan, signal } = this.#job;
    for await (const read of readAhead(filesOf(plan), this.#reader, this.#patience)) {
      signal.throwIfAborted();
      await this.#add(read);
      this.#meter.fileDone();
    }
    if (this.#written === 0) await this.#writer.abort();
    else {
      if (this.#filledUp.length > 0) await this.#tellFilledUp();
      await this.#writer.finish();
    }
    await this.#arrivals.finish();
    return { arrivals: this.#arrivals, failed: this.#failed, storedBytes: this.#objects.storedBytes };
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
  }

  async close(): Promise<void> {
    await this.#buffers.close();
  }

  async #add({ file, content }: ReadFile): Promise<void> {
    if (Buffer.byteLength(file.path) > LONGEST_PATH_BYTES) this.#failed.set(file.path, 'ERR_KEY_TOO_LONG');
    else if (content.kind === 'failed') this.#failed.set(file.path, content.error.code);
    else if (content.kind === 'whole') await this.#addWhole(file, content.body);
    else await this.#addLarge(file);
  }

  /** What is not the file that was listed is left out: the look at the source that follows says why. */
  async #addWhole(file: ListedFile, body: Buffer): Promise<void> {
    const hash = md5Of(createHash('md5').update(body));
    if ((file.size >= 0 && body.length !== file.size) || (file.hash !== null && file.hash !== hash)) return;
    const member: Member = { path: file.path, size: body.length, mtime: file.mtime, hash };
    const { members } = this.#writer;
    if (body.length <= WHOLE_BYTES) await members.addWhole(member, body);
    else {
      await members.begin(member);
      await members.write(body);
      await members.end(true);
    }
    this.#written += 1;
    this.#meter.add(body.length);
  }

  /** Nothing is written before its first bytes are there. */
  async #addLarge(file: ListedFile): Promise<void> {
    const { members } = this.#writer;
    const member: Member = { path: file.path, size: file.size, mtime: file.mtime, hash: null };
    const hash = createHash('md5');
    let open = false;
    let whole = false;
    const pieces = readLarge(file, this.#reader, this.#partMemory);
    try {
      for (let piece = await this.#next(file, pieces); piece !== null; piece = await this.#next(file, pieces)) {
        if (!open) await members.begin(member);
        open = true;
        const fitting = piece.subarray(0, members.missing);
        hash.update(fitting);
        await members.write(fitting);
        this.#meter.add(fitting.length);
        // It has grown.
        whole = fitting.length === piece.length;
        if (!whole) break;
      }
    } finally {
      await pieces.return(undefined);
    }
    if (!open) return;
    member.hash = md5Of(hash);
    whole &&=
      !this.#failed.has(file.path) && members.missing === 0 && (file.hash === null || file.hash === member.hash);
    await members.end(whole);
    if (whole) this.#written += 1;
    else this.#filledUp.push(file.path);
  }

  /** What the source says of one file does not end the run, unless it says so of one after the other. */
  async #next(file: ListedFile, pieces: AsyncGenerator<Buffer>): Promise<Buffer | null> {
    try {
      const next = await pieces.next();
      if (next.done === true) this.#patience.readOne();
      return next.done === true ? null : next.value;
    } catch (error) {
      this.#job.signal.throwIfAborted();
      if (!isBackupError(error)) throw error;
      this.#failed.set(file.path, error.code);
      this.#patience.failedOne(error);
      return null;
    }
  }

  async #arrive({ member, key, offset, length }: PlacedMember): Promise<void> {
    const { path, size, hash } = member;
    if (path === this.#noteName) return;
    const { claim } = this.#job.context.run;
    await this.#arrivals.add({ path, size, hash, claim, place: { key, offset, length } });
  }

  get #noteName(): string {
    return `e3-incomplete-${this.#job.context.run.uuid}.txt`;
  }

  /** For whoever unpacks the archive by hand. */
  async #tellFilledUp(): Promise<void> {
    const lines = ['These files could not be read to their end. In this archive they are filled up with zeros:', ''];
    const body = Buffer.from([...lines, ...this.#filledUp, ''].join('\n'), 'utf8');
    const mtime = new Date(this.#job.context.clock()).toISOString();
    const member: Member = { path: this.#noteName, size: body.length, mtime, hash: null };
    await this.#writer.members.begin(member);
    await this.#writer.members.write(body);
    await this.#writer.members.end(true);
  }
}

function md5Of(hash: Hash): string {
  return `md5:${hash.digest('hex')}`;
}
