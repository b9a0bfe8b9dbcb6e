import { BackupError } from '../errors/backup-error.ts';
import { begunDeletions, explain, type BucketIndex } from '../layout/explain.ts';
import { manifestKey, okKey, tombstoneKey } from '../layout/keys.ts';
import { sweepScope, type SweepScope } from '../layout/sweep.ts';
import { adoptWhole } from './adopt.ts';
import { DEFAULT_DATABASE_RETRY_MS, DEFAULT_MEMORY_ITEMS } from './context.ts';
import { emptyPrefix } from './empty-prefix.ts';
import { JobBucket } from './job-bucket.ts';
import { OwnerGuard } from './owner-marker.ts';
import type {
  DatabaseView,
  FreedSpace,
  NewPoint,
  PointView,
  PrunePhase,
  PrunePlan,
  PruneReport,
} from './prune-ledger.ts';
import type { PruneContext } from './prune-context.ts';
import { confirmGone, movePoints, putTombstones, type MovedPoints } from './prune-points.ts';
import { MadeWay, type PruneTools } from './prune-tools.ts';
import { openManifest } from './point-reader.ts';
import { readReferences, type References } from './references.ts';
import { Remover } from './remover.ts';
import { abortUploads, findGarbage, ownersOf, sweepChunks, type GarbageObject } from './sweep.ts';
import { whenReachable } from './when-reachable.ts';
import { WholenessProof } from './whole.ts';

export type { PruneContext };

/**
 * Removes the points that retention gives up and what runs left behind (docs/backup-format.md, "What a prune does"). Safe to be killed
 * at any request, and to be repeated.
 * @throws BackupError `ERR_DEST_NOT_OURS`, `ERR_INDEX_STALE`, `ERR_MANIFEST_INVALID`, `ERR_KEY_UNKNOWN`: nothing was deleted;
 *   `ERR_DELETE_REFUSED`: the storage does not let us delete, the next prune goes on; the reason of `ledger.signal`.
 */
export async function prune(context: PruneContext): Promise<PruneReport> {
  const stop = new AbortController();
  const work = new Prune(context, AbortSignal.any([context.ledger.signal, stop.signal]));
  try {
    await work.execute();
    return work.report(false);
  } catch (error) {
    if (context.ledger.signal.aborted) throw context.ledger.signal.reason;
    if (error instanceof MadeWay) return work.report(true);
    throw error;
  } finally {
    stop.abort(new BackupError('ERR_CANCELLED'));
  }
}

/** What the bucket and the database say at the beginning. */
interface Seen {
  readonly index: BucketIndex;
  readonly database: DatabaseView;
  /** Marked points whose manifest is gone. */
  readonly gone: readonly PointView[];
  /** Marked points whose deletion has begun. */
  readonly begun: readonly PointView[];
}

class Prune {
  readonly #context: PruneContext;
  readonly #guard: OwnerGuard;
  readonly #tools: PruneTools;
  readonly #counts = { adopted: 0, pruned: 0, spared: 0, inUse: 0, uploadsAborted: 0, foreign: 0 };
  readonly #freed = { objects: 0, bytes: 0 };
  readonly #leftovers = { objects: 0, bytes: 0 };
  #remaining: FreedSpace | null = null;
  #versioned = false;
  #emptied = false;
  #mayLackMarker = false;
  #pointsToGo = 0;
  #objectsToGo = 0;

