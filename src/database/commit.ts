import type { Knex } from 'knex';
import type { WorkerJob } from './worker-jobs.ts';
import type { Database } from './connect.ts';
import { finishRun, type Lease } from './leases.ts';
import { enqueueNotice } from './outbox.ts';
import { insertPoint, releaseHolds, type NewPointRow } from './restore-points.ts';

export interface PointCommit {
  readonly lease: Lease;
  readonly status: 'success' | 'warning';
  readonly point: NewPointRow;
  readonly freezeReason: string | null;
  readonly stats: Readonly<Record<string, unknown>>;
  readonly moved: { readonly files: number; readonly bytes: number; readonly bytesListed: number };
  readonly holds: readonly string[];
  /** Writes events and notices, in the same transaction. */
  readonly also: (trx: Knex.Transaction) => Promise<void>;
}

/**
 * The commit of a backup: terminal status, point, freeze, events, notices and the release of the holds, in one transaction that
 * depends on the lease. `committed` also when this very manifest was committed before and only the answer got lost.
 */
export async function commitPoint(
  database: Database,
  job: WorkerJob,
  commit: PointCommit,
): Promise<'committed' | 'lost'> {
  return await database.transaction(async (trx) => {
    const ended = await finishRun(database, trx, commit.lease, {
      status: commit.status,
      stats: commit.stats,
      moved: commit.moved,
    });
    if (!ended) return (await isCommitted(trx, commit.point)) ? 'committed' : 'lost';
    await insertPoint(database, trx, commit.point);
    await trx('s3_cloudbackup_jobs')
      .where({ id: job.id })
      .update({
        stored_bytes: trx.raw('stored_bytes + ?', [commit.point.addedBytes]),
        last_good_at: database.now(),
        overdue_since: null,
        // A new point may be the one too many. Without retention the daily look is enough.
        maintenance_at: trx.raw("CASE WHEN retention_mode = 'none' THEN maintenance_at ELSE ? END", [database.now()]),
      });
    if (commit.freezeReason !== null)
      await freezeRetention(database, trx, job.id, commit.freezeReason, commit.lease.runUuid);
    await commit.also(trx);
    await releaseHolds(trx, commit.holds);
    return 'committed';
  });
}

async function isCommitted(trx: Knex.Transaction, point: NewPointRow): Promise<boolean> {
  const row: unknown = await trx('s3_cloudbackup_restore_points')
    .where({ run_id: point.runId, claim_name: point.claimName, manifest_sha256: point.manifestSha256 })
    .select('id')
    .first();
  return row !== undefined;
}

/** Retention stays frozen until somebody releases it, who is told so by mail; the first reason stands. */
export async function freezeRetention(
  database: Database,
  trx: Knex.Transaction,
  jobId: number,
  reason: string,
  runUuid: string,
): Promise<void> {
  const frozen = await trx('s3_cloudbackup_jobs')
    .where({ id: jobId })
    .whereNull('frozen_at')
    .update({ frozen_at: database.now(), frozen_reason: reason, frozen_run_uuid: runUuid });
  if (frozen === 0) return;
  const run = (await trx('s3_cloudbackup_runs').where('uuid', runUuid).first('id', 'client_id')) as
    { id: number; client_id: number } | undefined;
  if (run === undefined) return;
  await enqueueNotice(trx, database, {
    dedupeKey: `frozen:${runUuid}`,
    kind: 'frozen',
    clientId: Number(run.client_id),
    jobId,
    runId: Number(run.id),
    payload: { reason, run: runUuid },
  });
}
