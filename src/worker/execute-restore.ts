import { openCopySource } from '../archive/copy-source.ts';
import { JobBucket } from '../backup/job-bucket.ts';
import { finishRun } from '../database/leases.ts';
import { appendEvents } from '../database/events.ts';
import { runBegunAt } from '../database/proofs.ts';
import { findKeptPoint, holdPoint, releaseHolds } from '../database/restore-points.ts';
import { recordRunFiles } from '../database/run_files.ts';
import { readWorkerJob } from '../database/worker-jobs.ts';
import { BackupError } from '../errors/backup-error.ts';
import { isTransient, type ErrorCode } from '../errors/catalogue.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { RestoreOptions, type RestoreStats } from '../protocol/run-options.ts';
import { verdictOf } from '../restore/outcome.ts';
import type { RestoreReport } from '../restore/report.ts';
import { restorePoint } from '../restore/restore-point.ts';
import { bucketAccess } from '../storage/destinations.ts';
import { openS3Store } from '../storage/s3.ts';
import { jobCipher } from './job-keys.ts';
import { openRestoreTarget } from './open-restore-target.ts';
import { RestoreFigures } from './restore-figures.ts';
import type { RunScope } from './run-scope.ts';
import { macKeysOf } from './services.ts';

/** One claim of a restore: compared with what lies at the target, copied, read back, compared. */
export async function executeRestore(scope: RunScope): Promise<void> {
  const { services, active, job, reporter, folder } = scope;
  const { database, records, secrets, config } = services;
  const options = RestoreOptions.parse(active.run.options);
  reporter.event(event('RESTORE_STARTING', { target_path: placeOf(options) }));
  const point = await findKeptPoint(database, job.clientId, { point: options.point });
  if (point === null) throw new BackupError('POINT_NOT_FOUND');
  const hold = await holdPoint(database, {
    pointId: point.id,
    runUuid: active.run.uuid,
    purpose: 'restore',
    ttlMs: active.leaseMs * 4,
  });
  if (hold === null) throw new BackupError('POINT_NOT_FOUND');
  active.watchHolds([hold]);
  const owner = await readWorkerJob(database, { id: point.jobId });
  if (owner === null) throw new BackupError('JOB_NOT_FOUND');
  const access = await bucketAccess(
    records,
    secrets,
    { clientId: job.clientId, bucketId: point.bucketId, bucketName: point.bucket },
    config.destination,
  );
  const cipher = await jobCipher(services, owner);
  const figures = new RestoreFigures();
  const from = {
    source: {
      bucket: new JobBucket(openS3Store(access), point.prefix, active.signal, cipher),
      job: owner.uuid,
      keys: macKeysOf(secrets),
    },
    place: { run: point.runUuid, claim: point.claimName },
    manifestSha256: point.manifestSha256,
    signal: active.signal,
  };
  const copies = await openCopySource({ ...from, mode: owner.mode, access });
  try {
    const report = await restorePoint({
      ...from,
      paths: options.paths,
      overwrite: options.overwrite,
      dryRun: options.dry_run,
      continuing: active.run.claim > 1,
      begunAt: (await runBegunAt(database, active.run.uuid)) ?? undefined,
      target: await openRestoreTarget(scope, options, { from: { access, copies }, owner }),
      space: { folder, memoryItems: 50_000 },
      onProgress: (progress) => reporter.figures(figures.take(progress)),
    });
    await finish(scope, report, placeOf(options));
  } finally {
    await copies.close();
  }
}

function placeOf({ target }: RestoreOptions): string {
  return target.kind === 'source' ? target.summary : `${target.bucket}/${target.prefix}`;
}

/** Writes the end of a restore that did its work; one that did not throws what `settle` makes its end of. */
async function finish(scope: RunScope, report: RestoreReport, targetPath: string): Promise<void> {
  const verdict = verdictOf(report);
  if (verdict.status === 'failed') {
    await tellProblems(scope, report, verdict.error.code);
    throw verdict.error;
  }
  const { services, active, reporter, notify } = scope;
  const { database } = services;
  await reporter.flush();
  const holds = active.forgetHolds();
  const { status, code } = verdict;
  await database.transaction(async (trx) => {
    const ended = await finishRun(database, trx, active.lease, {
      status,
      errorCode: code,
      stats: statsOf(report),
      moved: {
        files: report.dryRun ? 0 : report.created + report.overwritten,
        bytes: report.dryRun ? 0 : report.bytesToWrite,
        bytesListed: report.bytes,
      },
    });
    if (!ended) throw new BackupError('ERR_LEASE_LOST');
    await appendEvents(trx, database, active.run.id, closingEvents(report, targetPath, status));
    await recordRunFiles(database, trx, active.run.id, report.outcomes, report.totals);
    await notify(trx, status);
    await releaseHolds(trx, holds);
  });
}

/** The report of a restore that failed, unless it is tried again: then the last attempt has the say. */
async function tellProblems(scope: RunScope, report: RestoreReport, code: ErrorCode): Promise<void> {
  const { active, services, reporter } = scope;
  if (isTransient(code) && active.run.attempt + 1 < active.run.maxAttempts) return;
  for (const one of problemEvents(report)) reporter.event(one);
  await services.database.transaction(
    async (trx) => await recordRunFiles(services.database, trx, active.run.id, report.outcomes, report.totals),
  );
}

function statsOf(report: RestoreReport): RestoreStats {
  const { files, bytes, created, overwritten, skipped, exact, carried } = report;
  return {
    ...{ files, bytes, created, overwritten, skipped, exact, carried },
    bytes_to_write: report.bytesToWrite,
    size_only: report.sizeOnly,
    problems: report.problemCount,
  };
}

function closingEvents(report: RestoreReport, targetPath: string, status: 'success' | 'warning'): RunEvent[] {
  const { created, overwritten, skipped, exact, sizeOnly } = report;
  const problems = problemEvents(report);
  if (report.dryRun) {
    const figures = { created, overwritten, skipped, bytes: report.bytesToWrite, target_path: targetPath };
    return [...problems, event('RESTORE_DRY_RUN', figures)];
  }
  return [
    ...problems,
    ...(skipped > 0 ? [event('RESTORE_SKIPPED', { files: skipped })] : []),
    ...(report.carried > 0 ? [event('RESTORE_CARRIED', { files: report.carried })] : []),
    ...(sizeOnly > 0 ? [event('RESTORE_SIZE_ONLY', { files: sizeOnly })] : []),
    ...(exact > 0 ? [event('RESTORE_VERIFIED', { files: exact })] : []),
    status === 'success'
      ? event('RESTORE_COMPLETED', { target_path: targetPath })
      : event('RESTORE_COMPLETED_WARNING', { target_path: targetPath }),
  ];
}

const NAMED = 100;

function problemEvents(report: RestoreReport): RunEvent[] {
  if (report.problemCount === 0) return [];
  const problems = report.problems.slice(0, NAMED);
  return [event('RESTORE_PROBLEMS', { problems, total: report.problemCount })];
}
