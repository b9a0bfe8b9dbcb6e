import { userInfo } from 'node:os';
import { JobBucket } from '../backup/job-bucket.ts';
import { tryManifest } from '../backup/point-reader.ts';
import { OwnerGuard } from '../backup/owner-marker.ts';
import { appendAudit } from '../database/audit.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientPrefixes } from '../database/prefixes.ts';
import { insertLostPast } from '../database/reindex.ts';
import { readWorkerJob } from '../database/worker-jobs.ts';
import { isBackupError } from '../errors/backup-error.ts';
import type { Bucket } from '../host/port.ts';
import { CRYPT_KEYS_KEY, OWNER_KEY, parseKey, RUN_FOLDER_START } from '../layout/keys.ts';
import { verifyMac, type MacKeys } from '../layout/mac.ts';
import { readOwner } from '../layout/owner.ts';
import type { OwnerMarker } from '../layout/types.ts';
import { bucketAccess } from '../storage/destinations.ts';
import type { ObjectStore } from '../storage/port.ts';
import { openS3Store } from '../storage/s3.ts';
import { macKeysOf, ownershipOf, type WorkerServices } from './services.ts';

/** A folder of a bucket in which an owner marker lies. */
export interface FoundJob {
  readonly bucket: string;
  readonly prefix: string;
  /** Null: the marker cannot be read. */
  readonly job: string | null;
  /**
   * `known`: this database has the job. `lost`: it has not. `made`: it has now. `refused`: the marker is not signed with a secret that
   * is configured, or the folder is taken, or the job lies elsewhere.
   */
  readonly state: 'known' | 'lost' | 'made' | 'refused';
  /** Why it was refused; else what the marker says. */
  readonly about: string;
}

type Verdict = Pick<FoundJob, 'state' | 'about'>;

/** What a bucket alone tells of a job. */
interface Traits {
  readonly encrypted: boolean;
  readonly mode: 'sync' | 'archive';
  readonly sourceType: string;
}

/** Where no manifest tells of which type the source was: most are, and its owner has to enter it again anyway. */
const USUAL_SOURCE = 's3_compatible';
/** What nobody can open: the pages say that the source must be entered again. */
const NO_SOURCE = '';

/**
 * For a database that was lost with no copy of it left: looks for owner markers in the buckets of one client, and makes a job of each
 * that the database does not know: paused, without its source, with its folder, and without retention, so that nothing of it goes.
 * The marker becomes ours. A reindex then brings its points. Buckets are only read unless `apply` is set.
 * @throws BackupError what the storage says
 */
export async function findLostJobs(
  services: WorkerServices,
  clientId: number,
  options: { apply: boolean },
): Promise<FoundJob[]> {
  const marked: Marked[] = [];
  for (const bucket of await services.records.buckets(clientId)) {
    const { records, secrets, config } = services;
    const access = await bucketAccess(records, secrets, { clientId, bucketId: bucket.id }, config.destination);
    const store = openS3Store(access);
    for await (const prefix of markedFolders(store, '')) {
      const bytes = await new JobBucket(store, prefix, new AbortController().signal).get(OWNER_KEY);
      marked.push({ clientId, bucket, store, prefix, marker: bytes === null ? null : readOwner(bytes) });
    }
  }
  const found: FoundJob[] = [];
  for (const one of marked) {
    const verdict = await judge(services, one, marked);
    const isToMake = options.apply && verdict.state === 'lost';
    found.push({ ...placeOf(one), ...verdict, ...(isToMake ? await makeJob(services, one) : {}) });
  }
  return found;
}

interface Marked {
  readonly clientId: number;
  readonly bucket: Bucket;
  readonly store: ObjectStore;
  readonly prefix: string;
  /** Unverified; null when it cannot be read. */
  readonly marker: OwnerMarker | null;
}

function placeOf({ bucket, prefix, marker }: Marked): Pick<FoundJob, 'bucket' | 'prefix' | 'job'> {
  return { bucket: bucket.name, prefix, job: marker?.job ?? null };
}

/** Folders of jobs never lie in one another, so nothing below one is looked at. */
async function* markedFolders(store: ObjectStore, prefix: string): AsyncGenerator<string> {
  if (prefix !== '' && (await store.head(prefix + OWNER_KEY)) !== null) {
    yield prefix;
    return;
  }
  for (const folder of await store.listFolders(prefix)) yield* markedFolders(store, folder);
}

