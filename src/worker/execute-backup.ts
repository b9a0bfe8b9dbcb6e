import type { CommitRequest } from '../backup/ledger.ts';
import { runBackup } from '../backup/run.ts';
import { rcloneEngine } from '../engines/rclone/engine.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { fingerprintOf } from '../sources/host-key.ts';
import { openS3Store } from '../storage/s3.ts';
import { bucketAccess } from '../storage/destinations.ts';
import { bandwidthOf } from './bandwidth.ts';
import { databaseClock } from './database-clock.ts';
import type { RunScope } from './run-scope.ts';
import { SqlLedger } from './ledger.ts';
import { jobEncryption } from './job-keys.ts';
import { openSource } from './open-source.ts';
import { macKeysOf, ownershipOf } from './services.ts';

/** One claim of a backup run, from the credentials to the commit. */
export async function executeBackup(scope: RunScope): Promise<void> {
  const { services, active, job, reporter, folder, notify } = scope;
  const { config, database, log, rclone } = services;
  const startedAt = Date.now();
  reporter.event(event('BACKUP_STARTING', { dest_bucket: job.bucketName, dest_prefix_trunc: job.prefix }));
  const access = await bucketAccess(
    services.records,
    services.secrets,
    { clientId: job.clientId, bucketId: job.bucketId, bucketName: job.bucketName },
    config.destination,
  );
  const opened = await openSource(services, job, access, { ...scope, signal: active.signal });
  if (opened.pinnedNow && opened.hostKey !== null)
    reporter.event(event('HOST_KEY_PINNED', { fingerprint: fingerprintOf(opened.hostKey) }));
  const encryption = await jobEncryption(services, job);
  const engine = rcloneEngine({
    binary: rclone,
    source: opened.definition,
    hostKey: opened.hostKey,
    destination: access,
    cipher: encryption?.cipher ?? null,
    workFolder: folder,
    transfers: config.rclone.transfers,
    memoryMb: config.rclone.memory_mb,
    statsSeconds: config.rclone.stats_interval,
    bandwidth: await bandwidthOf(services, job),
  });
  reporter.event(event('SCANNING_SOURCE'));
  await runBackup({
    job: {
      uuid: job.uuid,
      prefix: job.prefix,
      mode: job.mode,
      sourceType: job.sourceType,
      frozen: job.frozen,
      brakes: { share: job.brakePercent / 100, minFiles: job.brakeMinFiles },
    },
    run: {
      uuid: active.run.uuid,
      claim: active.run.claimName,
      generation: active.run.generation,
      allowEmptySource: active.run.options['allow_empty'] === true,
    },
    owner: ownershipOf(services),
    store: openS3Store(access),
    engine,
    ledger: new SqlLedger({
      database,
      active,
      job,
      reporter,
      log,
      closing: (request) => closingEvents(request, startedAt),
      notify,
    }),
    keys: macKeysOf(services.secrets),
    encryption,
    workFolder: folder,
    clock: await databaseClock(database),
  });
}

/** The events that close a successful backup. */
function closingEvents(request: CommitRequest, startedAtMs: number): RunEvent[] {
  const { filesCopied, bytesCopied } = request.statistics;
  const figures = {
    status: request.status,
    files_transferred: filesCopied,
    bytes_transferred: bytesCopied,
    duration_seconds: Math.round((Date.now() - startedAtMs) / 1000),
  };
  return [
    ...(filesCopied === 0 ? [event('NO_CHANGES')] : [event('SUMMARY_TOTAL', { bytes_done: bytesCopied })]),
    request.status === 'success' ? event('COMPLETED_SUCCESS', figures) : event('COMPLETED_WARNING', figures),
  ];
}
