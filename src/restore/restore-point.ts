import { memberKey } from '../archive/member-keys.ts';
import { openManifest, readEntries, type PointSource } from '../backup/point-reader.ts';
import { SpillList, type SpillSpace } from '../backup/spill.ts';
import { TaskPool } from '../backup/task-pool.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { Entry, Manifest } from '../layout/types.ts';
import { groupEntries, isText, type CopyGroup } from './groups.ts';
import { inOrder } from './in-order.ts';
import { OutcomeList, kindOfProblem, MOST_NAMED } from './outcome.ts';
import { decide, nameCollisions, timeOfEntry } from './overwrite.ts';
import { GROUPS_AT_ONCE } from './port.ts';
import type {
  Existing,
  ExistingFiles,
  Overwrite,
  RestoreProblem,
  RestoreProblemCode,
  RestoreTarget,
  SingleCopy,
} from './port.ts';
import type { RestoreProgress, RestoreReport } from './report.ts';
import { Selection } from './selection.ts';

/** Groups of fewer files than this are copied with all other single files: a call of the program for each would cost more. */
const FEW_ENTRIES = 500;
const JUDGED_AT_ONCE = 32;

export interface RestoreRequest {
  readonly source: PointSource;
  readonly place: { readonly run: string; readonly claim: string };
  /** As the database recorded it at the commit; absent when there is no database to ask. */
  readonly manifestSha256?: string;
  /** Files and folders of the point; none or absent: all of it. Files keep their whole path. */
  readonly paths?: readonly string[];
  readonly target: RestoreTarget;
  /** Default `never`. */
  readonly overwrite?: Overwrite;
  /** Only counts what would be done: nothing is written. */
  readonly dryRun?: boolean;
  /** An earlier attempt of this very restore may have done a part of it. */
  readonly continuing?: boolean;
  /** When this restore was asked for, epoch milliseconds. */
  readonly begunAt?: number | undefined;
  readonly space: SpillSpace;
  /** Aborts with the reason to throw: cancelled, lease lost, hold lost. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

/**
 * Restores a point, or the files and folders of it that are named, and reads back every file that was written. Files that are not as
 * they should be are in the report; `verdictOf` says what that makes of the restore, `requireExact` makes an error of them.
 * @throws BackupError `INVALID_INPUT` (a path that the point does not hold, named in the details), `ERR_MANIFEST_INVALID`,
 *   `ERR_KEY_UNKNOWN`, `ERR_RESTORE_TARGET`, `ERR_DISK_FULL`, the signal's reason, and what the storage says.
 */
export async function restorePoint(request: RestoreRequest): Promise<RestoreReport> {
  const restore = new Restore(request);
  let done = false;
  try {
    const report = await restore.execute();
    done = true;
    return report;
  } catch (error) {
    throw request.signal.aborted ? request.signal.reason : error;
  } finally {
    await request.target.close(done);
  }
}

/** An entry that is to be at the target in the end; `copy` is false where an earlier attempt has put it there. */
interface Wanted {
  readonly entry: Entry;
  readonly copy: boolean;
  /** What it replaces. */
  readonly before: Pick<Existing, 'size' | 'modified'> | null;
}

class Restore {
  readonly #request: RestoreRequest;
  readonly #selection: Selection;
  readonly #overwrite: Overwrite;
  /** Why files could not be copied; what reading back finds counts in the end. */
  readonly #failed = new Map<string, RestoreProblemCode>();
  readonly #problems: RestoreProblem[] = [];
  readonly #codes = new Map<RestoreProblemCode, number>();
  readonly #outcomes = new OutcomeList();
  readonly #counts = { files: 0, bytes: 0, created: 0, overwritten: 0, carried: 0, toWrite: 0, exact: 0, sizeOnly: 0 };
  #largest = 0;
  #doneFiles = 0;
  #doneBytes = 0;

  constructor(request: RestoreRequest) {
    this.#request = request;
    this.#selection = new Selection(request.paths ?? []);
    this.#overwrite = request.overwrite ?? 'never';
  }

