import type { BucketIndex, ClaimInBucket, DatabaseView, PointView } from './explain.ts';

/** A claim that is no point and will never be one: all that lies under its name is garbage. */
export interface GivenUpClaim extends ClaimInBucket {
  readonly run: string;
  /**
   * Its tombstone must be there before the first delete: its manifest would still be read, or, where the run never had a point, a sleeper
   * of that claim may yet put a whole one, which somebody would adopt.
   */
  readonly needsTombstone: boolean;
}

/** What of a bucket may be deleted, and what must be read before. */
export interface SweepScope {
  /** `run.claim`: whose unreferenced objects and chunks may go. */
  readonly sweepable: ReadonlySet<string>;
  readonly givenUp: readonly GivenUpClaim[];
  /** Points in `deleting`, the oldest generation first, whether anything of them is left or not. */
  readonly deleting: readonly PointView[];
  /** Claims whose manifests count: what they name stays. */
  readonly referring: readonly { readonly run: string; readonly claim: string; readonly sha256: string | null }[];
}

export const placeOf = (claim: { readonly run: string; readonly claim: string }): string =>
  `${claim.run}.${claim.claim}`;

/**
 * Sorts the claims of a bucket, after whole manifests without a point were adopted. Claims of runs that are not over are left alone, and
 * their manifests count. A manifest counts unless its point is being deleted (`deleting`, which is final) or its claim is given up; a
 * tombstone alone does not make it count less, because a sleeping pruner may have put it on a point that stays.
 *
 * Pure; the bucket must have been listed before the database was asked.
 */
export function sweepScope(bucket: BucketIndex, database: DatabaseView): SweepScope {
  const points = new Map<string, PointView>(database.points.map((point) => [point.run, point]));
  const sweepable = new Set<string>();
  const givenUp: GivenUpClaim[] = [];
  const referring: { run: string; claim: string; sha256: string | null }[] = [];
  for (const [run, claims] of bucket) {
    const row = database.runs.get(run);
    const point = points.get(run);
    for (const claim of claims.values()) {
      const isPoint = point?.claim === claim.claim;
      const isOver = row?.terminal === true;
      if (isOver) sweepable.add(placeOf({ run, claim: claim.claim }));
      if (isOver && !isPoint) {
        const needsTombstone = !claim.tombstone && (claim.manifest || !row.hadPoint);
        givenUp.push({ ...claim, run, needsTombstone });
      } else if (claim.manifest && !(isPoint && point.state === 'deleting')) {
        referring.push({ run, claim: claim.claim, sha256: isPoint ? point.manifestSha256 : null });
      }
    }
  }
  const deleting = database.points
    .filter(({ state }) => state === 'deleting')
    .sort((a, b) => a.generation - b.generation);
  return { sweepable, givenUp, deleting, referring };
}