async function judge(
  { database, secrets }: WorkerServices,
  { marker, bucket, prefix }: Marked,
  all: readonly Marked[],
): Promise<Verdict> {
  const refused = (about: string): Verdict => ({ state: 'refused', about });
  if (marker === null) return refused('the marker cannot be read');
  const keys = macKeysOf(secrets);
  const mac = verifyMac(marker, marker.job, keys);
  if (mac === 'unknown_key') return refused('the marker is signed with a key that is not configured');
  if (mac !== 'valid') return refused('the marker is forged');
  const about = `installation ${marker.installation}, database ${marker.database}`;
  const known = await readWorkerJob(database, { uuid: marker.job });
  if (known !== null) {
    const isThere = known.bucketId === bucket.id && known.prefix === prefix;
    return isThere ? { state: 'known', about } : refused('the job has another folder');
  }
  // Somebody has copied a job's folder. Which is the copy, only a person can tell.
  const alike = all.filter((other) => other.marker?.job === marker.job && isSigned(other.marker, keys));
  if (alike.length > 1) return refused('markers of this job lie in several folders: delete those of the copies first');
  return { state: 'lost', about };
}

function isSigned(marker: OwnerMarker, keys: MacKeys): boolean {
  return verifyMac(marker, marker.job, keys) === 'valid';
}

async function makeJob(services: WorkerServices, found: Marked): Promise<Partial<Verdict>> {
  const { database, secrets } = services;
  const { clientId, bucket, store, prefix } = found;
  const job = found.marker?.job ?? '';
  const place = { bucketId: bucket.id, bucketName: bucket.name, prefix };
  const jobBucket = new JobBucket(store, prefix, new AbortController().signal);
  const traits = await traitsOf(services, jobBucket, job);
  try {
    await database.transaction(async (trx) => {
      await new ClientPrefixes(database, clientId).take(trx, place, { kind: 'job', uuid: job });
      await new ClientJobs(database, clientId).insert(trx, {
        uuid: job,
        name: `Found in ${bucket.name}/${prefix}`,
        status: 'paused',
        source_type: traits.sourceType,
        source_config_enc: NO_SOURCE,
        schedule_type: 'manual',
        retention_mode: 'none',
        s3_user_id: bucket.accountId,
        dest_bucket_id: place.bucketId,
        dest_bucket_name: place.bucketName,
        dest_prefix: prefix,
        backup_mode: traits.mode,
        encryption_enabled: traits.encrypted,
      });
      await insertLostPast(database, trx, { uuid: job, clientId, bucketName: bucket.name, prefix });
      await appendAudit(database, trx, {
        actorKind: 'operator',
        actorId: userInfo().username,
        clientId,
        action: 'job.found',
        targetKind: 'job',
        targetId: job,
        params: { bucket: bucket.name, prefix },
      });
    });
  } catch (error) {
    if (!isBackupError(error, 'PREFIX_TAKEN')) throw error;
    return { state: 'refused', about: 'the folder belongs to another job, or lies in one of its' };
  }
  await new OwnerGuard(jobBucket, { ...ownershipOf(services), job }, macKeysOf(secrets)).write();
  return { state: 'made' };
}

async function traitsOf({ secrets }: WorkerServices, bucket: JobBucket, job: string): Promise<Traits> {
  const encrypted = (await bucket.store.head(bucket.prefix + CRYPT_KEYS_KEY)) !== null;
  return {
    encrypted,
    mode: await modeOf(bucket),
    sourceType: (encrypted ? null : await sourceTypeOf(bucket, job, macKeysOf(secrets))) ?? USUAL_SOURCE,
  };
}

async function modeOf(bucket: JobBucket): Promise<Traits['mode']> {
  for await (const { key } of bucket.list(RUN_FOLDER_START)) {
    const kind = parseKey(key)?.kind;
    if (kind === 'archive') return 'archive';
    if (kind === 'file') return 'sync';
  }
  return 'sync';
}

/** As the newest manifest tells it that can be read. Runs are named by time: the last ones are asked first. */
async function sourceTypeOf(bucket: JobBucket, job: string, keys: MacKeys): Promise<string | null> {
  const index = await bucket.index();
  for (const [run, claims] of [...index].sort(([a], [b]) => (a < b ? 1 : -1))) {
    for (const { claim, manifest } of claims.values()) {
      const read = manifest ? await tryManifest({ bucket, job, keys }, { run, claim }) : null;
      if (read !== null) return read.manifest.source_type;
    }
  }
  return null;
}