  async execute(): Promise<RestoreReport> {
    const { source, place, manifestSha256, target, signal, dryRun = false } = this.#request;
    const { manifest } = await openManifest(source, place, manifestSha256);
    const count = await this.#requirePaths(manifest);
    await target.prepare({ signal, dryRun });
    const wanted = await this.#plan(manifest, count);
    const started = performance.now();
    if (!dryRun) await this.#copy(wanted);
    const copied = performance.now();
    if (!dryRun) await this.#verify(wanted);
    return this.#report(copied - started, performance.now() - copied);
  }

  #report(copyMs: number, verifyMs: number): RestoreReport {
    const { files, bytes, created, overwritten, carried, toWrite, exact, sizeOnly } = this.#counts;
    return {
      ...{ files, bytes, created, overwritten, carried, exact, sizeOnly, bytesToWrite: toWrite },
      dryRun: this.#request.dryRun ?? false,
      skipped: this.#outcomes.totals.skipped,
      problems: this.#problems,
      problemCount: [...this.#codes.values()].reduce((sum, count) => sum + count, 0),
      problemCodes: this.#codes,
      outcomes: this.#outcomes.named,
      totals: this.#outcomes.totals,
      copyMs: Math.round(copyMs),
      verifyMs: Math.round(verifyMs),
    };
  }

  /** A path that the point does not hold is a mistake in the request, told before anything is written. Returns how many files come. */
  async #requirePaths(manifest: Manifest): Promise<number> {
    if (this.#selection.isEverything) return manifest.files;
    let count = 0;
    for await (const { path } of this.#selected(manifest)) {
      count += 1;
      this.#selection.see(path);
    }
    const missing = this.#selection.unseen;
    if (missing.length === 0) return count;
    const named = missing.slice(0, 5).map((path) => JSON.stringify(path));
    const more = missing.length > 5 ? ` and ${missing.length - 5} more` : '';
    throw new BackupError('INVALID_INPUT', `The restore point holds nothing under ${named.join(', ')}${more}.`, {
      details: { field: 'paths', missing: missing.slice(0, 100), total: missing.length },
    });
  }

