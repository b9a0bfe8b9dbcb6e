import type { BucketIndex, ClaimInBucket, DatabaseView, LivePointState, PointView } from './explain.ts';
import { manifestKey } from './keys.ts';
import type { Manifest } from './types.ts';

/** A manifest that was read from the bucket and holds: form, name and MAC. */
export interface ReadManifest {
  readonly manifest: Manifest;
  /** SHA-256 in hex of its bytes. */
  readonly sha256: string;
}

export interface ReindexInput {
  readonly bucket: BucketIndex;
  /** By key relative to `P`: every manifest that could be read and holds; the others are absent. */
  readonly manifests: ReadonlyMap<string, ReadManifest>;
  /** Keys of those manifests (of `manifestsToProve`) whose chunks and objects were all there in one listing. */
  readonly whole: ReadonlySet<string>;
  /** All runs of the job that the bucket names, and all its live points. */
  readonly database: DatabaseView;
  /** The job's generation counter and freeze flag as the database has them. */
  readonly job: { readonly generation: number; readonly frozen: boolean };
}

export interface IndexedPoint extends ReadManifest {
  readonly key: string;
  /** A known point keeps its state; a new one is kept. */
  readonly state: LivePointState;
  /** Uuid of the run's live point in the database, or null: it is inserted. */
  readonly known: string | null;
}

export interface IndexedRun {
  readonly run: string;
  /** At least this much. */
  readonly claim: number;
  /** Of the manifest that is its point; null when it has none. */
  readonly generation: number | null;
  /** Status for a row that has to be inserted, or that is not terminal yet; a terminal row keeps its own. */
  readonly status: 'success' | 'warning' | 'failed';
  readonly exists: boolean;
}

/** What the database has to become. Applied in one transaction, under the lease of the run that reindexes. */
export interface ReindexPlan {
  readonly points: readonly IndexedPoint[];
  /** Points that the bucket tells to be deleted (a tombstone always wins): pruning finishes them. */
  readonly deleting: readonly string[];
  /** Points whose manifest is gone or cannot be used: they are no points any more. */
  readonly lost: readonly string[];
  readonly runs: readonly IndexedRun[];
  /** The job's generation counter, at least. */
  readonly generation: number;
  readonly frozen: boolean;
  /** Manifests that should have been used but cannot be: for the operator to read. */
  readonly unusable: readonly string[];
}

/**
 * Manifests for which `whole` has to be found out: those of runs without a committed one. The listing must not be older than the
 * reading of these names.
 */
export function manifestsToProve(bucket: BucketIndex): string[] {
  const keys: string[] = [];
  for (const [run, claims] of bucket) {
    const candidates = candidatesOf(claims);
    // A committed manifest that cannot be read lets the others in again, so they are proved too.
    keys.push(...candidates.map((claim) => manifestKey(run, claim.claim)));
  }
  return keys;
}

/** The bucket is the truth, the database an index of it: pure. */
export function planReindex(input: ReindexInput): ReindexPlan {
  const points: IndexedPoint[] = [];
  const runs: IndexedRun[] = [];
  const unusable: string[] = [];
  const byRun = new Map(input.database.points.map((point) => [point.run, point]));
  for (const [run, claims] of input.bucket) {
    const chosen = choose(run, claims, input, unusable);
    if (chosen !== null) points.push(pointOf(chosen, byRun.get(run) ?? null));
    runs.push(runOf(run, claims, chosen, input.database));
  }
  const indexed = new Set(points.map((point) => point.manifest.run));
  const gone = input.database.points.filter((point) => !indexed.has(point.run) && point.state !== 'deleting');
  const tombstoned = (point: PointView): boolean => input.bucket.get(point.run)?.get(point.claim)?.tombstone === true;
  const generations = [...input.manifests.values()].map(({ manifest }) => manifest.generation);
  return {
    points,
    deleting: gone.filter(tombstoned).map((point) => point.point),
    lost: gone.filter((point) => !tombstoned(point)).map((point) => point.point),
    runs,
    generation: Math.max(input.job.generation, ...generations),
    frozen: input.job.frozen || newestOf(points)?.manifest.frozen === true,
    unusable,
  };
}

/** One point per run: the committed manifest, else that of the highest claim which is whole and in time. Tombstones always win. */
function choose(
  run: string,
  claims: ReadonlyMap<string, ClaimInBucket>,
  input: ReindexInput,
  unusable: string[],
): ReadManifest | null {
  const candidates = candidatesOf(claims);
  for (const claim of candidates.filter(({ ok }) => ok)) {
    const key = manifestKey(run, claim.claim);
    const read = input.manifests.get(key);
    if (read !== undefined) return read;
    unusable.push(key);
  }
  for (const claim of candidates) {
    const key = manifestKey(run, claim.claim);
    const read = input.manifests.get(key);
    if (read !== undefined && input.whole.has(key) && !isTooLate(read.manifest, input)) return read;
  }
  return null;
}

/**
 * A run that is over and never had a point cannot commit any more; a sleeper may have put its manifest after its base was given up. Then
 * deletes may be on their way to what it names, although one listing showed it all.
 */
function isTooLate({ run, parent }: Manifest, { bucket, manifests, database }: ReindexInput): boolean {
  const row = database.runs.get(run);
  if (parent === null || row?.terminal !== true || row.hadPoint) return false;
  const base = manifests.get(parent.key);
  if (base?.sha256 !== parent.sha256) return true;
  const isGoing = database.points.some(({ manifestKey: key, state }) => key === parent.key && state === 'deleting');
  return isGoing || bucket.get(base.manifest.run)?.get(base.manifest.claim)?.tombstone === true;
}

function candidatesOf(claims: ReadonlyMap<string, ClaimInBucket>): ClaimInBucket[] {
  return [...claims.values()]
    .filter((claim) => claim.manifest && !claim.tombstone)
    .sort((a, b) => b.number - a.number || (a.claim < b.claim ? -1 : 1));
}

function pointOf(read: ReadManifest, known: PointView | null): IndexedPoint {
  const key = manifestKey(read.manifest.run, read.manifest.claim);
  return { ...read, key, state: known?.state ?? 'kept', known: known?.point ?? null };
}

function runOf(
  run: string,
  claims: ReadonlyMap<string, ClaimInBucket>,
  chosen: ReadManifest | null,
  database: DatabaseView,
): IndexedRun {
  const row = database.runs.get(run);
  const numbers = [...claims.values()].map(({ number }) => number);
  return {
    run,
    claim: Math.max(row?.claim ?? 0, ...numbers),
    generation: chosen?.manifest.generation ?? null,
    status: chosen === null ? 'failed' : chosen.manifest.complete ? 'success' : 'warning',
    exists: row !== undefined,
  };
}

function newestOf(points: readonly IndexedPoint[]): IndexedPoint | undefined {
  return points.reduce<IndexedPoint | undefined>(
    (newest, point) =>
      newest === undefined || point.manifest.generation > newest.manifest.generation ? point : newest,
    undefined,
  );
}
