import { claimNumber, parseKey } from './keys.ts';

/** One claim of a run as the bucket shows it, whichever of its objects were seen. */
export interface ClaimInBucket {
  /** `c<number>-<8 hex>` */
  readonly claim: string;
  readonly number: number;
  readonly manifest: boolean;
  readonly ok: boolean;
  readonly tombstone: boolean;
}

/** Claims by name, by run. A run whose folder holds nothing of the format is there with no claims. */
export type BucketIndex = ReadonlyMap<string, ReadonlyMap<string, ClaimInBucket>>;

/** One row of the job's runs, as far as the index check needs it. */
export interface RunView {
  readonly run: string;
  /** The highest claim number this run has had. */
  readonly claim: number;
  readonly terminal: boolean;
  /** A point of this run exists or existed, in whatever state (pruned ones count). */
  readonly hadPoint: boolean;
}

export type LivePointState = 'kept' | 'marked' | 'deleting';

/** One restore point, as the database has it. */
export interface PointView {
  /** The point's uuid. */
  readonly point: string;
  readonly run: string;
  /** `c<number>-<8 hex>` of the claim whose manifest it is. */
  readonly claim: string;
  readonly generation: number;
  readonly state: LivePointState;
  /** Nothing of the source was carried, failed or unread. */
  readonly complete: boolean;
  /** Relative to the job's prefix: `manifests/<run>.<claim>.json`. */
  readonly manifestKey: string;
  /** SHA-256 in hex of the manifest's bytes. */
  readonly manifestSha256: string;
}

export interface DatabaseView {
  readonly runs: ReadonlyMap<string, RunView>;
  readonly points: readonly PointView[];
}

/**
 * What a listing of `manifests/` and of the claim folders says. Keys are relative to `P`; what is not of the format is passed
 * over, because customers can write to their bucket.
 */
export function indexBucket(listing: {
  readonly manifestKeys: Iterable<string>;
  readonly runFolders: Iterable<string>;
  readonly claimFolders: Iterable<{ readonly run: string; readonly claim: string }>;
}): BucketIndex {
  const runs = new Map<string, Map<string, ClaimInBucket>>();
  const claimsOf = (run: string): Map<string, ClaimInBucket> => {
    const known = runs.get(run) ?? new Map<string, ClaimInBucket>();
    runs.set(run, known);
    return known;
  };
  const see = (run: string, claim: string, what: Partial<ClaimInBucket>): void => {
    const claims = claimsOf(run);
    const none = { claim, number: claimNumber(claim), manifest: false, ok: false, tombstone: false };
    claims.set(claim, { ...none, ...claims.get(claim), ...what });
  };
  for (const run of listing.runFolders) claimsOf(run);
  for (const { run, claim } of listing.claimFolders) see(run, claim, {});
  for (const key of listing.manifestKeys) {
    const parsed = parseKey(key);
    if (parsed === null || parsed.kind === 'owner' || parsed.kind === 'crypt_keys') continue;
    see(parsed.run, parsed.claim, {
      ...(parsed.kind === 'manifest' && { manifest: true }),
      ...(parsed.kind === 'ok' && { ok: true }),
      ...(parsed.kind === 'tombstone' && { tombstone: true }),
    });
  }
  return runs;
}

export type StaleReason =
  | { readonly kind: 'unknown_run'; readonly run: string }
  | { readonly kind: 'higher_claim'; readonly run: string; readonly claim: string }
  | { readonly kind: 'point_without_manifest'; readonly run: string; readonly claim: string }
  | { readonly kind: 'tombstone_on_kept_point'; readonly run: string; readonly claim: string }
  /** A marked point whose deletion has begun: the database forgot that it had confirmed it. */
  | { readonly kind: 'deletion_begun'; readonly run: string; readonly claim: string };

export interface Explanation {
  /** Claims of this very run that have a manifest, highest first: if one is whole, it is committed and the run is done. */
  readonly rollForward: readonly string[];
  /** Why the database cannot be trusted for this job: nothing may be written or deleted until it is reindexed. */
  readonly stale: readonly StaleReason[];
  /** Terminal runs that have manifests but never had a point, their claims highest first: a whole one is adopted. */
  readonly adopt: readonly { readonly run: string; readonly claims: readonly string[] }[];
}

/**
 * Holds the bucket against the database, at the claim of `run`. A thing in the bucket is explained when its run's row exists for
 * this job and its claim is not above that row's. Pure; the database must have been asked after the bucket was listed.
 */
export function explain(run: string, bucket: BucketIndex, database: DatabaseView): Explanation {
  const stale: StaleReason[] = [];
  for (const [seen, claims] of bucket) {
    const row = database.runs.get(seen);
    if (row === undefined) stale.push({ kind: 'unknown_run', run: seen });
    else stale.push(...higherClaims(row, claims));
  }
  for (const point of database.points) stale.push(...pointTrouble(point, bucket));
  const own = database.runs.get(run);
  return {
    rollForward: own === undefined ? [] : manifestsOf(bucket.get(run), own.claim),
    stale,
    adopt: adoptable(run, bucket, database),
  };
}

function higherClaims(row: RunView, claims: ReadonlyMap<string, ClaimInBucket>): StaleReason[] {
  return [...claims.values()]
    .filter((claim) => claim.number > row.claim)
    .map(({ claim }) => ({ kind: 'higher_claim', run: row.run, claim }));
}

function pointTrouble(point: PointView, bucket: BucketIndex): StaleReason[] {
  // A point that is being deleted loses its manifest before its row says `pruned`.
  if (point.state === 'deleting') return [];
  const { run, claim } = point;
  const seen = bucket.get(run)?.get(claim);
  if (seen?.manifest !== true) return [{ kind: 'point_without_manifest', run, claim }];
  // The tombstone is put while the point is marked; on a kept point it means that a deletion was undone too late.
  return seen.tombstone && point.state === 'kept' ? [{ kind: 'tombstone_on_kept_point', run, claim }] : [];
}

/**
 * Marked points whose deletion has begun, as far as the bucket can tell: the tombstone is there and `.ok`, which goes first, is not.
 * They can only go on being deleted. A prune puts missing `.ok`s before it marks, so no other point looks like this.
 */
export function begunDeletions(bucket: BucketIndex, database: DatabaseView): PointView[] {
  return database.points.filter(({ run, claim, state }) => {
    const seen = bucket.get(run)?.get(claim);
    return state === 'marked' && seen?.tombstone === true && !seen.ok;
  });
}

function adoptable(current: string, bucket: BucketIndex, database: DatabaseView): Explanation['adopt'] {
  const found: { run: string; claims: string[] }[] = [];
  for (const [run, claims] of bucket) {
    const row = database.runs.get(run);
    if (run === current || row === undefined || !row.terminal || row.hadPoint) continue;
    const names = manifestsOf(claims, row.claim);
    if (names.length > 0) found.push({ run, claims: names });
  }
  return found;
}

/** Claims with a manifest and without a tombstone, up to a claim number, highest first. */
function manifestsOf(claims: ReadonlyMap<string, ClaimInBucket> | undefined, upTo: number): string[] {
  return [...(claims?.values() ?? [])]
    .filter((claim) => claim.manifest && !claim.tombstone && claim.number <= upTo)
    .sort((a, b) => b.number - a.number || (a.claim < b.claim ? -1 : 1))
    .map((claim) => claim.claim);
}