  async *#selected(manifest: Manifest): AsyncGenerator<Entry> {
    for await (const entry of readEntries(this.#request.source, this.#selection.narrow(manifest))) {
      if (this.#selection.holds(entry.path)) yield entry;
    }
  }

  /** Compares the point with what lies at the target. What comes out is in the order of paths. */
  async #plan(manifest: Manifest, count: number): Promise<SpillList<Wanted>> {
    const { target, signal, space } = this.#request;
    const wanted = new SpillList<Wanted>(space);
    const times = this.#overwrite === 'if_newer';
    const looked = target.look(this.#restorable(manifest), { signal, space, count, times, hashes: false });
    const judged = inOrder(looked, JUDGED_AT_ONCE, async (found) => await this.#judge(found));
    for await (const { entry, existing, verdict } of judged) {
      if (verdict === 'blocked') this.#problem(entry.path, 'ERR_RESTORE_TARGET');
      else if (verdict === 'FILE_EXISTS' || verdict === 'FILE_NOT_NEWER')
        this.#outcomes.add({ kind: 'skipped', code: verdict, path: entry.path });
      else {
        this.#counts[verdict === 'overwrite' ? 'overwritten' : 'created'] += 1;
        this.#counts.toWrite += entry.size;
        this.#largest = Math.max(this.#largest, entry.size);
        if (entry.state === 'carried') this.#counts.carried += 1;
        const before = existing === null ? null : { size: existing.size, modified: existing.modified };
        await wanted.add({ entry, copy: verdict !== 'done', before });
      }
      this.#doneFiles += 1;
      if (this.#doneFiles % 1_000 === 0) this.#tell('comparing', count);
    }
    await wanted.finish();
    return wanted;
  }

  async #judge({ entry, existing }: { entry: Entry; existing: Existing | null }) {
    const { continuing = false, begunAt, source, signal } = this.#request;
    const versionTime = async (): Promise<number> => await timeOfEntry(source.bucket, entry, signal);
    const verdict = await decide(entry, existing, { overwrite: this.#overwrite, continuing, begunAt, versionTime });
    return { entry, existing, verdict };
  }

  /** The entries that can be restored, while what the report says of all is counted. */
  async *#restorable(manifest: Manifest): AsyncGenerator<Entry> {
    for await (const entry of this.#selected(manifest)) {
      this.#counts.files += 1;
      if (entry.state === 'failed') {
        this.#problem(entry.path, 'FILE_NOT_IN_POINT');
        continue;
      }
      this.#counts.bytes += entry.size;
      const refusal = this.#request.target.refusal(entry.path);
      if (refusal !== null) this.#problem(entry.path, refusal);
      else yield entry;
    }
  }

  async #copy(wanted: SpillList<Wanted>): Promise<void> {
    const { source, space, target } = this.#request;
    this.#doneFiles = 0;
    this.#tell('copying', wanted.count);
    const collisions = target.mayIgnoreCase ? await nameCollisions(entriesOf(wanted), space) : new Set<string>();
    const { groups, single } = await groupEntries(toCopy(wanted, collisions), space, FEW_ENTRIES, source.bucket.names);
    const pool = new TaskPool(GROUPS_AT_ONCE);
    try {
      for (const group of groups) await pool.start(async () => await this.#copyMany(group, wanted.count));
    } finally {
      await pool.drain();
    }
    if (single.count > 0) await this.#copySome(single, wanted.count);
    if (collisions.size > 0) await this.#copyCollisions(wanted, collisions);
  }

  /** Where case does not count, the first of such names stands for the others: it must not be written over by the next. */
  async #copyCollisions(wanted: SpillList<Wanted>, collisions: ReadonlySet<string>): Promise<void> {
    const { target, signal, space } = this.#request;
    for await (const { entry, copy, before } of wanted) {
      if (!copy || !collisions.has(entry.path)) continue;
      const looked = target.look(only(entry), { signal, space, count: 1, times: false, hashes: false });
      for await (const { existing } of looked) {
        const asBefore = existing === null || (existing.size === before?.size && existing.modified === before.modified);
        if (asBefore) await this.#copySome(only(entry), wanted.count);
        else this.#fail(entry.path, 'ERR_NAME_CASE');
      }
    }
  }

  async #copyMany(group: CopyGroup, total: number): Promise<void> {
    const { source, target, signal } = this.#request;
    const progress = this.#progressOf(total);
    const failed = await target.copyMany({
      fromKey: source.bucket.prefix + group.fromKey,
      toPath: group.toPath,
      names: group.names,
      count: group.names.count,
      bytes: group.bytes,
      largest: this.#largest,
      existing: this.#existing,
      signal,
      onProgress: progress,
    });
    for (const [name, code] of failed) this.#fail(group.toPath === '' ? name : `${group.toPath}/${name}`, code);
    progress({ files: group.names.count, bytes: group.bytes });
  }

  async #copySome(entries: AsyncIterable<Entry>, total: number): Promise<void> {
    const { target, signal } = this.#request;
    const failed = await target.copySome({
      items: this.#singles(entries),
      largest: this.#largest,
      existing: this.#existing,
      signal,
      onProgress: this.#progressOf(total),
    });
    for (const [path, code] of failed) this.#fail(path, code);
  }

  async *#singles(entries: AsyncIterable<Entry>): AsyncGenerator<SingleCopy> {
    const { prefix } = this.#request.source.bucket;
    for await (const entry of entries) {
      const { key, path, size } = entry;
      const fromKey = prefix + (entry.offset === undefined ? key : memberKey(entry));
      // Renamed, and no text: there is no way to tell the program what to call it.
      if (isText(path)) yield { fromKey, toPath: path, size };
      else this.#fail(path, 'ERR_TRANSFER');
    }
  }

