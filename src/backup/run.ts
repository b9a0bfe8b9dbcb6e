import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { brakesHold } from '../layout/brakes.ts';
import type { Entry } from '../layout/types.ts';
import { okKey } from '../layout/keys.ts';
import { listArrivals, type Arrival } from './arrivals.ts';
import { claimPrefix, type ClaimedPrefix } from './claim-prefix.ts';
import { DEFAULT_DATABASE_RETRY_MS, DEFAULT_MEMORY_ITEMS, type BackupContext, type BackupResult } from './context.ts';
import { planArchive } from './archive-plan.ts';
import { writeArchive, type ArchiveResult } from './archive-run.ts';
import { CryptKeysGuard } from './crypt-keys.ts';
import { copyFiles, type CopyResult } from './copy.ts';
import { doubting, placesOf } from './damaged.ts';
import {
  comparedEvent,
  freezeEvents,
  isHarmless,
  listingEvents,
  problemEvents,
  problemReport,
  progressOf,
  statisticsOf,
} from './events.ts';
import { JobBucket } from './job-bucket.ts';
import type { TransferProgress } from '../engines/port.ts';
import type { BackupEvent, CommitRequest, Freeze, HeldPoints, PointView, RunPhase } from './ledger.ts';
import { OwnerGuard } from './owner-marker.ts';
import { planBackup, type BackupPlan } from './plan.ts';
import { openManifest, readEntries, type OpenManifest, type PointSource } from './point-reader.ts';
import { listSource, requireFiles, type ListedSource } from './source-listing.ts';
import type { SpillSpace } from './spill.ts';
import { finalEntries, lookAgain, PointTally } from './verify.ts';
import { whenReachable } from './when-reachable.ts';
import { writePoint } from './write-point.ts';

/**
 * One claim of a backup run, from the look at the bucket to the commit (docs/backup-format.md, "A backup run"). Returns when the
 * point is committed.
 * @throws BackupError whatever ended it; nothing that was backed up before is changed by any failure. `isTransient` says whether the
 *   run may be tried again by itself. When `ledger.signal` aborts, its reason is thrown.
 */
export async function runBackup(context: BackupContext): Promise<BackupResult> {
  const stop = new AbortController();
  const run = new BackupRun(context, AbortSignal.any([context.ledger.signal, stop.signal]));
  try {
    return await run.execute();
  } catch (error) {
    // Whatever an aborted request threw: what the run died of is the reason of the abort.
    throw context.ledger.signal.aborted ? context.ledger.signal.reason : error;
  } finally {
    stop.abort(new BackupError('ERR_CANCELLED'));
    await context.ledger.releaseHolds().catch(() => undefined);
  }
}

/** The point that the run is compared with; its entries can be read once. */
interface Base extends OpenManifest {
  readonly entries: AsyncGenerator<Entry>;
}

class BackupRun {
  readonly #context: BackupContext;
  readonly #signal: AbortSignal;
  readonly #bucket: JobBucket;
  readonly #guard: OwnerGuard;
  readonly #cryptKeys: CryptKeysGuard;
  readonly #points: PointSource;
  readonly #space: SpillSpace;
  #filesListed = 0;
  /** What an archive takes, which is less than its files have. */
  #stored: { readonly bytesStored?: number } = {};

  constructor(context: BackupContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
    this.#bucket = new JobBucket(context.store, context.job.prefix, signal, context.encryption?.cipher ?? null);
    this.#guard = new OwnerGuard(this.#bucket, { ...context.owner, job: context.job.uuid }, context.keys);
    const { keys, encryption = null } = context;
    this.#cryptKeys = new CryptKeysGuard(this.#bucket, context.job.uuid, keys, encryption?.wrapped ?? null);
    this.#points = { bucket: this.#bucket, job: context.job.uuid, keys: context.keys };
    this.#space = { folder: context.workFolder, memoryItems: context.memoryItems ?? DEFAULT_MEMORY_ITEMS };
  }

