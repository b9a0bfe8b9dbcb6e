import { appendAudit } from '../database/audit.ts';
import type { Transaction } from '../database/connect.ts';
import type { StoredJob } from '../database/job-rows.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientPoints, type ClientPoint } from '../database/points.ts';
import { ClientPrefixes } from '../database/prefixes.ts';
import { queueRun } from '../database/queue.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import { isPath } from '../layout/encoding.ts';
import { normalisePrefix } from '../layout/keys.ts';
import type { RestoreOptions } from '../protocol/run-options.ts';
import { isReadOnly, summaryOf } from '../sources/registry.ts';
import type { RestoreRequest, RunService } from './client.ts';
import { clientActor, type ServiceParts } from './parts.ts';
import { sourceService } from './source.ts';

/** Paths of one request; more are better asked for by their folders. */
const MOST_PATHS = 10_000;
/** Of them, so many stand in the audit log. */
const AUDITED_PATHS = 20;

type Target = RestoreOptions['target'];

/** Queues restores of one client: from any of its points, into one of its buckets or back into the job's source. */
export function restoreService(parts: ServiceParts, clientId: number): RunService['restore'] {
  const { database } = parts;
  const jobs = new ClientJobs(database, clientId);
  const points = new ClientPoints(database, clientId);
  const prefixes = new ClientPrefixes(database, clientId);
  const sources = sourceService(parts, clientId);

  async function pointOf(from: RestoreRequest['from']): Promise<ClientPoint> {
    if ('pointId' in from) return await points.get(from.pointId);
    return await points.atMoment(await jobs.rowId(from.jobId), from.moment);
  }

  async function targetOf(request: RestoreRequest, job: StoredJob): Promise<Target> {
    if (request.target.kind === 'source') {
      const source = sources.stored(job);
      if (isReadOnly(source))
        throw new BackupError(
          'ERR_RESTORE_TARGET',
          'This source is connected for reading only. Restore into a bucket, or download.',
        );
      return { kind: 'source', summary: summaryOf(source) };
    }
    const bucket = await parts.host.bucket(clientId, request.target.bucketId);
    if (bucket === null) throw new BackupError('BUCKET_NOT_FOUND');
    const prefix = targetPrefix(request.target.prefix);
    await refuseOwnSource(job, { bucketId: bucket.id, bucketName: bucket.name, prefix });
    return { kind: 'bucket', bucket_id: bucket.id, bucket: bucket.name, prefix };
  }

  /** What the job itself backs up is only written by the target that says so. */
  async function refuseOwnSource(
    job: StoredJob,
    place: { bucketId: number; bucketName: string; prefix: string },
  ): Promise<void> {
    try {
      await sources.refuseDestination(sources.stored(job), place);
    } catch (cause) {
      // Settings that cannot be read name no place either.
      if (isBackupError(cause, 'ERR_DECRYPT_SOURCE_CONFIG')) return;
      if (!isBackupError(cause, 'SOURCE_IS_DESTINATION')) throw cause;
      throw new BackupError(
        'ERR_RESTORE_TARGET',
        'This folder is what the job backs up. Choose "back to the source", or another folder.',
        { cause },
      );
    }
  }

  async function requireFree(trx: Transaction, target: Target, job: StoredJob): Promise<void> {
    const free =
      target.kind === 'source'
        ? prefixes.requireSourceUnused(trx, { id: job.id, bucketId: job.dest_bucket_id })
        : prefixes.requireUnused(trx, {
            bucketId: target.bucket_id,
            bucketName: target.bucket,
            prefix: target.prefix,
          });
    await free.catch((cause: unknown) => {
      if (!isBackupError(cause, 'PREFIX_TAKEN')) throw cause;
      const message =
        target.kind === 'source'
          ? 'Another restore into this source is under way. Wait until it is over, or cancel it.'
          : 'This folder belongs to a backup job or to another restore. Choose a folder outside of them.';
      throw new BackupError('ERR_RESTORE_TARGET', message, { cause });
    });
  }

  return async (request) => {
    const paths = pathsOf(request.paths);
    const point = await pointOf(request.from);
    const stored = await jobs.getAlsoDeleted(point.job_uuid);
    const target = await targetOf(request, stored);
    const options: RestoreOptions = {
      point: point.uuid,
      paths,
      overwrite: request.overwrite,
      dry_run: request.dryRun,
      target,
    };
    const runId = await database.transaction(async (trx) => {
      const job = await jobs.forRun(trx, point.job_uuid);
      await requireFree(trx, target, stored);
      const place =
        target.kind === 'source'
          ? { destBucket: '', destPrefix: '' }
          : { destBucket: target.bucket, destPrefix: target.prefix };
      const queued = await queueRun(
        trx,
        database,
        { ...job, ...place },
        {
          kind: 'restore',
          trigger: 'manual',
          options,
        },
      );
      if (queued.outcome !== 'queued') throw new BackupError('CONFLICT');
      await appendAudit(database, trx, {
        ...clientActor(clientId),
        action: request.dryRun ? 'restore.tried' : 'restore.started',
        targetKind: 'run',
        targetId: queued.runUuid,
        params: { ...options, paths: paths.slice(0, AUDITED_PATHS), path_count: paths.length },
      });
      return queued.runUuid;
    });
    return { runId };
  };
}

/** A restore never goes to the top of a bucket: it would lie among everything else. */
function targetPrefix(given: string): string {
  if (given.replaceAll('/', '') === '') throw invalidFields([['dest_prefix', 'must name a folder']]);
  return normalisePrefix(given, '');
}

/** Paths as the entries of a point name them; `''` among them means all of it. */
function pathsOf(given: readonly string[]): string[] {
  if (given.length > MOST_PATHS) throw invalidFields([['paths', `must not be more than ${MOST_PATHS}`]]);
  const paths = [...new Set(given.map((path) => path.replace(/\/+$/, '')))];
  if (paths.includes('')) return [];
  const wrong = paths.find((path) => !isPath(path));
  if (wrong === undefined) return paths;
  const reason = 'must be files or folders of the restore point: without a slash before them, "." or ".."';
  throw invalidFields([['paths', `${reason}; ${JSON.stringify(wrong.slice(0, 200))} is not`]]);
}
