import { isBackupError } from '../errors/backup-error.ts';
import type { DeletableObject } from '../layout/deletable.ts';
import { CHUNKS_FOLDER, keptTogether, RUN_FOLDER_START } from '../layout/keys.ts';
import { compareUtf8 } from '../layout/order.ts';
import { placeOf } from '../layout/sweep.ts';
import type { DatabaseView, FreedSpace, PointView } from './prune-ledger.ts';
import type { PruneTools } from './prune-tools.ts';
import type { References } from './references.ts';
import { sortExternally } from './sorted-listing.ts';
import { SpillList, type Replayable } from './spill.ts';
import { mapParallel } from './task-pool.ts';

const ABORTS_AT_ONCE = 8;

export interface GarbageObject extends DeletableObject {
  readonly size: number;
}

export interface Garbage {
  readonly objects: Replayable<GarbageObject>;
  /** What stays in the run folders. */
  readonly remaining: FreedSpace;
}

/**
 * Lists the run folders and finds what no remaining manifest names. Only objects of the format, below folders of claims that are
 * `sweepable`: those of runs that are over.
 */
export async function findGarbage(
  { bucket, space, remover }: PruneTools,
  references: References,
  sweepable: ReadonlySet<string>,
): Promise<Garbage> {
  const found = async function* (): AsyncGenerator<ListedObject> {
    for await (const { key, size } of bucket.list(RUN_FOLDER_START)) yield { key, size, name: keptTogether(key) };
  };
  const listed = await sortExternally(found(), (a, b) => compareUtf8(a.name, b.name), space);
  const objects = new SpillList<GarbageObject>(space);
  const remaining = { objects: 0, bytes: 0 };
  for await (const { key, size, isNamed } of besideNames(listed, references.objects)) {
    const object = isNamed ? null : remover.keys.read(key);
    if (object !== null && sweepable.has(placeOf(object))) {
      const spilling = objects.add({ ...object, size });
      if (spilling !== undefined) await spilling;
    } else {
      remaining.objects += 1;
      remaining.bytes += size;
    }
  }
  await objects.finish();
  return { objects, remaining };
}

interface ListedObject {
  readonly key: string;
  readonly size: number;
  /** By which a manifest keeps it. */
  readonly name: string;
}

/** Merges a sorted listing with sorted names. */
async function* besideNames(
  listed: AsyncIterable<ListedObject>,
  names: AsyncIterable<string>,
): AsyncGenerator<{ key: string; size: number; isNamed: boolean }> {
  const iterator = names[Symbol.asyncIterator]();
  let name = await iterator.next();
  try {
    for await (const { key, size, name: wanted } of listed) {
      while (name.done !== true && compareUtf8(name.value, wanted) < 0) name = await iterator.next();
      yield { key, size, isNamed: name.done !== true && name.value === wanted };
    }
  } finally {
    await iterator.return?.();
  }
}

/**
 * Tells which of the points that go an object is counted for, by its run. What lies in the folder of such a point was its own. Objects of
 * points that are gone already had stayed because later points named them: they count for the first that goes now. All else is left over.
 */
export function ownersOf(
  deleting: readonly PointView[],
  { runs, points }: DatabaseView,
): (object: { readonly run: string; readonly claim: string }) => string | null {
  const going = new Set(deleting.map(({ run }) => run));
  const claims = new Map(points.map(({ run, claim }) => [run, claim]));
  const first = deleting[0]?.run ?? null;
  return ({ run, claim }) => {
    if (!claims.has(run)) return runs.get(run)?.hadPoint === true ? first : null;
    return going.has(run) && claims.get(run) === claim ? run : null;
  };
}

/** Deletes chunks that no remaining manifest names. Returns how many. */
export async function sweepChunks(
  { bucket, remover }: PruneTools,
  references: References,
  sweepable: ReadonlySet<string>,
): Promise<number> {
  const garbage = async function* (): AsyncGenerator<DeletableObject> {
    for await (const { key } of bucket.list(CHUNKS_FOLDER)) {
      const object = references.chunks.has(key) ? null : remover.keys.read(key);
      if (object?.kind === 'chunk' && sweepable.has(placeOf(object))) yield object;
    }
  };
  let deleted = 0;
  await remover.removeAll(garbage(), (batch) => (deleted += batch.length));
  return deleted;
}

/**
 * Aborts what runs that are over began to upload in parts and did not finish. The database is asked after they were listed, so a run that it
 * does not know is one of a database that was lost. Returns how many.
 */
export async function abortUploads({ bucket, remover, ledger, ask, safePoint }: PruneTools): Promise<number> {
  const pending: { readonly object: DeletableObject; readonly uploadId: string }[] = [];
  try {
    for await (const { key, uploadId } of bucket.uploads()) {
      const object = remover.keys.read(key);
      if (object !== null) pending.push({ object, uploadId });
    }
  } catch (error) {
    // Keys that are limited to a prefix often may not list uploads; all else of the prune needs no such right.
    if (!isBackupError(error, 'ERR_DEST_AUTH')) throw error;
  }
  if (pending.length === 0) return 0;
  const { runs } = await ask(() => ledger.view([...new Set(pending.map(({ object }) => object.run))]));
  const over = pending.filter(({ object }) => runs.get(object.run)?.terminal !== false);
  await mapParallel(over, ABORTS_AT_ONCE, async ({ object, uploadId }) => {
    safePoint();
    await remover.abortUpload(object.key, uploadId);
  });
  return over.length;
}
