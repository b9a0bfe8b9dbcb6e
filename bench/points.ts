import type { JobBucket } from '../src/backup/job-bucket.ts';
import { compressChunk, cutChunks } from '../src/layout/chunks.ts';
import { chunkKey, manifestKey, okKey } from '../src/layout/keys.ts';
import type { MacKeys } from '../src/layout/mac.ts';
import { manifestBytes } from '../src/layout/manifest.ts';
import type { ChunkRef, Entry } from '../src/layout/types.ts';
import { macKeysOf } from '../src/security/mac-keys.ts';
import { Secrets } from '../src/security/envelope.ts';
import { KEY } from '../test/integration/world.ts';

/** Of the key that an `Installation` has. */
export const KEYS: MacKeys = macKeysOf(new Secrets([KEY]));

/** A committed point as a run leaves it, without its files. */
export interface MadePoint {
  readonly job: string;
  readonly run: string;
  readonly claim: string;
  readonly generation: number;
  readonly sourceType: string;
  /** Sorted by the bytes of their paths. */
  readonly entries: Iterable<Entry>;
  /** Chunks of the point before, by their hashes: those that stayed the same are shared. */
  readonly shared?: ReadonlyMap<string, ChunkRef>;
}

/** Writes chunks, manifest and `.ok`. Returns the chunks by their hashes. */
export async function writeCommitted(bucket: JobBucket, point: MadePoint): Promise<Map<string, ChunkRef>> {
  const { job, run, claim, generation, entries, shared } = point;
  const chunks = new Map<string, ChunkRef>();
  const counts = { files: 0, bytes: 0 };
  for await (const chunk of cutChunks(counted(entries, counts))) {
    const there = shared?.get(chunk.hash);
    const made = { key: chunkKey(chunk.hash, run, claim), first_path: chunk.firstPath, entries: chunk.entries };
    if (there === undefined) await bucket.put(made.key, compressChunk(chunk));
    chunks.set(chunk.hash, there ?? made);
  }
  const body = manifestBytes(
    {
      format: 1,
      ...{ job, run, claim, generation },
      parent: null,
      created_at: '2026-01-02T03:04:05.678Z',
      source_type: point.sourceType,
      complete: true,
      frozen: false,
      ...counts,
      ...{ stored: counts.files, carried: 0, failed: 0 },
      chunks: [...chunks.values()],
    },
    KEYS,
  );
  await bucket.put(manifestKey(run, claim), body);
  await bucket.put(okKey(run, claim), Buffer.alloc(0));
  return chunks;
}

async function* counted(entries: Iterable<Entry>, counts: { files: number; bytes: number }): AsyncGenerator<Entry> {
  for (const entry of entries) {
    counts.files += 1;
    counts.bytes += entry.size;
    yield entry;
  }
}
