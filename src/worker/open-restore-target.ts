import type { CopySource } from '../archive/copy-source.ts';
import { takenPrefixes } from '../database/prefixes.ts';
import type { WorkerJob } from '../database/worker-jobs.ts';
import { lookRemote } from '../engines/rclone/list.ts';
import { BackupError } from '../errors/backup-error.ts';
import { event } from '../events/catalogue.ts';
import type { RestoreOptions } from '../protocol/run-options.ts';
import { BucketTarget, destinationNames, sourceNames } from '../restore/bucket-target.ts';
import type { RestoreTarget } from '../restore/port.ts';
import { rcloneBulk, type BulkDestination } from '../restore/rclone-bulk.ts';
import { ServerTarget, type LookAtFiles } from '../restore/server-target.ts';
import { parseEndpoint } from '../security/egress.ts';
import { fingerprintOf } from '../sources/host-key.ts';
import { lookSftp } from '../sources/list-sftp.ts';
import { isDestination, type Source } from '../sources/registry.ts';
import { bucketAccess, destinationSettings } from '../storage/destinations.ts';
import type { BucketAccess } from '../storage/port.ts';
import { openS3Store } from '../storage/s3.ts';
import { bandwidthOf } from './bandwidth.ts';
import { openSource } from './open-source.ts';
import type { RunScope } from './run-scope.ts';

/** The bucket that holds the point, and from where its files are copied. */
export interface Origin {
  readonly access: BucketAccess;
  readonly copies: CopySource;
}

/**
 * Where a restore goes: a folder of one of the client's buckets, or the source that the job backs up, by the source's own credentials,
 * with its hosts checked and its host key pinned as for a backup.
 * @param owner the job that made the point
 */
export async function openRestoreTarget(
  scope: RunScope,
  options: RestoreOptions,
  { from, owner }: { from: Origin; owner: WorkerJob },
): Promise<RestoreTarget> {
  const { target } = options;
  return target.kind === 'source'
    ? await openSourceTarget(scope, { from, owner }, options.overwrite)
    : await openBucketTarget(scope, target, from);
}

async function openBucketTarget(
  scope: RunScope,
  target: Extract<RestoreOptions['target'], { kind: 'bucket' }>,
  from: Origin,
): Promise<RestoreTarget> {
  const { services, job } = scope;
  const access = await bucketAccess(
    services.records,
    services.secrets,
    { clientId: job.clientId, bucketId: target.bucket_id, bucketName: target.bucket },
    services.config.destination,
  );
  return new BucketTarget({
    store: openS3Store(access),
    prefix: target.prefix,
    names: destinationNames,
    protectedPrefixes: await takenPrefixes(services.database, [target.bucket_id]),
    bulk: await bulkTo(scope, from, { access, prefix: target.prefix }),
  });
}

async function openSourceTarget(
  scope: RunScope,
  { from, owner }: { from: Origin; owner: WorkerJob },
  overwrite: RestoreOptions['overwrite'],
): Promise<RestoreTarget> {
  const { services, active, reporter } = scope;
  const { source, definition, hostKey, pinnedNow } = await openSource(services, owner, from.access, {
    ...scope,
    signal: active.signal,
  });
  if (pinnedNow && hostKey !== null) reporter.event(event('HOST_KEY_PINNED', { fingerprint: fingerprintOf(hostKey) }));
  if (definition.readOnly)
    throw new BackupError(
      'ERR_RESTORE_TARGET',
      'This source is connected for reading only. Restore into a bucket instead.',
    );
  const bulk = await bulkTo(scope, from, { source: definition, hostKey });
  const { origin } = definition;
  if (origin.kind === 'sftp') {
    if (hostKey === null) throw new BackupError('ERR_INTERNAL', 'An SFTP source must have a pinned host key.');
    // Where nothing is written over, the transfer program looks again itself.
    const certain = overwrite !== 'never';
    const look: LookAtFiles = async (paths, signal) => await lookSftp(origin, paths, { hostKey, signal, certain });
    return new ServerTarget({ look, bulk });
  }
  if (origin.kind === 'remote') {
    const { folder } = scope;
    const look: LookAtFiles = async (paths, signal) =>
      await lookRemote({ binary: services.rclone, definition, folder, signal }, paths, { total: null, certain: true });
    return new ServerTarget({ look, bulk });
  }
  return new BucketTarget({
    store: openS3Store(origin.access),
    prefix: origin.prefix,
    names: sourceNames,
    protectedPrefixes: await prefixesBeside(scope, source, origin.access.bucket),
    bulk,
  });
}

async function bulkTo(scope: RunScope, { copies: { from, cipher, inOnePiece } }: Origin, to: BulkDestination) {
  const { services, job, folder } = scope;
  return rcloneBulk({
    binary: services.rclone,
    ...{ from, cipher, inOnePiece },
    to,
    workFolder: folder,
    transfers: services.config.rclone.transfers,
    memoryMb: services.config.rclone.memory_mb,
    bandwidth: await bandwidthOf(services, job),
  });
}

/** Where backups lie in the source's own bucket, when that is one that the client has with us. */
async function prefixesBeside({ services, job }: RunScope, source: Source, bucket: string): Promise<string[]> {
  const { endpoint, region } = destinationSettings(await services.records.settings(), services.config.destination);
  const { host, port } = endpoint === '' ? { host: `s3.${region}.amazonaws.com`, port: 443 } : parseEndpoint(endpoint);
  if (!isDestination(source, { server: `${host}:${port}`, bucket, prefix: '' })) return [];
  const buckets = await services.records.buckets(job.clientId);
  const same = buckets.filter(({ name }) => name === bucket).map(({ id }) => id);
  return await takenPrefixes(services.database, same);
}
