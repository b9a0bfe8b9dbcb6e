import type { JobEncryption } from '../crypt/job-encryption.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { BucketIndex, DatabaseView } from '../layout/explain.ts';
import { manifestKey, parseKey, RUN_FOLDER_START } from '../layout/keys.ts';
import type { MacKeys } from '../layout/mac.ts';
import type { Ownership } from '../layout/owner.ts';
import { manifestsToProve, planReindex, type ReadManifest, type ReindexPlan } from '../layout/reindex.ts';
import type { ObjectStore } from '../storage/port.ts';
import { DEFAULT_MEMORY_ITEMS } from './context.ts';
import { JobBucket } from './job-bucket.ts';
import { OwnerGuard } from './owner-marker.ts';
import { tryManifest, type PointSource } from './point-reader.ts';
import { mapParallel } from './task-pool.ts';
import { WholenessProof } from './whole.ts';

const MANIFESTS_AT_ONCE = 16;

/** What a reindex needs of the database. It holds the job's `active_key` under a lease of its own. */
export interface ReindexLedger {
  /** Aborts when the lease is lost, or a backup asks the reindex to make room. */
  readonly signal: AbortSignal;
  /** Asked after the bucket was listed; as RunLedger.view, and the job's generation counter and freeze flag. */
  view(runs: readonly string[]): Promise<DatabaseView & { readonly job: { generation: number; frozen: boolean } }>;
  /** All of the plan and the sizes in one transaction, conditional on the lease. */
  apply(plan: ReindexPlan, sizes: StoredSizes): Promise<'applied' | 'lost'>;
}

/** What lies in the run folders, in bytes. */
export interface StoredSizes {
  readonly total: number;
  /** By `<run>/<claim>`: what is left of what that claim has put there. */
  readonly byClaim: ReadonlyMap<string, number>;
}

export interface ReindexContext {
  readonly job: { readonly uuid: string; readonly prefix: string };
  readonly owner: Omit<Ownership, 'job'>;
  readonly store: ObjectStore;
  readonly keys: MacKeys;
  /** Null or absent: the job is not encrypted. */
  readonly encryption?: JobEncryption | null;
  readonly ledger: ReindexLedger;
  /** A private, empty folder; the caller removes it afterwards. */
  readonly workFolder: string;
  readonly memoryItems?: number;
}

/**
 * Makes the database what the bucket says (docs/backup-format.md, "Reindex"). Reads only; safe to repeat. After a database was
 * restored, workers must be stopped, and lease and margin have passed, before it is called.
 * @throws BackupError `ERR_DEST_NOT_OURS`, `ERR_KEY_UNKNOWN` (a manifest's secret is not configured: nothing is applied),
 *   `ERR_LEASE_LOST`.
 */
export async function reindex(context: ReindexContext): Promise<ReindexPlan> {
  const { ledger, job, keys } = context;
  const bucket = new JobBucket(context.store, job.prefix, ledger.signal, context.encryption?.cipher ?? null);
  await new OwnerGuard(bucket, { ...context.owner, job: job.uuid }, keys).require();
  const index = await bucket.index();
  const points: PointSource = { bucket, job: job.uuid, keys };
  const manifests = await readManifests(points, index);
  const space = { folder: context.workFolder, memoryItems: context.memoryItems ?? DEFAULT_MEMORY_ITEMS };
  const whole = await proveManifests(index, manifests, new WholenessProof(points, space));
  const { job: counters, ...database } = await ledger.view([...index.keys()]);
  const plan = planReindex({ bucket: index, manifests, whole, database, job: counters });
  if ((await ledger.apply(plan, await sizesOf(bucket))) === 'lost') throw new BackupError('ERR_LEASE_LOST');
  return plan;
}

/** One listing of all run folders: a request for each thousand objects. */
async function sizesOf(bucket: JobBucket): Promise<StoredSizes> {
  const byClaim = new Map<string, number>();
  let total = 0;
  for await (const { key, size } of bucket.list(RUN_FOLDER_START)) {
    const parsed = parseKey(key);
    if (parsed?.kind !== 'file' && parsed?.kind !== 'archive') continue;
    const claim = `${parsed.run}/${parsed.claim}`;
    byClaim.set(claim, (byClaim.get(claim) ?? 0) + size);
    total += size;
  }
  return { total, byClaim };
}

async function readManifests(points: PointSource, index: BucketIndex): Promise<Map<string, ReadManifest>> {
  const places = [...index].flatMap(([run, claims]) =>
    [...claims.values()].filter(({ manifest }) => manifest).map(({ claim }) => ({ run, claim })),
  );
  const read = await mapParallel(places, MANIFESTS_AT_ONCE, async (place) => await tryManifest(points, place));
  return new Map(read.filter((one) => one !== null).map((one) => [one.key, one]));
}

/** Only runs without a readable committed manifest need the proof: it reads every chunk and lists every object. */
async function proveManifests(
  index: BucketIndex,
  manifests: ReadonlyMap<string, ReadManifest>,
  proof: WholenessProof,
): Promise<Set<string>> {
  const isCommitted = (run: string): boolean =>
    [...(index.get(run)?.values() ?? [])].some(
      ({ claim, ok, tombstone }) => ok && !tombstone && manifests.has(manifestKey(run, claim)),
    );
  const whole = new Set<string>();
  for (const key of manifestsToProve(index)) {
    const parsed = parseKey(key);
    const read = manifests.get(key);
    if (read === undefined || parsed?.kind !== 'manifest' || isCommitted(parsed.run)) continue;
    if (await proof.isWhole(read.manifest)) whole.add(key);
  }
  return whole;
}
