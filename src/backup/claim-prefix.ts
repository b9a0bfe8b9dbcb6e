import { BackupError } from '../errors/backup-error.ts';
import { explain, type BucketIndex, type DatabaseView, type Explanation } from '../layout/explain.ts';
import { claimFolder } from '../layout/keys.ts';
import { adoptWhole, firstWhole, newPointOf } from './adopt.ts';
import type { BackupContext } from './context.ts';
import type { CryptKeysGuard } from './crypt-keys.ts';
import type { JobBucket } from './job-bucket.ts';
import type { CommitRequest, NewPoint, RunStatistics } from './ledger.ts';
import type { OwnerGuard } from './owner-marker.ts';
import type { OpenManifest, PointSource } from './point-reader.ts';
import type { SpillSpace } from './spill.ts';
import { WholenessProof } from './whole.ts';

/** What the bucket says at a claim. */
export type ClaimedPrefix =
  /** A whole manifest of this very run lies in the bucket: it only has to be committed. */
  | { readonly kind: 'rolled_forward'; readonly commit: Omit<CommitRequest, 'events'> }
  | {
      readonly kind: 'ready';
      /** The prefix is empty and has no owner marker yet: it is put before the first thing that is written. */
      readonly unmarked: boolean;
      /** The wrapped keys of an encrypted job are to be put before anything that is encrypted with them. */
      readonly lacksKeys: boolean;
      /** Earlier claims of this run that left objects. */
      readonly earlierClaims: readonly string[];
      /** Points that the database has committed, but whose `.ok` is missing because a worker died too early. */
      readonly lackOk: readonly { readonly run: string; readonly claim: string }[];
    };

interface Tools {
  readonly bucket: JobBucket;
  readonly guard: OwnerGuard;
  readonly cryptKeys: CryptKeysGuard;
  readonly points: PointSource;
  readonly space: SpillSpace;
  readonly whenReachable: <T>(ask: () => Promise<T>) => Promise<T>;
}

/**
 * Step 1 of a run: owner marker, roll-forward, index check, adoption. Writes nothing to the bucket.
 * @throws BackupError `ERR_DEST_NOT_OURS`, `ERR_CRYPT_KEYS_OTHER`, `ERR_INDEX_STALE` (`details.reasons`).
 */
export async function claimPrefix(context: BackupContext, tools: Tools): Promise<ClaimedPrefix> {
  const [marker, cryptKeys, index] = await Promise.all([
    tools.guard.look(),
    tools.cryptKeys.look(),
    tools.bucket.index(),
  ]);
  const database = await tools.whenReachable(() => context.ledger.view([...index.keys()]));
  if (marker === 'unmarked') await requireVirgin(tools, database);
  const explanation = explain(context.run.uuid, index, database);
  const proof = new WholenessProof(tools.points, tools.space);
  const own = await firstWhole({ points: tools.points, proof }, context.run.uuid, explanation.rollForward);
  if (own !== null) return { kind: 'rolled_forward', commit: await rollForward(context, proof, own) };
  if (explanation.stale.length > 0) {
    throw new BackupError('ERR_INDEX_STALE', undefined, { details: { reasons: explanation.stale.slice(0, 20) } });
  }
  const adopted = await adopt(context, tools, proof, database, explanation.adopt);
  return {
    kind: 'ready',
    unmarked: marker === 'unmarked',
    lacksKeys: cryptKeys === 'lacking',
    earlierClaims: [...(index.get(context.run.uuid)?.keys() ?? [])].filter((claim) => claim !== context.run.claim),
    lackOk: [...adopted, ...newestWithoutOk(index, database)],
  };
}

/** A prefix without marker is taken only when nothing at all lies in it and the job has no point. A sleeper may have marked it just now. */
async function requireVirgin({ bucket, guard }: Tools, database: DatabaseView): Promise<void> {
  if (database.points.length > 0 || !(await bucket.isEmpty())) await guard.require();
}

async function rollForward(
  context: BackupContext,
  proof: WholenessProof,
  { manifest, key, sha256 }: OpenManifest,
): Promise<Omit<CommitRequest, 'events'>> {
  context.ledger.event({ code: 'ROLLED_FORWARD', params: { claim: manifest.claim } });
  const copied = await proof.sizeOf(claimFolder(manifest.run, manifest.claim));
  const { files, bytes, carried, failed } = manifest;
  const statistics: RunStatistics = {
    filesListed: files,
    bytesListed: bytes,
    // An archive is one object of many files.
    filesCopied: copied.archives > 0 ? files - carried - failed : copied.files,
    bytesCopied: copied.bytes,
    unchanged: 0,
    moved: 0,
    added: 0,
    changed: 0,
    deleted: 0,
    carried,
    failed,
  };
  return {
    status: manifest.complete ? 'success' : 'warning',
    point: newPointOf({ key, sha256, manifest }),
    // Whether this run or an earlier one froze retention cannot be told any more; frozen is the safe answer.
    freeze: manifest.frozen
      ? { reason: 'rolled_forward', referenceFiles: manifest.files, deleted: 0, changed: 0 }
      : null,
    statistics,
  };
}

/** Whole manifests of terminal runs without a point: their runs were ended between manifest and commit. */
async function adopt(
  { ledger }: BackupContext,
  { points, whenReachable }: Tools,
  proof: WholenessProof,
  database: DatabaseView,
  candidates: Explanation['adopt'],
): Promise<{ run: string; claim: string }[]> {
  const insert = async (point: NewPoint): Promise<'adopted' | 'known'> => {
    const verdict = await whenReachable(() => ledger.adopt(point));
    if (verdict === 'lost') throw new BackupError('ERR_LEASE_LOST');
    const { run, claim } = point;
    if (verdict === 'adopted') ledger.event({ code: 'POINT_ADOPTED', params: { run, claim } });
    return verdict;
  };
  const adopted = await adoptWhole({ points, proof, database, adopt: insert }, candidates);
  return adopted.filter(({ verdict }) => verdict === 'adopted');
}

function newestWithoutOk(index: BucketIndex, database: DatabaseView): { run: string; claim: string }[] {
  const kept = database.points.filter((point) => point.state === 'kept');
  const newest = kept.sort((a, b) => b.generation - a.generation)[0];
  if (newest === undefined || index.get(newest.run)?.get(newest.claim)?.ok === true) return [];
  return [{ run: newest.run, claim: newest.claim }];
}
