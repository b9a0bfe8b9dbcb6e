import { buffer } from 'node:stream/consumers';
import { streamFile } from '../crypt/sealed-object.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import { isBackupError } from '../errors/backup-error.ts';
import { FormatError } from '../layout/entries.ts';
import { archiveKey, parseKey } from '../layout/keys.ts';
import type { Entry } from '../layout/types.ts';
import { inOrder } from '../restore/in-order.ts';
import type { ObjectStore } from '../storage/port.ts';
import { MOST_FRAME_CONTENT, WHOLE_BYTES } from './frame-builder.ts';
import { paddedSize, readHeader } from './tar.ts';
import { decompressFrame, framesIn } from './zstd-frames.ts';

/** Frames that are kept, so that neighbours of a file need not read it again. */
const CACHED_FRAMES = 6;
const FRAMES_AHEAD = 2;
const READS_OF_A_FRAME = 3;
const LONGEST_FRAME = MOST_FRAME_CONTENT + 64 * 1024;

export interface ArchiveReaderOptions {
  readonly store: ObjectStore;
  /** Of the job. */
  readonly prefix: string;
  /** Null: the archives are not encrypted. */
  readonly cipher: JobCipher | null;
  /** Aborts reading for good. */
  readonly signal: AbortSignal;
}

interface Frame {
  readonly content: Buffer;
  readonly members: ReadonlyMap<string, { readonly start: number; readonly size: number }>;
}

/** Where a member lies: the fields of its entry. */
type Place = Pick<Entry, 'path' | 'size' | 'key'> & { readonly offset: number; readonly length: number };

/** Gets single files out of archives by range reads: of a small file one frame, which holds its neighbours too. */
export class ArchiveReader {
  readonly #options: ArchiveReaderOptions;
  readonly #frames = new Map<string, Promise<Frame | null>>();

  constructor(options: ArchiveReaderOptions) {
    this.#options = options;
  }

  /**
   * The content of a member from byte `first` on, or null when the object is not there.
   * @throws FormatError, also while it is read, when the archive is not what was written; what the storage says
   */
  async stream(entry: Entry, first = 0): Promise<AsyncIterable<Buffer> | null> {
    const place = placeOf(entry);
    if (entry.size > WHOLE_BYTES) return await this.#large(place, first);
    const frame = await this.#frame(place);
    return frame === null ? null : only(contentIn(frame, place).subarray(first));
  }

  async #large(place: Place, first: number): Promise<AsyncIterable<Buffer> | null> {
    const bytes = await this.#compressed(place);
    if (bytes === null) return null;
    const frames = inOrder(
      framesIn(bytes),
      FRAMES_AHEAD,
      async (frame) => await decompressFrame(frame, MOST_FRAME_CONTENT),
    );
    return piecesOf(frames, place, first);
  }

  async #frame(place: Place): Promise<Frame | null> {
    const id = `${place.key}:${place.offset}:${place.length}`;
    const known = this.#frames.get(id);
    const frame = known ?? this.#readFrame(place);
    // Used last, so it goes last.
    this.#frames.delete(id);
    this.#frames.set(id, frame);
    if (known === undefined) {
      frame.catch(() => this.#frames.delete(id));
      const [oldest] = this.#frames.keys();
      if (this.#frames.size > CACHED_FRAMES && oldest !== undefined) this.#frames.delete(oldest);
    }
    return await frame;
  }

  async #readFrame(place: Place): Promise<Frame | null> {
    if (place.length > LONGEST_FRAME) throw new FormatError('a frame of an archive is too long');
    for (let read = 1; ; read += 1) {
      try {
        const bytes = await this.#compressed(place);
        if (bytes === null) return null;
        const content = await decompressFrame(await buffer(bytes), MOST_FRAME_CONTENT);
        return { content, members: membersOf(content) };
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (!isBackupError(error, 'ERR_S3_PREFLIGHT_NETWORK') || read >= READS_OF_A_FRAME) throw error;
      }
    }
  }

  /** The frames of a member; it may begin in one object and end in a further one. */
  async #compressed({ key, offset, length }: Place): Promise<AsyncIterable<Buffer> | null> {
    if (length === 0) throw new FormatError('an entry of an archive has no place');
    const first = await this.#range(key, offset, length);
    return first === null ? null : this.#following(key, first, length);
  }

  async *#following(key: string, first: AsyncIterable<Buffer>, length: number): AsyncGenerator<Buffer> {
    let missing = length;
    let range: AsyncIterable<Buffer> | null = first;
    for (let at = key; ;) {
      const before = missing;
      for await (const piece of range) {
        missing -= piece.length;
        yield piece;
      }
      if (missing <= 0) return;
      at = nextObject(at);
      range = missing === before ? null : await this.#range(at, 0, missing);
      if (range === null) throw new FormatError('an archive ends too early');
    }
  }

  async #range(key: string, offset: number, length: number): Promise<AsyncIterable<Buffer> | null> {
    const { store, prefix, cipher, signal } = this.#options;
    try {
      return await streamFile(store, prefix + key, cipher, { first: offset, last: offset + length - 1 }, signal);
    } catch (error) {
      // The object ends before the range begins.
      if (isBackupError(error, 'ERR_DEST_REFUSED'))
        throw new FormatError('an archive ends too early', { cause: error });
      throw error;
    }
  }
}

function placeOf({ path, size, key, offset, length }: Entry): Place {
  if (offset === undefined || length === undefined) throw new FormatError('an entry of an archive has no place');
  return { path, size, key, offset, length };
}

function nextObject(key: string): string {
  const parsed = parseKey(key);
  if (parsed?.kind !== 'archive') throw new FormatError('no key of an archive');
  return archiveKey(parsed.run, parsed.claim, parsed.part + 1);
}

/** The members whose headers stand in a frame. One that goes on in the next frame comes last. */
function membersOf(content: Buffer): Frame['members'] {
  const members = new Map<string, { start: number; size: number }>();
  for (let at = 0; at < content.length;) {
    const answer = readHeader(content.subarray(at));
    if (answer.kind === 'more') throw new FormatError('a header of an archive is cut off');
    if (answer.kind === 'end') break;
    const { path, size, headerBytes } = answer.member;
    members.set(path, { start: at + headerBytes, size });
    at += headerBytes + paddedSize(size);
  }
  return members;
}

function contentIn({ content, members }: Frame, { path, size }: Place): Buffer {
  const member = members.get(path);
  if (member?.size !== size || content.length < member.start + size)
    throw new FormatError('a file is not where it should be');
  return content.subarray(member.start, member.start + size);
}

async function* piecesOf(frames: AsyncIterable<Buffer>, { path, size }: Place, first: number): AsyncGenerator<Buffer> {
  let at = 0;
  let begun = false;
  for await (const content of frames) {
    const member = begun ? { start: 0, size } : membersOf(content).get(path);
    if (member?.size !== size) throw new FormatError('a file is not where it should be');
    begun = true;
    const piece = content.subarray(member.start, member.start + size - at);
    if (at + piece.length > first) yield piece.subarray(Math.max(0, first - at));
    at += piece.length;
    if (at >= size) return;
  }
  throw new FormatError('an archive ends too early');
}

async function* only(content: Buffer): AsyncGenerator<Buffer> {
  if (content.length > 0) yield content;
}