  constructor(context: PruneContext, signal: AbortSignal) {
    const { job, store, ledger, keys } = context;
    const bucket = new JobBucket(store, job.prefix, signal, context.encryption?.cipher ?? null);
    const safePoint = (): void => {
      if (ledger.yieldSignal.aborted) throw new MadeWay();
    };
    const firstMs = context.databaseRetryMs ?? DEFAULT_DATABASE_RETRY_MS;
    this.#context = context;
    this.#guard = new OwnerGuard(bucket, { ...context.owner, job: job.uuid }, keys);
    this.#tools = {
      ledger,
      bucket,
      remover: new Remover({
        store,
        prefix: job.prefix,
        ledger,
        signal,
        safePoint,
        heartbeatWaitMs: context.heartbeatWaitMs,
        batchKeys: context.deleteBatchKeys,
      }),
      points: { bucket, job: job.uuid, keys },
      space: { folder: context.workFolder, memoryItems: context.memoryItems ?? DEFAULT_MEMORY_ITEMS },
      ask: async (question) => await whenReachable(question, { signal, firstMs }),
      safePoint,
    };
  }

  async execute(): Promise<void> {
    const { ledger, ask, safePoint } = this.#tools;
    this.#phase('checking');
    const seen = await this.#look();
    const plan = await ask(() => ledger.plan());
    safePoint();
    this.#phase('reading');
    const early = await this.#readReferences(scopeOf(seen, [...plan.remove, ...seen.gone]));
    safePoint();
    this.#phase('marking');
    await this.#putMissingOk(seen);
    const moved = await this.#move(seen, plan);
    const scope = scopeOf(seen, moved.confirmed);
    const isSame = scope.referring.length === early.scope.referring.length;
    const { references } = isSame ? early : await this.#readReferences(scope);
    await this.#delete(seen, scope, references);
    this.#phase('sweeping');
    this.#counts.uploadsAborted = await abortUploads(this.#tools);
    if (this.#context.wholeData) {
      const { emptied, foreign } = await emptyPrefix(this.#tools);
      this.#emptied = emptied;
      this.#counts.foreign = foreign;
      if (emptied) ledger.event({ code: 'DATA_DELETED', params: { ...this.#freed, foreign } });
    }
    await this.#tell();
  }

  report(yielded: boolean): PruneReport {
    return {
      yielded,
      ...this.#counts,
      freed: { ...this.#freed },
      leftovers: { ...this.#leftovers },
      remaining: this.#remaining,
      versioned: this.#versioned,
      emptied: this.#emptied,
    };
  }

  /** Owner marker, index check, adoption. Deletes nothing. */
  async #look(): Promise<Seen> {
    const { bucket, ledger, ask, points, space } = this.#tools;
    const [marker, index] = await Promise.all([this.#guard.look(), bucket.index()]);
    const view = async (): Promise<DatabaseView> => await ask(() => ledger.view([...index.keys()]));
    const database = await view();
    // Nothing was ever written; or all of it was deleted, the marker last: then what a sleeper uploaded since goes too, as far as the
    // database explains it.
    this.#mayLackMarker = database.points.length === 0 && (this.#context.wholeData || index.size === 0);
    if (marker === 'unmarked') await this.#requireOwner();
    const explanation = explain('', index, database);
    const gone = database.points.filter(
      ({ run, claim, state }) => state === 'marked' && !index.get(run)?.get(claim)?.manifest,
    );
    const stale = explanation.stale.filter(
      (reason) => reason.kind !== 'point_without_manifest' || !gone.some(({ run }) => run === reason.run),
    );
    if (stale.length > 0)
      throw new BackupError('ERR_INDEX_STALE', undefined, { details: { reasons: stale.slice(0, 20) } });
    if (explanation.adopt.length === 0) return { index, database, gone, begun: begunDeletions(index, database) };
    const proof = new WholenessProof(points, space);
    const adopt = async (point: NewPoint): Promise<'adopted' | 'known'> => await this.#adopt(point);
    const adopted = await adoptWhole({ points, proof, database, adopt }, explanation.adopt);
    const now = adopted.length === 0 ? database : await view();
    return { index, database: now, gone, begun: begunDeletions(index, now) };
  }

  async #requireOwner(): Promise<void> {
    if (this.#mayLackMarker) await this.#guard.look();
    else await this.#guard.require();
  }

  async #adopt(point: NewPoint): Promise<'adopted' | 'known'> {
    const { ledger, ask } = this.#tools;
    const verdict = await ask(() => ledger.adopt(point));
    if (verdict === 'lost') throw new BackupError('ERR_LEASE_LOST');
    const { run, claim } = point;
    if (verdict === 'adopted') {
      this.#counts.adopted += 1;
      ledger.event({ code: 'POINT_ADOPTED', params: { run, claim } });
    }
    return verdict;
  }

  async #readReferences(scope: SweepScope): Promise<{ scope: SweepScope; references: References }> {
    // One that somebody altered is not given up in silence, although what it names does not count. Without the keys of the job nobody can
    // tell, and where all of its data goes it does not matter.
    const { wholeData, encryption = null } = this.#context;
    const isTold = !wholeData || encryption !== null;
    const unread = scope.givenUp.filter(({ manifest, tombstone }) => isTold && manifest && !tombstone);
    for (const claim of unread) await openManifest(this.#tools.points, claim);
    return { scope, references: await readReferences(this.#tools.points, scope.referring, this.#tools.space) };
  }

  /** What `.ok` says is never in doubt for a reindex, also when the point's base is gone. A worker may have died before it put one. */
  async #putMissingOk({ index, database, begun }: Seen): Promise<void> {
    const isBegun = new Set(begun.map(({ run }) => run));
    for (const { run, claim, state } of database.points) {
      const there = index.get(run)?.get(claim);
      if (state !== 'deleting' && !isBegun.has(run) && there?.manifest === true && !there.ok) {
        await this.#tools.bucket.put(okKey(run, claim), Buffer.alloc(0));
      }
    }
  }

  /** Everything that is in `deleting` afterwards, with its tombstone. */
  async #move(seen: Seen, plan: PrunePlan): Promise<MovedPoints> {
    const isGone = ({ point }: PointView): boolean => seen.gone.some((gone) => gone.point === point);
    const earlier = seen.database.points.filter(({ state }) => state === 'deleting');
    const withoutTombstone = earlier.filter(({ run, claim }) => {
      const there = seen.index.get(run)?.get(claim);
      return there?.manifest === true && !there.tombstone;
    });
    await putTombstones(this.#tools, withoutTombstone);
    const gone = await confirmGone(this.#tools, seen.gone);
    const there = (points: readonly PointView[]): PointView[] => points.filter((point) => !isGone(point));
    const movable = { remove: there(plan.remove), unmark: there(plan.unmark) };
    const moved = await movePoints(this.#tools, movable, seen.begun);
    const { spared, inUse } = moved;
    Object.assign(this.#counts, { spared, inUse });
    const confirmed = [...earlier, ...gone, ...moved.confirmed].sort((a, b) => a.generation - b.generation);
    this.#pointsToGo = confirmed.length;
    if (confirmed.length + inUse + spared > 0) {
      const params = { points: confirmed.length, in_use: inUse, spared };
      this.#tools.ledger.event({ code: 'PRUNE_PLANNED', params });
    }
    return { confirmed, spared, inUse };
  }

  /** In this order, so that whoever reads the bucket in between finds either a whole point or a tombstone. */
  async #delete(seen: Seen, scope: SweepScope, references: References): Promise<void> {
    const { remover } = this.#tools;
    const { deleting } = scope;
    this.#phase('listing');
    const garbage = await findGarbage(this.#tools, references, scope.sweepable);
    this.#objectsToGo = garbage.objects.count;
    await this.#requireOwner();
    await putTombstones(
      this.#tools,
      scope.givenUp.filter(({ needsTombstone }) => needsTombstone),
    );
    this.#phase('deleting');
    const doomed = [...deleting, ...scope.givenUp];
    const lies = (what: 'ok' | 'manifest', { run, claim }: { run: string; claim: string }): boolean =>
      seen.index.get(run)?.get(claim)?.[what] === true;
    // Without it a reindex believes the manifest only when all of its objects are there.
    await remover.remove(doomed.filter((claim) => lies('ok', claim)).map(({ run, claim }) => okKey(run, claim)));
    const freedByRun = await this.#deleteObjects(garbage.objects, deleting, seen.database);
    this.#remaining = garbage.remaining;
    await sweepChunks(this.#tools, references, scope.sweepable);
    await remover.remove(
      doomed.filter((claim) => lies('manifest', claim)).map(({ run, claim }) => manifestKey(run, claim)),
    );
    const marked = scope.givenUp.filter(({ tombstone, needsTombstone }) => tombstone || needsTombstone);
    await remover.remove([...deleting, ...marked].map(({ run, claim }) => tombstoneKey(run, claim)));
    await this.#finish(deleting, freedByRun);
  }

  async #deleteObjects(
    objects: AsyncIterable<GarbageObject>,
    deleting: readonly PointView[],
    database: DatabaseView,
  ): Promise<ReadonlyMap<string, FreedSpace>> {
    const freed = new Map(deleting.map(({ run }) => [run, { objects: 0, bytes: 0 }]));
    const ownerOf = ownersOf(deleting, database);
    await this.#tools.remover.removeAll(objects, (batch) => {
      for (const object of batch) {
        const owner = ownerOf(object);
        for (const sum of [(owner === null ? undefined : freed.get(owner)) ?? this.#leftovers, this.#freed]) {
          sum.objects += 1;
          sum.bytes += object.size;
        }
      }
      this.#phase('deleting');
    });
    return freed;
  }

  async #finish(deleting: readonly PointView[], freedByRun: ReadonlyMap<string, FreedSpace>): Promise<void> {
    const { ledger, ask } = this.#tools;
    for (const point of deleting) {
      const freed = freedByRun.get(point.run) ?? { objects: 0, bytes: 0 };
      await ask(() => ledger.finish(point, freed));
      const { run, generation } = point;
      ledger.event({ code: 'POINT_PRUNED', params: { run, generation, ...freed } });
      this.#counts.pruned += 1;
      this.#phase('deleting');
    }
  }

  async #tell(): Promise<void> {
    const { ledger, bucket } = this.#tools;
    const { uploadsAborted: uploads } = this.#counts;
    if (this.#leftovers.objects + uploads > 0) {
      ledger.event({ code: 'LEFTOVERS_SWEPT', params: { ...this.#leftovers, uploads } });
    }
    if (this.#freed.objects === 0) return;
    this.#versioned = (await bucket.versioning()) === 'on';
    if (this.#versioned) ledger.event({ code: 'PRUNE_VERSIONED', params: {} });
  }

  #phase(phase: PrunePhase): void {
    this.#tools.ledger.progress({
      phase,
      points: this.#pointsToGo,
      pointsDone: this.#counts.pruned,
      objects: this.#objectsToGo,
      freed: { ...this.#freed },
    });
  }
}

/** The scope once these points are in `deleting`. */
function scopeOf({ index, database }: Seen, deleting: readonly PointView[]): SweepScope {
  const going = new Set(deleting.map(({ point }) => point));
  const points = database.points.map((point) =>
    going.has(point.point) ? { ...point, state: 'deleting' as const } : point,
  );
  return sweepScope(index, { runs: database.runs, points });
}
