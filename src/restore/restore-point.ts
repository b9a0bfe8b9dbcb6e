import { openManifest, readEntries, type PointSource } from '../backup/point-reader.ts';
import type { SpillSpace } from '../backup/spill.ts';
import { TaskPool } from '../backup/task-pool.ts';
import { BackupError } from '../errors/backup-error.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Entry, Manifest } from '../layout/types.ts';
import { groupEntries, type CopyGroup } from './groups.ts';
import type { RestoreProblem, RestoreProblemCode, RestoreTarget } from './port.ts';

/** Groups of fewer files than this are copied one by one: starting a program costs more. */
const FEW_ENTRIES = 24;
const SINGLE_COPIES_AT_ONCE = 16;
/** Groups at once, each one call of the transfer program. */
const GROUPS_AT_ONCE = 2;
const PROBLEMS_TOLD = 10_000;

export interface RestoreRequest {
  readonly source: PointSource;
  readonly place: { readonly run: string; readonly claim: string };
  /** As the database recorded it at the commit; absent when there is no database to ask. */
  readonly manifestSha256?: string;
  /** Path of a folder of the point (or of one file); '' or absent: all of it. Files keep their whole path. */
  readonly folder?: string;
  readonly target: RestoreTarget;
  readonly space: SpillSpace;
  /** Aborts with the reason to throw: cancelled, lease lost, hold lost. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

export interface RestoreProgress {
  readonly phase: 'copying' | 'verifying';
  readonly files: number;
  readonly filesTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

export interface RestoreReport {
  /** Files that the point holds in this folder, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** Read back with the right size and hash. */
  readonly exact: number;
  /** Read back with the right size; there was no hash to compare. */
  readonly sizeOnly: number;
  /** Files whose content is an earlier version, because the source could not be read at the time of the point. */
  readonly carried: number;
  /** The first ten thousand files that are not as the point has them; `problemCount` counts all. */
  readonly problems: readonly RestoreProblem[];
  readonly problemCount: number;
  /** Milliseconds of copying and of reading back. */
  readonly copyMs: number;
  readonly verifyMs: number;
}

/**
 * Restores a point, or one folder of it, and reads back every file that was written. Files that are not as they should be are in the
 * report; `requireExact` makes an error of them.
 * @throws BackupError `ERR_MANIFEST_INVALID`, `ERR_KEY_UNKNOWN`, `ERR_RESTORE_TARGET`, `ERR_DISK_FULL`, the signal's reason, and what
 *   the storage says.
 */
export async function restorePoint(request: RestoreRequest): Promise<RestoreReport> {
  const restore = new Restore(request);
  try {
    return await restore.execute();
  } catch (error) {
    throw request.signal.aborted ? request.signal.reason : error;
  }
}

/**
 * Throws `ERR_RESTORE_MISMATCH` when any file of the point is not at the target as the point has it. Files that the point itself has no
 * version of are no mismatch: the point says so, and the report names them.
 */
export function requireExact(report: RestoreReport): void {
  const wrong = report.problems.filter(({ code }) => code !== 'FILE_NOT_IN_POINT');
  if (wrong.length === 0) return;
  throw new BackupError('ERR_RESTORE_MISMATCH', undefined, {
    details: { problems: wrong.slice(0, 100), total: report.problemCount },
  });
}

class Restore {
  readonly #request: RestoreRequest;
  readonly #problems = new Map<string, RestoreProblemCode>();
  #files = 0;
  #bytes = 0;
  #carried = 0;
  #copiedFiles = 0;
  #copiedBytes = 0;

  constructor(request: RestoreRequest) {
    this.#request = request;
  }

