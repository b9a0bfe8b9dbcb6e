import { createHash, hash as digestOf } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { entryLine, FormatError, parseEntry } from './entries.ts';
import { compareUtf8 } from './order.ts';
import type { ChunkRef, Entry } from './types.ts';

/**
 * Chunks hold a point's entries, sorted by the bytes of their paths, as zstd of JSON lines. Where a chunk ends depends on the
 * paths alone (about every 4,096 entries), so that a change in one place leaves the other chunks as they were, and the next
 * manifest takes their keys from its base instead of writing them again.
 */
export const MAX_CHUNK_ENTRIES = 16_384;

/** More than any chunk we write can need (keys and paths of 1,024 bytes, every byte escaped); stops a decompression bomb. */
const MAX_CHUNK_BYTES = 256 * 1024 * 1024;

/** Whether a chunk ends after the entry of this path: SHA-256 of the path begins with 12 zero bits. */
export function endsChunk(path: string): boolean {
  return digestOf('sha256', path, 'hex').startsWith('000');
}

export interface Chunk {
  /** SHA-256 in hex of the uncompressed lines. */
  readonly hash: string;
  readonly firstPath: string;
  readonly entries: number;
  /** The uncompressed lines. */
  readonly lines: Buffer;
}

/** Cuts sorted entries into chunks. Throws FormatError when the entries are not in strict order. */
export async function* cutChunks(entries: AsyncIterable<Entry> | Iterable<Entry>): AsyncGenerator<Chunk> {
  let lines: string[] = [];
  let firstPath = '';
  let lastPath: string | null = null;
  for await (const entry of entries) {
    if (lastPath !== null && compareUtf8(lastPath, entry.path) >= 0) {
      throw new FormatError(`entries out of order: ${lastPath} before ${entry.path}`);
    }
    lastPath = entry.path;
    if (lines.length === 0) firstPath = entry.path;
    lines.push(entryLine(entry));
    if (lines.length === MAX_CHUNK_ENTRIES || endsChunk(entry.path)) {
      yield chunkOf(lines, firstPath);
      lines = [];
    }
  }
  if (lines.length > 0) yield chunkOf(lines, firstPath);
}

function chunkOf(entryLines: readonly string[], firstPath: string): Chunk {
  const lines = Buffer.from(`${entryLines.join('\n')}\n`, 'utf8');
  return { hash: sha256(lines), firstPath, entries: entryLines.length, lines };
}

/** The object's body. */
export function compressChunk(chunk: Chunk): Buffer {
  return zstdCompressSync(chunk.lines, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/**
 * The entries of one chunk. Checks everything that the manifest says of it: hash (from its key), count, first path, order.
 * Throws FormatError.
 */
export function readChunk(ref: ChunkRef, hash: string, body: Buffer): Entry[] {
  const lines = decompress(body);
  if (sha256(lines) !== hash) throw new FormatError('the content of a chunk is not what its name says');
  const texts = lines.toString('utf8').split('\n');
  if (texts.pop() !== '') throw new FormatError('a chunk does not end with a newline');
  const entries = texts.map(parseEntry);
  if (entries.length !== ref.entries || entries[0]?.path !== ref.first_path) {
    throw new FormatError('a chunk does not hold what its manifest says');
  }
  for (let i = 1; i < entries.length; i += 1) {
    if (compareUtf8((entries[i - 1] as Entry).path, (entries[i] as Entry).path) >= 0) {
      throw new FormatError('a chunk is not in order');
    }
  }
  return entries;
}

/** Whether a body is the chunk that its key names, without reading its entries. */
export function isChunkBody(hash: string, body: Buffer): boolean {
  try {
    return sha256(decompress(body)) === hash;
  } catch {
    return false;
  }
}

function decompress(body: Buffer): Buffer {
  try {
    return zstdDecompressSync(body, { maxOutputLength: MAX_CHUNK_BYTES });
  } catch (cause) {
    throw new FormatError('a chunk cannot be decompressed', { cause });
  }
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
