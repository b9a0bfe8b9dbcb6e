import { Transform, type TransformCallback } from 'node:stream';
import { FormatError } from '../layout/entries.ts';
import { BlockSealer, HEADER_BYTES, nonceOf, SEALED_BLOCK_BYTES } from './file-format.ts';

/** Pieces of any size become pieces of one size; the last one may be shorter. */
class Slicer {
  readonly #size: number;
  #parts: Buffer[] = [];
  #held = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get held(): number {
    return this.#held;
  }

  *take(piece: Buffer): Generator<Buffer> {
    let at = 0;
    while (this.#held + piece.length - at >= this.#size) {
      const end = at + this.#size - this.#held;
      const last = piece.subarray(at, end);
      yield this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
      this.#parts = [];
      this.#held = 0;
      at = end;
    }
    if (at === piece.length) return;
    this.#parts.push(piece.subarray(at));
    this.#held += piece.length - at;
  }

  /** What is left; null when nothing is. */
  rest(): Buffer | null {
    return this.#held === 0 ? null : Buffer.concat(this.#parts);
  }
}

export interface OpenOptions {
  /** The file's nonce, where the stream begins at a block and not at the file's header. */
  readonly nonce?: Buffer;
  /** Number of the first block that comes in. */
  readonly first?: number;
  /** Plain bytes to leave out at the beginning. */
  readonly skip?: number;
  /** Plain bytes to give out after those. */
  readonly length?: number;
}

/**
 * A sealed file in, from its header or from one of its blocks on; plain bytes out. Ends with FormatError at the first block that is not
 * what was sealed. A file that was cut off between two blocks cannot be told from a shorter one: whoever reads knows its size.
 */
export class OpenStream extends Transform {
  readonly #key: Uint8Array;
  readonly #first: number;
  #sealer: BlockSealer | null = null;
  #slicer: Slicer;
  #skip: number;
  #left: number;

  constructor(key: Uint8Array, { nonce, first = 0, skip = 0, length = Number.POSITIVE_INFINITY }: OpenOptions = {}) {
    super();
    this.#key = key;
    this.#first = first;
    this.#skip = skip;
    this.#left = length;
    this.#slicer = new Slicer(nonce === undefined ? HEADER_BYTES : SEALED_BLOCK_BYTES);
    if (nonce !== undefined) this.#sealer = new BlockSealer(key, nonce, first);
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#attempt(done, () => {
      const blocks = this.#sealer === null ? this.#takeHeader(piece) : piece;
      for (const block of this.#slicer.take(blocks)) this.#give(block);
    });
  }

  override _flush(done: TransformCallback): void {
    this.#attempt(done, () => {
      const rest = this.#slicer.rest();
      if (this.#sealer === null || rest !== null) this.#give(rest ?? Buffer.alloc(0));
    });
  }

  /** What follows the header in this piece. */
  #takeHeader(piece: Buffer): Buffer {
    const missing = HEADER_BYTES - this.#slicer.held;
    const [header] = [...this.#slicer.take(piece.subarray(0, missing))];
    if (header === undefined) return Buffer.alloc(0);
    this.#sealer = new BlockSealer(this.#key, nonceOf(header), this.#first);
    this.#slicer = new Slicer(SEALED_BLOCK_BYTES);
    return piece.subarray(missing);
  }

  #give(sealed: Buffer): void {
    if (this.#sealer === null) throw new FormatError('an encrypted object is cut off in its header');
    const block = this.#sealer.open(sealed);
    const part = block.subarray(this.#skip, this.#skip + this.#left);
    this.#skip = Math.max(0, this.#skip - block.length);
    this.#left -= part.length;
    if (part.length > 0) this.push(part);
  }

  #attempt(done: TransformCallback, work: () => void): void {
    try {
      work();
      done();
    } catch (error) {
      done(error as FormatError);
    }
  }
}
