import { BackupError } from '../errors/backup-error.ts';
import { keptTogether } from '../layout/keys.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { ChunkRef } from '../layout/types.ts';
import { fetchChunk, openManifest, type OpenManifest, type PointSource } from './point-reader.ts';
import { sortExternally } from './sorted-listing.ts';
import type { Replayable, SpillSpace } from './spill.ts';
import { mapParallel } from './task-pool.ts';

const MANIFESTS_AT_ONCE = 16;
const CHUNKS_AT_ONCE = 8;

export interface ReferringClaim {
  readonly run: string;
  readonly claim: string;
  /** What the database committed; null where it knows of no point. */
  readonly sha256: string | null;
}

/** Everything that some manifests name. */
export interface References {
  /** Keys of objects (of archives: `keptTogether`), sorted by their bytes; some may come twice. */
  readonly objects: Replayable<string>;
  readonly chunks: ReadonlySet<string>;
}

/**
 * Reads manifests and chunks. Each chunk is read once, however many points share it.
 * @throws BackupError `ERR_MANIFEST_INVALID`, `ERR_KEY_UNKNOWN` when one of them cannot be read or was altered: what it names is unknown,
 *   so nothing may be deleted.
 */
export async function readReferences(
  source: PointSource,
  claims: readonly ReferringClaim[],
  space: SpillSpace,
): Promise<References> {
  const manifests = await mapParallel(
    claims,
    MANIFESTS_AT_ONCE,
    async (place) => await openManifest(source, place, place.sha256 ?? undefined),
  );
  const chunks = distinctChunks(manifests);
  return {
    objects: await sortExternally(namedObjects(source, chunks, space.memoryItems), compareUtf8, space),
    chunks: new Set(chunks.map(({ key }) => key)),
  };
}

/**
 * In the order of their first paths: versions of the same part of the tree follow each other, and mostly name the same objects.
 */
function distinctChunks(manifests: readonly OpenManifest[]): ChunkRef[] {
  const chunks = new Map<string, ChunkRef>();
  for (const chunk of manifests.flatMap(({ manifest }) => manifest.chunks)) {
    const known = chunks.get(chunk.key);
    if (known !== undefined && (known.entries !== chunk.entries || known.first_path !== chunk.first_path)) {
      const reason = 'two manifests tell different things of it';
      throw new BackupError('ERR_MANIFEST_INVALID', undefined, { details: { key: chunk.key, reason } });
    }
    chunks.set(chunk.key, chunk);
  }
  return [...chunks.values()].sort((a, b) => compareUtf8(a.first_path, b.first_path));
}

async function* namedObjects(
  { bucket }: PointSource,
  chunks: readonly ChunkRef[],
  memoryItems: number,
): AsyncGenerator<string> {
  let recent = new Set<string>();
  for (let at = 0; at < chunks.length; at += CHUNKS_AT_ONCE) {
    const batch = await mapParallel(
      chunks.slice(at, at + CHUNKS_AT_ONCE),
      CHUNKS_AT_ONCE,
      async (chunk) => await fetchChunk(bucket, chunk),
    );
    for (const entry of batch.flat()) {
      const key = keptTogether(entry.key);
      if (key === '' || recent.has(key)) continue;
      if (recent.size >= memoryItems) recent = new Set();
      recent.add(key);
      yield key;
    }
  }
}
