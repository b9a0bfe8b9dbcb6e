import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { isChunkBody, readChunk, sha256 } from '../layout/chunks.ts';
import { FormatError } from '../layout/entries.ts';
import { manifestKey, parseKey } from '../layout/keys.ts';
import type { MacKeys } from '../layout/mac.ts';
import { compareUtf8 } from '../layout/order.ts';
import { invalid, parseManifest } from '../layout/manifest.ts';
import type { ChunkRef, Entry, Manifest } from '../layout/types.ts';
import type { JobBucket } from './job-bucket.ts';

/** Chunks that are fetched ahead of the reader. */
const CHUNKS_AHEAD = 8;

export interface OpenManifest {
  readonly key: string;
  readonly manifest: Manifest;
  /** SHA-256 in hex of the manifest's bytes. */
  readonly sha256: string;
}

/** What is needed to read the points of one job. */
export interface PointSource {
  readonly bucket: JobBucket;
  readonly job: string;
  readonly keys: MacKeys;
}

/**
 * Opens a manifest and holds it to its form, name and MAC.
 * @throws BackupError `ERR_MANIFEST_INVALID` (missing, altered), `ERR_KEY_UNKNOWN`.
 */
export async function openManifest(
  source: PointSource,
  place: { readonly run: string; readonly claim: string },
  expectedSha256?: string,
): Promise<OpenManifest> {
  const key = manifestKey(place.run, place.claim);
  const bytes = await source.bucket.get(key);
  if (bytes === null) throw invalid(key, 'it is missing');
  const digest = sha256(bytes);
  if (expectedSha256 !== undefined && digest !== expectedSha256)
    throw invalid(key, 'it is not the one that was committed');
  const committed = expectedSha256 !== undefined;
  return { key, manifest: parseManifest(bytes, { key, job: source.job, committed }, source.keys), sha256: digest };
}

/** As `openManifest`; null when it is missing or altered, instead of an error. */
export async function tryManifest(
  source: PointSource,
  place: { readonly run: string; readonly claim: string },
): Promise<OpenManifest | null> {
  try {
    return await openManifest(source, place);
  } catch (error) {
    if (isBackupError(error, 'ERR_MANIFEST_INVALID')) return null;
    throw error;
  }
}

/**
 * The entries of a point in order, streamed: `CHUNKS_AHEAD` chunks are on their way while one is read, the first ones from this call
 * on, whenever the reading begins. `from` skips chunks that end before that path.
 * @throws BackupError `ERR_MANIFEST_INVALID`, while reading, for a chunk that is missing or altered.
 */
export function readEntries(source: PointSource, manifest: Manifest, from = ''): AsyncGenerator<Entry> {
  const chunks = manifest.chunks.filter((_, i) => {
    const next = manifest.chunks[i + 1];
    return next === undefined || compareUtf8(next.first_path, from) > 0;
  });
  const fetched = chunks.slice(0, CHUNKS_AHEAD).map((chunk) => fetchAhead(source.bucket, chunk));
  return entriesOf(source, chunks, fetched);
}

async function* entriesOf(
  source: PointSource,
  chunks: readonly ChunkRef[],
  fetched: Promise<Entry[]>[],
): AsyncGenerator<Entry> {
  let lastPath = '';
  for (const [i, chunk] of chunks.entries()) {
    const entries = await (fetched.shift() as Promise<Entry[]>);
    const next = chunks[i + CHUNKS_AHEAD];
    if (next !== undefined) fetched.push(fetchAhead(source.bucket, next));
    if (compareUtf8(lastPath, entries[0]?.path ?? '') >= 0) throw invalid(chunk.key, 'it overlaps the one before');
    lastPath = entries.at(-1)?.path ?? '';
    yield* entries;
  }
}

/** Its error is thrown when its turn comes; until then it must not count as unhandled. */
function fetchAhead(bucket: JobBucket, ref: ChunkRef): Promise<Entry[]> {
  const fetched = fetchChunk(bucket, ref);
  fetched.catch(() => undefined);
  return fetched;
}

/** The entries of one chunk. @throws BackupError `ERR_MANIFEST_INVALID` when it is missing or altered */
export async function fetchChunk(bucket: JobBucket, ref: ChunkRef): Promise<Entry[]> {
  const body = await bucket.get(ref.key);
  if (body === null) throw invalid(ref.key, 'it is missing');
  try {
    return readChunk(ref, chunkHash(ref.key), body);
  } catch (error) {
    if (error instanceof FormatError) throw invalid(ref.key, error.message, error);
    throw error;
  }
}

/** Whether the chunk lies in the bucket and is what its name says. */
export async function isChunkThere(bucket: JobBucket, key: string): Promise<boolean> {
  try {
    const body = await bucket.get(key);
    return body !== null && isChunkBody(chunkHash(key), body);
  } catch (error) {
    if (isBackupError(error, 'ERR_MANIFEST_INVALID')) return false;
    throw error;
  }
}

export function chunkHash(key: string): string {
  const parsed = parseKey(key);
  if (parsed?.kind !== 'chunk') throw new BackupError('ERR_MANIFEST_INVALID', undefined, { details: { key } });
  return parsed.hash;
}