  async execute(): Promise<RestoreReport> {
    const { source, place, manifestSha256, target, signal } = this.#request;
    const { manifest } = await openManifest(source, place, manifestSha256);
    await this.#requireFolder(manifest);
    await target.prepare(signal);
    const started = performance.now();
    await this.#copy(manifest);
    const copied = performance.now();
    const { exact, sizeOnly } = await this.#verify(manifest);
    return {
      files: this.#files,
      bytes: this.#bytes,
      exact,
      sizeOnly,
      carried: this.#carried,
      problems: [...this.#problems].slice(0, PROBLEMS_TOLD).map(([path, code]) => ({ path, code })),
      problemCount: this.#problems.size,
      copyMs: Math.round(copied - started),
      verifyMs: Math.round(performance.now() - copied),
    };
  }

  /** A folder that the point does not hold is a mistake in the request, not an empty restore. */
  async #requireFolder(manifest: Manifest): Promise<void> {
    if ((this.#request.folder ?? '') === '') return;
    for await (const _ of this.#selected(manifest)) return;
    throw new BackupError('INVALID_INPUT', 'The restore point holds nothing under this path.', {
      details: { field: 'folder' },
    });
  }

  async #copy(manifest: Manifest): Promise<void> {
    const { groups, single } = await groupEntries(this.#counted(manifest), this.#request.space, FEW_ENTRIES);
    const few = groups.flatMap((group) => group.few ?? []);
    const many = groups.filter((group) => group.few === null);
    await runAll(GROUPS_AT_ONCE, many, async (group) => await this.#copyMany(group));
    await runAll(SINGLE_COPIES_AT_ONCE, [...single, ...few], async (entry) => await this.#copyOne(entry));
  }

  /** The entries that can be restored, while what the report says of all is counted. */
  async *#counted(manifest: Manifest): AsyncGenerator<Entry> {
    for await (const entry of this.#selected(manifest)) {
      this.#files += 1;
      if (entry.state === 'failed') {
        this.#problems.set(entry.path, 'FILE_NOT_IN_POINT');
        continue;
      }
      this.#bytes += entry.size;
      if (entry.state === 'carried') this.#carried += 1;
      yield entry;
    }
  }

  async *#selected(manifest: Manifest): AsyncGenerator<Entry> {
    const folder = (this.#request.folder ?? '').replace(/\/+$/, '');
    for await (const entry of readEntries(this.#request.source, manifest, folder)) {
      if (folder === '' || entry.path === folder || entry.path.startsWith(`${folder}/`)) yield entry;
      // Nothing of a folder comes after what sorts behind all of its names ('0' follows the slash).
      else if (compareUtf8(entry.path, `${folder}0`) >= 0) return;
    }
  }

  async #copyMany(group: CopyGroup): Promise<void> {
    const { source, target, signal } = this.#request;
    let seen = { bytes: 0, files: 0 };
    const failed = await target.copyMany({
      fromKey: source.bucket.prefix + group.fromKey,
      toPath: group.toPath,
      names: group.names,
      count: group.names.count,
      signal,
      onProgress: (now) => {
        this.#advance(now.files - seen.files, now.bytes - seen.bytes);
        seen = now;
      },
    });
    for (const [name, code] of failed) {
      this.#problems.set(group.toPath === '' ? name : `${group.toPath}/${name}`, code);
    }
    this.#advance(group.names.count - seen.files, 0);
  }

  async #copyOne(entry: Entry): Promise<void> {
    const code = await this.#request.target.copyOne(entry, this.#request.signal);
    if (code !== null) this.#problems.set(entry.path, code);
    this.#advance(1, entry.size);
  }

  async #verify(manifest: Manifest): Promise<{ exact: number; sizeOnly: number }> {
    const { target, signal, space } = this.#request;
    const counts = { exact: 0, sizeOnly: 0 };
    this.#copiedFiles = 0;
    for await (const { entry, found } of target.inspect(this.#restorable(manifest), signal, space)) {
      if (found === 'exact') counts.exact += 1;
      else if (found === 'size_only') counts.sizeOnly += 1;
      // Why a copy failed says more than that it is missing.
      else if (!this.#problems.has(entry.path))
        this.#problems.set(entry.path, found === 'missing' ? 'FILE_MISSING' : 'FILE_DIFFERS');
      if (found === 'exact' || found === 'size_only') this.#problems.delete(entry.path);
      this.#copiedFiles += 1;
      if (this.#copiedFiles % 500 === 0) this.#tell('verifying');
    }
    return counts;
  }

  async *#restorable(manifest: Manifest): AsyncGenerator<Entry> {
    for await (const entry of this.#selected(manifest)) if (entry.state !== 'failed') yield entry;
  }

  #advance(files: number, bytes: number): void {
    this.#copiedFiles += files;
    this.#copiedBytes += bytes;
    this.#tell('copying');
  }

  #tell(phase: RestoreProgress['phase']): void {
    this.#request.onProgress?.({
      phase,
      files: this.#copiedFiles,
      filesTotal: this.#files,
      bytes: this.#copiedBytes,
      bytesTotal: this.#bytes,
    });
  }
}

async function runAll<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const pool = new TaskPool(limit);
  try {
    for (const item of items) await pool.start(async () => await work(item));
  } finally {
    await pool.drain();
  }
}