  async execute(): Promise<BackupResult> {
    this.#phase('checking');
    // The source is only read, so listing it need not wait for the look at the bucket.
    const listing = this.#list();
    listing.catch(() => undefined);
    const claimed = await claimPrefix(this.#context, {
      bucket: this.#bucket,
      guard: this.#guard,
      cryptKeys: this.#cryptKeys,
      points: this.#points,
      space: this.#space,
      whenReachable: async (ask) => await this.#whenReachable(ask),
    });
    if (claimed.kind === 'rolled_forward')
      return await this.#commit({ ...claimed.commit, events: freezeEvents(claimed.commit.freeze) }, true);
    const held = await this.#whenReachable(() => this.#context.ledger.takeHolds());
    const base = held.base === null ? null : await this.#openBase(held.base);
    this.#phase('listing');
    const source = await listing;
    this.#report(listingEvents(source));
    requireFiles(source, this.#context.run.allowEmptySource);
    return await this.#backUp(source, base, held, claimed);
  }

  /** Its first chunks are fetched while the source is still being listed. */
  async #openBase(point: PointView): Promise<Base> {
    const [opened, damaged] = await Promise.all([
      openManifest(this.#points, point, point.manifestSha256),
      this.#whenReachable(() => this.#context.ledger.damaged(point)),
    ]);
    const entries = (): AsyncGenerator<Entry> => readEntries(this.#points, opened.manifest);
    if (damaged.size === 0) return { ...opened, entries: entries() };
    this.#report([{ code: 'DAMAGED_COPIED_AGAIN', params: { files: damaged.size } }]);
    return { ...opened, entries: doubting(entries(), await placesOf(entries(), damaged)) };
  }

  async #list(): Promise<ListedSource> {
    const source = await listSource(this.#context.engine, {
      signal: this.#signal,
      space: this.#space,
      onProgress: (files) => {
        this.#filesListed = files;
        this.#phase('listing');
      },
    });
    this.#filesListed = source.files.count;
    return source;
  }

  async #backUp(
    source: ListedSource,
    base: Base | null,
    held: HeldPoints,
    claimed: Extract<ClaimedPrefix, { kind: 'ready' }>,
  ): Promise<BackupResult> {
    this.#phase('comparing');
    const compared = await planBackup(source, base?.entries ?? null, this.#space);
    const plan = this.#isArchive ? planArchive(compared, source) : compared;
    this.#report([comparedEvent(plan)]);
    const freeze = await this.#freeze(source, plan, base, held);
    if (claimed.unmarked) {
      await this.#guard.mark();
      this.#report([{ code: 'MARKER_CREATED', params: {} }]);
    }
    if (claimed.lacksKeys) await this.#cryptKeys.put();
    const tally = new PointTally();
    const finished = await this.#copyAndVerify(source, plan, claimed.earlierClaims, tally);
    this.#phase('committing');
    const isComplete = (): boolean =>
      source.complete && tally.carried === 0 && tally.failed === 0 && source.skipped.every(isHarmless);
    const point = await writePoint(this.#context, this.#bucket, this.#guard, {
      entries: finished,
      base,
      tally,
      isComplete,
      frozen: this.#context.job.frozen || freeze !== null,
      report: () => problemReport(source, tally),
    });
    for (const point of claimed.lackOk) await this.#markCommitted(point);
    return await this.#commit(
      {
        status: point.complete ? 'success' : 'warning',
        point,
        freeze,
        statistics: { ...statisticsOf(source, plan, tally), ...this.#stored },
        events: [...problemEvents(source, tally), ...freezeEvents(freeze)],
        report: problemReport(source, tally),
      },
      false,
    );
  }

  /** Copies, then gives the entries of the point; they are made while they are read. */
  async #copyAndVerify(source: ListedSource, plan: BackupPlan, earlierClaims: readonly string[], tally: PointTally) {
    const { run } = this.#context;
    this.#phase('copying');
    const archived = this.#isArchive ? await this.#archive(plan) : null;
    const copied: CopyResult =
      archived === null
        ? await this.#copy(source, plan, earlierClaims)
        : { paths: 'all', failed: archived.failed, reused: { files: 0, bytes: 0 } };
    if (copied.reused.files > 0) this.#report([{ code: 'FILES_REUSED', params: copied.reused }]);
    this.#phase('verifying');
    const nothingCopied = plan.copyFiles === 0;
    const [arrivals, again] = await Promise.all([
      archived?.arrivals ??
        (nothingCopied ? nothing() : listArrivals(this.#bucket, run.uuid, [run.claim], this.#space)),
      lookAgain(this.#context, {
        plan,
        copied,
        listedFiles: source.files.count,
        signal: this.#signal,
        space: this.#space,
      }),
    ]);
    const evidence = { plan, arrivals, again, failed: copied.failed };
    return finalEntries(this.#context, evidence, tally);
  }

  async #copy(source: ListedSource, plan: BackupPlan, earlierClaims: readonly string[]): Promise<CopyResult> {
    return await copyFiles(
      {
        context: this.#context,
        bucket: this.#bucket,
        plan,
        space: this.#space,
        signal: this.#signal,
        everything: plan.copyFiles === source.files.count && source.complete && source.skipped.length === 0,
        onProgress: (transfer) => this.#phase('copying', transfer),
      },
      earlierClaims,
    );
  }

  async #archive(plan: BackupPlan): Promise<ArchiveResult> {
    const written = await writeArchive({
      context: this.#context,
      plan,
      space: this.#space,
      signal: this.#signal,
      onProgress: (transfer) => this.#phase('copying', transfer),
    });
    this.#stored = { bytesStored: written.storedBytes };
    return written;
  }

  get #isArchive(): boolean {
    return this.#context.job.mode === 'archive';
  }

  /**
   * Brakes are measured against the newest complete point that is kept; most often that is the base itself, and while there is no
   * complete one that can be read, the base stands in.
   */
  async #freeze(
    source: ListedSource,
    plan: BackupPlan,
    base: OpenManifest | null,
    held: HeldPoints,
  ): Promise<Freeze | null> {
    const isEmpty = source.files.count === 0;
    if (base === null) return isEmpty ? { reason: 'empty_source', referenceFiles: 0, deleted: 0, changed: 0 } : null;
    const { files, ...counts } = (await this.#againstReference(plan, held)) ?? {
      files: base.manifest.files,
      ...plan.againstBase,
    };
    const measured = { referenceFiles: files, ...counts };
    if (isEmpty) return { reason: 'empty_source', ...measured };
    return brakesHold(measured, this.#context.job.brakes) ? { reason: 'brake', ...measured } : null;
  }

  /** Null: it is the base itself, or cannot be read any more, which must not keep the source from being backed up. */
  async #againstReference(plan: BackupPlan, { base, reference }: HeldPoints) {
    if (reference === null || reference.point === base?.point) return null;
    try {
      const { manifest } = await openManifest(this.#points, reference, reference.manifestSha256);
      return { files: manifest.files, ...(await plan.measure(readEntries(this.#points, manifest))) };
    } catch (error) {
      if (isBackupError(error, 'ERR_MANIFEST_INVALID')) return null;
      throw error;
    }
  }

  /** One transaction of the database makes the point; `.ok` in the bucket only repeats that, for a reindex. */
  async #commit(request: CommitRequest, rolledForward: boolean): Promise<BackupResult> {
    this.#phase('committing');
    const verdict = await this.#whenReachable(() => this.#context.ledger.commit(request));
    if (verdict === 'lost') throw new BackupError('ERR_LEASE_LOST');
    await this.#markCommitted(request.point);
    return { status: request.status, point: request.point, statistics: request.statistics, rolledForward };
  }

  /** A missing `.ok` is made up for by the next run, so its failure is not the run's. */
  async #markCommitted({ run, claim }: { run: string; claim: string }): Promise<void> {
    await this.#bucket.put(okKey(run, claim), Buffer.alloc(0)).catch(() => undefined);
  }

  async #whenReachable<T>(ask: () => Promise<T>): Promise<T> {
    const firstMs = this.#context.databaseRetryMs ?? DEFAULT_DATABASE_RETRY_MS;
    return await whenReachable(ask, { signal: this.#signal, firstMs });
  }

  #phase(phase: RunPhase, transfer: TransferProgress | null = null): void {
    this.#context.ledger.progress(progressOf(phase, this.#filesListed, transfer));
  }

  #report(events: readonly BackupEvent[]): void {
    for (const event of events) this.#context.ledger.event(event);
  }
}

async function* nothing(): AsyncGenerator<Arrival> {}
