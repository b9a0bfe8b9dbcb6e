import { BackupError, isBackupError } from '../errors/backup-error.ts';
import type { EngineEvent, TransferOutcome, TransferProgress } from '../engines/port.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { ListedFile } from '../layout/compare.ts';
import { fileKey, filesFolder, isKeyTooLong } from '../layout/keys.ts';
import { listArrivals, PathCursor, type Arrival } from './arrivals.ts';
import type { BackupContext } from './context.ts';
import type { JobBucket } from './job-bucket.ts';
import type { BackupPlan } from './plan.ts';
import type { SpillSpace } from './spill.ts';
import { TaskPool } from './task-pool.ts';

const SERVER_SIDE_COPIES_AT_ONCE = 32;
/** S3 copies no larger object in one request. */
const MAX_SERVER_SIDE_COPY_BYTES = 5 * 1024 ** 3;

export interface CopyResult {
  /** Files that the engine was asked for; the whole source counts as all of them. */
  readonly paths: readonly string[] | 'all';
  /** Why single files failed. */
  readonly failed: ReadonlyMap<string, ErrorCode>;
  readonly reused: { readonly files: number; readonly bytes: number };
}

interface CopyJob {
  readonly context: BackupContext;
  readonly bucket: JobBucket;
  readonly plan: BackupPlan;
  readonly space: SpillSpace;
  readonly signal: AbortSignal;
  /** Every file of the source has to be copied, and nothing was left out. */
  readonly everything: boolean;
  readonly onProgress: (progress: TransferProgress) => void;
}

/**
 * Brings new and changed files into this claim's own folder: from folders of earlier claims of the run where hashes prove that the
 * object is the file, otherwise by the engine. Nothing here decides what is good: `verify.ts` looks at what arrived.
 */
export async function copyFiles(job: CopyJob, earlierClaims: readonly string[]): Promise<CopyResult> {
  const { paths, bytes, reused } = await selectPaths(job, earlierClaims);
  const reusedAny = reused.files > 0;
  if (paths.length === 0) return { paths, failed: new Map(), reused };
  const request = job.everything && !reusedAny && paths.length === job.plan.copyFiles ? 'all' : paths;
  return { paths: request, failed: await transfer(job, request, bytes), reused };
}

export function keyTooLong(context: BackupContext, path: string): boolean {
  // In an archive, paths are no keys.
  if (context.job.mode === 'archive') return false;
  return isKeyTooLong(context.job.prefix, keyInClaim(context, path));
}

/** Where this claim puts the file of this path. */
export function keyInClaim({ run, encryption }: BackupContext, path: string): string {
  return fileKey(run.uuid, run.claim, path, encryption?.cipher);
}

async function selectPaths(
  job: CopyJob,
  earlierClaims: readonly string[],
): Promise<{ paths: string[]; bytes: number; reused: { files: number; bytes: number } }> {
  const { context, bucket, plan, space } = job;
  const paths: string[] = [];
  let bytes = 0;
  const reused = { files: 0, bytes: 0 };
  const ask = (file: ListedFile): void => {
    paths.push(file.path);
    bytes += Math.max(file.size, 0);
  };
  if (plan.copyFiles === 0) return { paths, bytes, reused };
  const earlier =
    earlierClaims.length === 0 ? null : await listArrivals(bucket, context.run.uuid, earlierClaims, space);
  const cursor = earlier === null || earlier.count === 0 ? null : new PathCursor(earlier);
  const pool = new TaskPool(SERVER_SIDE_COPIES_AT_ONCE);
  try {
    for await (const item of plan.items) {
      if (item.kind !== 'copy' || keyTooLong(context, item.file.path)) continue;
      const { file } = item;
      const there = (await cursor?.at(file.path))?.find((arrival) => isSameContent(file, arrival));
      if (there === undefined) ask(file);
      else
        await pool.start(async () => {
          if (await reuse(job, there)) {
            reused.files += 1;
            reused.bytes += there.size;
          } else ask(file);
        });
    }
  } finally {
    await cursor?.close();
    await pool.drain();
  }
  return { paths, bytes, reused };
}

function isSameContent(file: ListedFile, arrival: Arrival): boolean {
  return (
    file.hash !== null &&
    file.hash === arrival.hash &&
    file.size === arrival.size &&
    file.size <= MAX_SERVER_SIDE_COPY_BYTES
  );
}

/** An earlier claim's object is never referred to: a copy of it in the own folder is, once it was checked like an upload. */
async function reuse({ context, bucket }: CopyJob, there: Arrival): Promise<boolean> {
  const { uuid, claim } = context.run;
  try {
    return await bucket.copy(bucket.fileKey(uuid, there.claim, there.path), bucket.fileKey(uuid, claim, there.path));
  } catch (error) {
    // Some stores refuse some server-side copies; an upload serves as well.
    if (isBackupError(error, 'ERR_DEST_REFUSED')) return false;
    throw error;
  }
}

async function transfer(
  job: CopyJob,
  paths: readonly string[] | 'all',
  bytes: number,
): Promise<Map<string, ErrorCode>> {
  const { context, signal } = job;
  const child = context.engine.copy({
    paths,
    targetKey: (context.job.prefix + filesFolder(context.run.uuid, context.run.claim)).replace(/\/$/, ''),
    signal,
    bytesTotal: bytes,
  });
  const failed = new Map<string, ErrorCode>();
  const listening = listen(child.events, job, failed);
  listening.catch(() => undefined);
  const outcome = await child.done;
  await listening;
  signal.throwIfAborted();
  requireFinished(outcome);
  for (const [path, { code }] of outcome.failed) failed.set(path, code);
  return failed;
}

async function listen(events: AsyncIterable<EngineEvent>, job: CopyJob, failed: Map<string, ErrorCode>): Promise<void> {
  for await (const event of events) {
    if (event.type === 'progress') job.onProgress(event.progress);
    else if (event.type === 'file_failed') failed.set(event.path, event.code);
    // A file that failed at first and was copied by the engine's own second try is not a problem.
    else failed.delete(event.path);
  }
}

function requireFinished(outcome: TransferOutcome): void {
  if (outcome.fatal !== null) throw new BackupError(outcome.fatal.code, outcome.fatal.message);
  if (outcome.stopped) throw new BackupError('ERR_RCLONE_KILLED');
}
