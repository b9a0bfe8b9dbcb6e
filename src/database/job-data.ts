import type { Knex } from 'knex';
import type { DataState } from '../retention/of-job.ts';
import { appendAudit } from './audit.ts';
import type { Database, Executor } from './connect.ts';
import type { Lease } from './leases.ts';
import { ownedRun, requireOwned } from './retention.ts';
import { fromDatabaseTime, toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const POINTS = 's3_cloudbackup_restore_points';
const RUNS = 's3_cloudbackup_runs';

/**
 * grace → deleting, once the grace is over: from here on nothing brings the data back. Conditional on the lease of the maintenance run
 * that will delete it. Returns what the job's data is to become as of now. Throws ERR_LEASE_LOST.
 */
export async function beginDeletingData(database: Database, lease: Lease, jobId: number): Promise<DataState> {
  return await database.transaction(async (trx) => {
    await requireOwned(trx, lease);
    await trx(JOBS)
      .where({ id: jobId, status: 'deleted', data_state: 'grace' })
      .where('data_delete_at', '<=', database.now())
      .whereExists(ownedRun(trx, lease))
      .update({ data_state: 'deleting', updated_at: database.now() });
    // A locking read sees what was committed last: somebody may have brought the job back this very moment.
    const row = (await trx(JOBS).where('id', jobId).forUpdate().first('data_state')) as
      { data_state: DataState } | undefined;
    return row?.data_state ?? 'gone';
  });
}

export interface EmptyListing {
  readonly lease: Lease;
  readonly job: { readonly id: number; readonly uuid: string; readonly clientId: number };
  /** The database's time (text), read before the listing was begun. */
  readonly listedAt: string;
  /** Lease and margin: so long after its run has ended a cut-off worker may still write. */
  readonly zombieMs: number;
}

/**
 * deleting → gone, after a listing that found nothing: the prefix is free again and the keys of the backups go. Not while a point is
 * left, and not when the listing was made earlier than the last run of the job could still have written: `too_early`.
 */
export async function endDeletingData(database: Database, found: EmptyListing): Promise<'gone' | 'too_early'> {
  const { job, lease } = found;
  return await database.transaction(async (trx) => {
    await requireOwned(trx, lease);
    const gone = await trx(JOBS)
      .where({ id: job.id, data_state: 'deleting' })
      .whereNotExists(livePointsOf(trx, job.id))
      .whereNotExists(writersSince(trx, found))
      .update(nothingLeft(database));
    if (gone === 0) return 'too_early';
    await freePrefix(trx, job.uuid);
    await appendAudit(database, trx, {
      actorKind: 'worker',
      actorId: lease.runUuid,
      clientId: job.clientId,
      action: 'job.data_deleted',
      targetKind: 'job',
      targetId: job.uuid,
    });
    return 'gone';
  });
}

/** The end of a job of which no run was ever claimed: nothing can lie in its prefix, so no worker has to look. */
export async function dropNeverWritten(database: Database, trx: Knex.Transaction, jobId: number): Promise<boolean> {
  const claimed = trx(RUNS).where('job_id', jobId).where('claim', '>', 0).select(trx.raw('1'));
  const gone = await trx(JOBS)
    .where({ id: jobId, status: 'deleted', data_state: 'grace' })
    .where('data_delete_at', '<=', database.now())
    .whereNotExists(claimed)
    .update(nothingLeft(database));
  if (gone === 0) return false;
  const job = (await trx(JOBS).where('id', jobId).first('uuid', 'client_id')) as { uuid: string; client_id: number };
  await freePrefix(trx, job.uuid);
  await appendAudit(database, trx, {
    actorKind: 'system',
    actorId: 'retention',
    clientId: Number(job.client_id),
    action: 'job.data_deleted',
    targetKind: 'job',
    targetId: job.uuid,
    params: { never_written: true },
  });
  return true;
}

/** Runs that may have written into the prefix after the listing was begun: they are active, or ended too short a time before it. */
export function writersSince(
  trx: Executor,
  { lease, job, listedAt, zombieMs }: Pick<EmptyListing, 'lease' | 'job' | 'listedAt' | 'zombieMs'>,
): Knex.QueryBuilder {
  const since = toDatabaseTime(fromDatabaseTime(listedAt) - zombieMs);
  return trx(RUNS)
    .where('job_id', job.id)
    .whereNot('id', lease.runId)
    .whereIn('kind', ['backup', 'maintenance'])
    .where((late) => void late.whereNull('finished_at').orWhere('finished_at', '>', since))
    .select(trx.raw('1'));
}

function livePointsOf(trx: Knex.Transaction, jobId: number): Knex.QueryBuilder {
  return trx(POINTS).where('job_id', jobId).whereIn('state', ['kept', 'marked', 'deleting']).select(trx.raw('1'));
}

function nothingLeft(database: Database): Record<string, unknown> {
  return { data_state: 'gone', maintenance_at: null, stored_bytes: 0, updated_at: database.now() };
}

async function freePrefix(trx: Knex.Transaction, jobUuid: string): Promise<void> {
  await trx('s3_cloudbackup_prefixes').where({ owner_uuid: jobUuid, owner_kind: 'job' }).delete();
  await trx('s3_cloudbackup_keys').where('owner_uuid', jobUuid).delete();
}
