import { createHash } from 'node:crypto';
import { PointLibrary, type PointPlace } from '../../src/browse/library.ts';
import { chunkKey, fileKey, manifestKey } from '../../src/layout/keys.ts';
import { compressChunk, cutChunks } from '../../src/layout/chunks.ts';
import type { MacKeys } from '../../src/layout/mac.ts';
import { manifestBytes } from '../../src/layout/manifest.ts';
import { compareUtf8 } from '../../src/layout/order.ts';
import type { ChunkRef, Entry } from '../../src/layout/types.ts';
import type { MemoryBucket } from '../../src/storage/memory.ts';
import { CLAIM, entryOf, JOB, KEYS, RUN } from '../layout/samples.ts';

export const PREFIX = 'backups/';

export interface WrittenPoint {
  readonly entries: readonly Entry[];
  readonly chunks: readonly ChunkRef[];
  readonly manifestSha256: string;
  readonly place: PointPlace;
}

interface About {
  readonly bucket: MemoryBucket;
  readonly run?: string;
  readonly claim?: string;
  readonly job?: string;
  readonly prefix?: string;
  readonly keys?: MacKeys;
  readonly generation?: number;
  /** Chunks that lie in the bucket already are taken from there, as a run does with those of its base. */
  readonly base?: WrittenPoint;
}

/** Writes a point as a run would: chunks, and the manifest that names them. Objects of files are `writeFiles`' part. */
export async function writePoint(given: readonly Entry[], about: About): Promise<WrittenPoint> {
  const entries = [...given].sort((a, b) => compareUtf8(a.path, b.path));
  return { entries, ...(await writeSorted(entries, about)) };
}

/** As `writePoint`, for more entries than should lie in memory at once; they come in order. */
export async function writeSorted(entries: Iterable<Entry>, about: About): Promise<Omit<WrittenPoint, 'entries'>> {
  const { bucket, run = RUN, claim = CLAIM, job = JOB, prefix = PREFIX, keys = KEYS, generation = 7, base } = about;
  const counts = { files: 0, bytes: 0, stored: 0, carried: 0, failed: 0 };
  async function* counted(): AsyncGenerator<Entry> {
    for (const entry of entries) {
      counts.files += 1;
      counts.bytes += entry.size;
      counts[entry.state] += 1;
      yield entry;
    }
  }
  const known = new Map(base?.chunks.map((chunk) => [chunk.key.split('/').at(-1)?.slice(0, 64), chunk.key]));
  const chunks: ChunkRef[] = [];
  for await (const chunk of cutChunks(counted())) {
    const key = known.get(chunk.hash) ?? chunkKey(chunk.hash, run, claim);
    if (!known.has(chunk.hash)) bucket.write(prefix + key, compressChunk(chunk));
    chunks.push({ key, first_path: chunk.firstPath, entries: chunk.entries });
  }
  const bytes = manifestBytes(
    {
      format: 1,
      job,
      run,
      claim,
      generation,
      parent: null,
      created_at: '2026-01-02T03:04:05.678Z',
      source_type: 'sftp',
      complete: true,
      frozen: false,
      ...counts,
      chunks,
    },
    keys,
  );
  bucket.write(prefix + manifestKey(run, claim), bytes);
  const manifestSha256 = createHash('sha256').update(bytes).digest('hex');
  const place = { store: bucket.connect(), prefix, job, keys, run, claim, manifestSha256 };
  return { chunks, manifestSha256, place };
}

export const library = (bytes = 64 * 1024 * 1024): PointLibrary => new PointLibrary(bytes);

/** An entry with this content, and the object that holds it. */
export function storedFile(
  bucket: MemoryBucket,
  path: string,
  content: Buffer | string,
  about: { run?: string; claim?: string; prefix?: string } & Partial<Entry> = {},
): Entry {
  const { run = RUN, claim = CLAIM, prefix = PREFIX, ...more } = about;
  const body = Buffer.from(content);
  const key = fileKey(run, claim, path);
  bucket.write(prefix + key, body);
  const hash = `md5:${createHash('md5').update(body).digest('hex')}`;
  return entryOf(path, { key, size: body.length, hash, ...more });
}
