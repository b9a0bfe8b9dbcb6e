import { promisify } from 'node:util';
import { constants, createZstdCompress, zstdDecompress } from 'node:zlib';
import { FormatError } from '../layout/entries.ts';

/**
 * Frames of Zstandard (RFC 8878, 3.1.1), which can be decompressed each by itself, and follow each other in one stream that any zstd reads.
 * Compressing and decompressing happens in Node's thread pool.
 */
const MAGIC = 0xfd2fb528;
/** Of our frames none is larger. */
const LONGEST_FRAME = 32 * 1024 * 1024;
const LEVEL = 3;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;

const decompress = promisify(zstdDecompress);

/** One frame of its own, with a checksum of its content, in pieces: they are for the caller to give back, once all of them were used. */
export async function compressFrame(content: Buffer): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = [];
  const compressing = createZstdCompress({
    // One output buffer: what zstd may need at most for content that cannot be made smaller.
    chunkSize: content.length + (content.length >> 8) + 4096,
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  compressing.end(content);
  for await (const piece of compressing as AsyncIterable<Buffer>) pieces.push(piece);
  return pieces;
}

/** The content of one whole frame. @throws FormatError when it is damaged or holds more than `limitBytes` */
export async function decompressFrame(frame: Buffer, limitBytes: number): Promise<Buffer> {
  try {
    return await decompress(frame, { maxOutputLength: limitBytes });
  } catch (cause) {
    throw new FormatError('a frame of an archive is damaged', { cause });
  }
}

/** Cuts a stream of frames into frames. Throws FormatError where it is none, or ends within one. */
export async function* framesIn(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(0);
  let filled = 0;
  const walk = new FrameWalk();
  for await (const piece of bytes) {
    if (held.length < filled + piece.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * held.length, filled + piece.length));
      held.copy(larger, 0, 0, filled);
      held = larger;
    }
    filled += piece.copy(held, filled);
    for (let end = walk.end(held.subarray(0, filled)); end !== null; end = walk.end(held.subarray(0, filled))) {
      yield Buffer.from(held.subarray(0, end));
      held.copyWithin(0, end, filled);
      filled -= end;
      walk.restart();
    }
    if (filled > LONGEST_FRAME) throw new FormatError('a frame of an archive is too long');
  }
  if (filled > 0) throw new FormatError('an archive ends within a frame');
}

/** Goes from block to block of one frame, as far as its bytes are there. */
class FrameWalk {
  /** Where the next block begins; 0: the frame's header was not read yet. */
  #block = 0;
  #checksumBytes = 0;
  /** Behind the last block, once that was seen. */
  #last: number | null = null;

  restart(): void {
    this.#block = 0;
    this.#last = null;
  }

  /** How many bytes the frame has, or null as long as they are not all there. */
  end(bytes: Buffer): number | null {
    if (this.#block === 0 && !this.#readHeader(bytes)) return null;
    while (this.#last === null) {
      if (bytes.length < this.#block + BLOCK_HEADER_BYTES) return null;
      const header = bytes.readUIntLE(this.#block, BLOCK_HEADER_BYTES);
      const type = (header >> 1) & 0x03;
      if (type === 3) throw new FormatError('a frame of an archive is damaged');
      // A block of one repeated byte holds that byte only.
      this.#block += BLOCK_HEADER_BYTES + (type === 1 ? 1 : header >> 3);
      if ((header & 1) === 1) this.#last = this.#block + this.#checksumBytes;
    }
    return bytes.length < this.#last ? null : this.#last;
  }

  #readHeader(bytes: Buffer): boolean {
    if (bytes.length < 5) return false;
    if (bytes.readUInt32LE(0) !== MAGIC) throw new FormatError('no frame where one must be');
    const descriptor = bytes[4] as number;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 2 ** sizeFlag;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03] as number;
    this.#block = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
    this.#checksumBytes = (descriptor & 0x04) === 0 ? 0 : CHECKSUM_BYTES;
    return true;
  }
}
