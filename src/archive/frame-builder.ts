import { headerOf, paddingOf, type TarMember } from './tar.ts';
import { BackupError } from '../errors/backup-error.ts';

/** A member while it is being written; the same object comes back once it has its place. */
export interface Member extends TarMember {
  /** `md5:<hex>` of what was written. */
  hash: string | null;
}

/** A part of the tar stream that becomes one frame. */
export interface RawFrame {
  readonly bytes: Buffer;
  /** Members whose headers begin in it, in order. */
  readonly begins: readonly Member[];
  /** Members of which it holds the last byte, in order. */
  readonly ends: readonly Member[];
  /** Gives the bytes back, to be written again. */
  release(): void;
}

/** Files up to this size are written whole, and lie in one frame. */
export const WHOLE_BYTES = 1024 * 1024;
export const DEFAULT_FRAME_BYTES = 4 * 1024 * 1024;
/** Headers of one member; a path of a source has some kilobytes at most. */
const MOST_HEADER_BYTES = 64 * 1024;
/** A longer path is for whoever writes members to leave out. */
export const LONGEST_PATH_BYTES = 60 * 1024;
/** Of a frame's content, for readers: whatever is larger is not ours. */
export const MOST_FRAME_CONTENT = 2 * DEFAULT_FRAME_BYTES + 2 * WHOLE_BYTES;
const POOLED = 8;

/**
 * Writes members into frames. A frame ends at the first member that begins after `frameBytes`, and within a large member each time it is full; one
 * that begins within a member holds nothing but that member. So every header can be found from the beginning of its own frame.
 */
export class FrameBuilder {
  readonly #frameBytes: number;
  readonly #sink: (frame: RawFrame) => Promise<void>;
  readonly #pool: Buffer[] = [];
  #buffer: Buffer | null = null;
  #length = 0;
  #begins: Member[] = [];
  #ends: Member[] = [];
  #goesOn = false;
  #open: { readonly member: Member; written: number } | null = null;

  constructor(frameBytes: number, sink: (frame: RawFrame) => Promise<void>) {
    this.#frameBytes = frameBytes;
    this.#sink = sink;
  }

  /** A member that was read already, of `WHOLE_BYTES` at most. */
  async addWhole(member: Member, content: Buffer): Promise<void> {
    await this.#header(member);
    this.#append(content);
    this.#pad(content.length);
    this.#ends.push(member);
  }

  /** The header of a member that comes piece by piece. */
  async begin(member: Member): Promise<void> {
    await this.#header(member);
    this.#open = { member, written: 0 };
  }

  async write(piece: Buffer): Promise<void> {
    const open = this.#opened();
    for (let at = 0; at < piece.length;) {
      if (this.#length >= this.#frameBytes) {
        await this.#flush();
        this.#goesOn = true;
      }
      const part = piece.subarray(at, at + this.#frameBytes - this.#length);
      this.#append(part);
      at += part.length;
    }
    open.written += piece.length;
  }

  /** Bytes that are missing to the size that the header tells. */
  get missing(): number {
    const { member, written } = this.#opened();
    return member.size - written;
  }

  /** Fills what is missing with zeros. Only members that are `whole` get a place. */
  async end(whole: boolean): Promise<void> {
    const { member } = this.#opened();
    while (this.missing > 0) await this.write(Buffer.alloc(Math.min(this.missing, 64 * 1024)));
    this.#pad(member.size);
    if (whole) this.#ends.push(member);
    this.#open = null;
    if (this.#goesOn) await this.#flush();
  }

  /** What stands behind the last member, and the rest. */
  async finish(tail: Buffer): Promise<void> {
    this.#append(tail);
    await this.#flush();
  }

  async #header(member: Member): Promise<void> {
    if (this.#length >= this.#frameBytes) await this.#flush();
    const header = headerOf(member);
    if (header.length > MOST_HEADER_BYTES) throw new BackupError('ERR_KEY_TOO_LONG');
    this.#append(header);
    this.#begins.push(member);
  }

  #append(bytes: Buffer): void {
    this.#buffer ??= this.#pool.pop() ?? Buffer.allocUnsafeSlow(this.#frameBytes + WHOLE_BYTES + 2 * MOST_HEADER_BYTES);
    this.#length += bytes.copy(this.#buffer, this.#length);
  }

  #pad(size: number): void {
    this.#append(Buffer.alloc(paddingOf(size)));
  }

  async #flush(): Promise<void> {
    const buffer = this.#buffer;
    this.#goesOn = false;
    if (buffer === null || this.#length === 0) return;
    const frame: RawFrame = {
      bytes: buffer.subarray(0, this.#length),
      begins: this.#begins,
      ends: this.#ends,
      release: () => void (this.#pool.length < POOLED && this.#pool.push(buffer)),
    };
    this.#buffer = null;
    this.#length = 0;
    this.#begins = [];
    this.#ends = [];
    await this.#sink(frame);
  }

  #opened(): { readonly member: Member; written: number } {
    if (this.#open === null) throw new BackupError('ERR_INTERNAL', 'No member of the archive is open.');
    return this.#open;
  }
}