  get #existing(): ExistingFiles {
    if (this.#request.target.isEmpty) return 'none';
    return this.#overwrite === 'never' ? 'keep' : 'replace';
  }

  /** Reads back what was written. Why a copy failed says more than that it is missing. */
  async #verify(wanted: SpillList<Wanted>): Promise<void> {
    const { target, signal, space } = this.#request;
    this.#doneFiles = 0;
    this.#tell('verifying', wanted.count);
    const options = { signal, space, count: wanted.count, times: false, hashes: true };
    const looked = inOrder(target.look(entriesOf(wanted), options), JUDGED_AT_ONCE, async (found) => {
      if (found.existing === null && !this.#failed.has(found.entry.path)) await this.#findReason(found.entry);
      return found;
    });
    for await (const { entry, existing } of looked) {
      this.#inspect(entry, existing);
      this.#doneFiles += 1;
      if (this.#doneFiles % 500 === 0) this.#tell('verifying', wanted.count);
    }
  }

  /** A copy of a whole list leaves out what does not exist, without a word. */
  async #findReason({ key, path }: Entry): Promise<void> {
    const { source, signal } = this.#request;
    const object = await source.bucket.store.head(source.bucket.prefix + key, { signal });
    if (object === null) this.#fail(path, 'ERR_OBJECT_MISSING');
  }

  #inspect(entry: Entry, existing: Existing | null): void {
    const failed = this.#failed.get(entry.path);
    if (existing === null) this.#problem(entry.path, failed ?? 'FILE_MISSING');
    else if (failed === 'ERR_NAME_CASE') this.#problem(entry.path, failed);
    else if (existing.size !== entry.size) this.#problem(entry.path, failed ?? 'FILE_DIFFERS');
    else if (entry.hash === null || existing.hash === null) {
      // Of the right size, but nothing shows that it is not what lay there before.
      if (failed !== undefined) return this.#problem(entry.path, failed);
      this.#counts.sizeOnly += 1;
      this.#outcomes.add({ kind: 'size_only', code: 'FILE_SIZE_ONLY', path: entry.path });
    } else if (existing.hash === entry.hash) this.#counts.exact += 1;
    else this.#problem(entry.path, failed ?? 'FILE_DIFFERS');
  }

  #fail(path: string, code: RestoreProblemCode): void {
    if (this.#failed.size < MOST_NAMED * 10) this.#failed.set(path, code);
  }

  #problem(path: string, code: RestoreProblemCode): void {
    this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
    if (this.#problems.length < MOST_NAMED) this.#problems.push({ path, code });
    this.#outcomes.add({ kind: kindOfProblem(code), code, path });
  }

  /** Adds up what several calls that run side by side tell of themselves. */
  #progressOf(total: number): (now: { files: number; bytes: number }) => void {
    let seen = { files: 0, bytes: 0 };
    return (now) => {
      this.#doneFiles += now.files - seen.files;
      this.#doneBytes += now.bytes - seen.bytes;
      seen = now;
      this.#tell('copying', total);
    };
  }

  #tell(phase: RestoreProgress['phase'], filesTotal: number): void {
    this.#request.onProgress?.({
      phase,
      files: Math.min(this.#doneFiles, filesTotal),
      filesTotal,
      bytes: Math.min(this.#doneBytes, this.#counts.toWrite),
      bytesTotal: this.#counts.toWrite,
    });
  }
}

async function* entriesOf(wanted: AsyncIterable<Wanted>): AsyncGenerator<Entry> {
  for await (const { entry } of wanted) yield entry;
}

async function* toCopy(wanted: AsyncIterable<Wanted>, left: ReadonlySet<string>): AsyncGenerator<Entry> {
  for await (const { entry, copy } of wanted) if (copy && !left.has(entry.path)) yield entry;
}

async function* only(entry: Entry): AsyncGenerator<Entry> {
  yield entry;
}
