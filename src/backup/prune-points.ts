import { BackupError } from '../errors/backup-error.ts';
import type { StaleReason } from '../layout/explain.ts';
import { tombstoneKey } from '../layout/keys.ts';
import type { PointView, PrunePlan } from './prune-ledger.ts';
import type { PruneTools } from './prune-tools.ts';
import { mapParallel } from './task-pool.ts';

const TOMBSTONES_AT_ONCE = 16;

export interface MovedPoints {
  /** Those that are in `deleting` now; nothing of them may be read any more. */
  readonly confirmed: readonly PointView[];
  /** Marked ones that stay after all. */
  readonly spared: number;
  /** Should go, but are held or pinned. */
  readonly inUse: number;
}

/**
 * Moves points towards their deletion, and those back that stay. A tombstone is there before its point is confirmed, and it is gone
 * before its point is kept again; so a tombstone on a kept point always means that somebody came too late.
 * @param begun points whose deletion has begun although they are only marked: they cannot stay
 * @throws BackupError `ERR_INDEX_STALE` when one of those shall stay, `ERR_DELETE_REFUSED`
 */
export async function movePoints(
  tools: PruneTools,
  plan: PrunePlan,
  begun: readonly PointView[],
): Promise<MovedPoints> {
  requireNone('deletion_begun', among(plan.unmark, begun));
  await spare(tools, plan.unmark);
  const [first] = plan.remove;
  if (first === undefined) return { confirmed: [], spared: plan.unmark.length, inUse: 0 };
  // A storage that does not let us delete shows it here, while every point can still be restored.
  await tools.remover.remove([tombstoneOf(first)]);
  const marked = await tools.ask(() => tools.ledger.mark(plan.remove));
  await putTombstones(tools, marked);
  const confirmed = await tools.ask(() => tools.ledger.confirm(marked));
  const refused = without(marked, confirmed);
  requireNone('deletion_begun', among(refused, begun));
  await spare(tools, refused);
  return { confirmed, spared: plan.unmark.length, inUse: plan.remove.length - confirmed.length };
}

/**
 * Marked points whose manifest is gone: an earlier prune deleted them, and the database was restored to a time before that. They are
 * finished.
 * @throws BackupError `ERR_INDEX_STALE` when one of them shall stay
 */
export async function confirmGone(tools: PruneTools, points: readonly PointView[]): Promise<readonly PointView[]> {
  if (points.length === 0) return [];
  const confirmed = await tools.ask(() => tools.ledger.confirm(points));
  requireNone('point_without_manifest', without(points, confirmed));
  return confirmed;
}

function requireNone(kind: StaleReason['kind'], points: readonly PointView[]): void {
  if (points.length === 0) return;
  const reasons = points.slice(0, 20).map(({ run, claim }) => ({ kind, run, claim }));
  throw new BackupError('ERR_INDEX_STALE', undefined, { details: { reasons } });
}

export async function putTombstones(
  { bucket }: PruneTools,
  claims: readonly { readonly run: string; readonly claim: string }[],
): Promise<void> {
  await mapParallel(claims, TOMBSTONES_AT_ONCE, async (claim) => await bucket.put(tombstoneOf(claim), Buffer.alloc(0)));
}

/** Back to kept: first the tombstone goes. */
async function spare({ remover, ledger, ask }: PruneTools, points: readonly PointView[]): Promise<void> {
  if (points.length === 0) return;
  await remover.remove(points.map(tombstoneOf));
  await ask(() => ledger.unmark(points));
}

function tombstoneOf({ run, claim }: { readonly run: string; readonly claim: string }): string {
  return tombstoneKey(run, claim);
}

function among(points: readonly PointView[], others: readonly PointView[]): PointView[] {
  const known = new Set(others.map(({ point }) => point));
  return points.filter(({ point }) => known.has(point));
}

function without(points: readonly PointView[], others: readonly PointView[]): PointView[] {
  const known = new Set(others.map(({ point }) => point));
  return points.filter(({ point }) => !known.has(point));
}
