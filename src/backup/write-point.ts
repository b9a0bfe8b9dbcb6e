import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { compressChunk, cutChunks, sha256, type Chunk } from '../layout/chunks.ts';
import { chunkKey, manifestKey } from '../layout/keys.ts';
import { manifestBytes } from '../layout/manifest.ts';
import type { ChunkRef, Entry } from '../layout/types.ts';
import type { BackupContext } from './context.ts';
import type { JobBucket } from './job-bucket.ts';
import type { NewPoint, ProblemReport } from './ledger.ts';
import { NothingStored } from './nothing-stored.ts';
import type { OwnerGuard } from './owner-marker.ts';
import { chunkHash, type OpenManifest } from './point-reader.ts';
import { TaskPool } from './task-pool.ts';
import type { PointTally } from './verify.ts';

const CHUNKS_AT_ONCE = 8;

interface PointParts {
  readonly entries: AsyncIterable<Entry>;
  readonly base: OpenManifest | null;
  /** Filled while the entries are read. */
  readonly tally: PointTally;
  /** Whether everything of the source is in the point; asked after the entries were read. */
  readonly isComplete: () => boolean;
  readonly frozen: boolean;
  /** What could not be stored; asked after the entries were read. */
  readonly report: () => ProblemReport;
}

/**
 * Writes chunks, then the manifest, and reads all of it back. What exists after this is a whole point that the database does not
 * know yet. A chunk is shared with the base by taking its key from there; nothing else finds one.
 */
export async function writePoint(
  context: BackupContext,
  bucket: JobBucket,
  guard: OwnerGuard,
  parts: PointParts,
): Promise<NewPoint> {
  const { run, job } = context;
  const chunks = await writeChunks(context, bucket, guard, parts);
  const { files, bytes, stored, carried, failed } = parts.tally;
  requireSomethingStored(parts);
  const content = {
    complete: parts.isComplete(),
    frozen: parts.frozen,
    files,
    bytes,
    stored,
    carried,
    failed,
  };
  const createdAt = new Date(context.clock()).toISOString();
  const { base } = parts;
  const body = manifestBytes(
    {
      format: 1,
      job: job.uuid,
      run: run.uuid,
      claim: run.claim,
      generation: run.generation,
      parent: base === null ? null : { key: base.key, sha256: base.sha256 },
      created_at: createdAt,
      source_type: job.sourceType,
      ...content,
      chunks,
    },
    context.keys,
  );
  const key = manifestKey(run.uuid, run.claim);
  await guard.require();
  await putAndReadBack(bucket, key, body, 'application/json');
  return {
    run: run.uuid,
    claim: run.claim,
    generation: run.generation,
    manifestKey: key,
    manifestSha256: sha256(body),
    createdAt,
    sourceType: job.sourceType,
    ...content,
  };
}

async function writeChunks(
  context: BackupContext,
  bucket: JobBucket,
  guard: OwnerGuard,
  parts: PointParts,
): Promise<ChunkRef[]> {
  const shared = new Map(parts.base?.manifest.chunks.map(({ key }) => [chunkHash(key), key]));
  const { uuid, claim } = context.run;
  const refs: ChunkRef[] = [];
  const pool = new TaskPool(CHUNKS_AT_ONCE);
  let mayWrite = false;
  try {
    for await (const chunk of cutChunks(parts.entries)) {
      const known = shared.get(chunk.hash);
      const key = known ?? chunkKey(chunk.hash, uuid, claim);
      refs.push({ key, first_path: chunk.firstPath, entries: chunk.entries });
      if (known !== undefined) continue;
      if (!mayWrite) await guard.require();
      mayWrite = true;
      await pool.start(async () => await putChunk(bucket, key, chunk));
    }
  } finally {
    await pool.drain();
  }
  return refs;
}

async function putChunk(bucket: JobBucket, key: string, chunk: Chunk): Promise<void> {
  await putAndReadBack(bucket, key, compressChunk(chunk), 'application/zstd');
}

async function putAndReadBack(bucket: JobBucket, key: string, body: Buffer, contentType: string): Promise<void> {
  await bucket.put(key, body, contentType);
  const there = await bucket.get(key).catch(readable);
  if (there === null || !there.equals(body))
    throw new BackupError('ERR_COMMIT_READBACK', undefined, { details: { key } });
}

/** An encrypted document that does not open is not what was put. */
function readable(error: unknown): null {
  if (isBackupError(error, 'ERR_MANIFEST_INVALID')) return null;
  throw error;
}

/** A point that holds no file as the source has it protects nothing: the run failed, for the reason most files give. */
function requireSomethingStored({ tally, report }: PointParts): void {
  if (tally.files === 0 || tally.stored > 0) return;
  throw new NothingStored(tally.mainErrorCode() ?? 'ERR_TRANSFER', report());
}
