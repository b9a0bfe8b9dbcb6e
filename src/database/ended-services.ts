import type { Knex } from 'knex';
import { activeStatuses } from '../runs/state.ts';
import { appendAudit } from './audit.ts';
import type { Database } from './connect.ts';
import type { MaintainedJob } from './maintenance.ts';
import { enqueueNotice } from './outbox.ts';
import { toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const RUNS = 's3_cloudbackup_runs';

/**
 * The data of clients whose service was terminated: kept → ending, while the host's grace lasts → grace, already over, as that of a job
 * which its owner deleted. Nothing but the state of the data changes before that, so nothing needs to be told apart when the service
 * comes back. Each of these belongs into the transaction of `moveMaintenanceOn`, which makes sure that the job is as it was read.
 */

/** kept → ending, of which the customer is told. @param at when the grace is over, in epoch milliseconds */
export async function beginEnding(
  database: Database,
  trx: Knex.Transaction,
  job: MaintainedJob,
  { since, at }: { readonly since: number; readonly at: number },
): Promise<void> {
  const changed = await trx(JOBS)
    .where({ id: job.id, data_state: 'kept' })
    .update({
      data_state: 'ending',
      data_ending_since: toDatabaseTime(since),
      data_delete_at: toDatabaseTime(at),
      updated_at: database.now(),
    });
  if (changed === 0) return;
  await audit(database, trx, job, 'job.data_ending', { delete_at: new Date(at).toISOString() });
  await enqueueNotice(trx, database, {
    dedupeKey: `ending:${job.uuid}:${since}`,
    kind: 'ending',
    clientId: job.clientId,
    jobId: job.id,
    payload: { since },
  });
}

/** The host has lengthened its grace. @param at when it is over now, in epoch milliseconds */
export async function extendEnding(
  database: Database,
  trx: Knex.Transaction,
  job: MaintainedJob,
  at: number,
): Promise<void> {
  const changed = await trx(JOBS)
    .where({ id: job.id, data_state: 'ending' })
    .update({ data_delete_at: toDatabaseTime(at), updated_at: database.now() });
  if (changed > 0) await audit(database, trx, job, 'job.data_ending', { delete_at: new Date(at).toISOString() });
}

/** ending → kept: the service came back in time. */
export async function endEnding(database: Database, trx: Knex.Transaction, job: MaintainedJob): Promise<void> {
  const changed = await trx(JOBS)
    .where({ id: job.id, data_state: 'ending' })
    .update({ data_state: 'kept', data_delete_at: null, data_ending_since: null, updated_at: database.now() });
  if (changed > 0) await audit(database, trx, job, 'job.data_stays', {});
}

/**
 * ending → grace, over: the job is deleted with its data. False: a run of it goes on (a restore, perhaps), so not now. Maintenance does
 * not count, as when the owner deletes a job.
 */
export async function giveUpEnded(database: Database, trx: Knex.Transaction, job: MaintainedJob): Promise<boolean> {
  const busy = trx(RUNS)
    .where('job_id', job.id)
    .whereIn('status', [...activeStatuses])
    .whereNot('kind', 'maintenance')
    .select(trx.raw('1'));
  const changed = await trx(JOBS)
    .where({ id: job.id, data_state: 'ending' })
    .where('data_delete_at', '<=', database.now())
    .whereNotExists(busy)
    .update({
      status: 'deleted',
      data_state: 'grace',
      deleted_at: trx.raw('COALESCE(deleted_at, ?)', [database.now()]),
      next_run_at: null,
      good_by: null,
      overdue_since: null,
      retention_pending_json: null,
      retention_acts_at: null,
      updated_at: database.now(),
    });
  if (changed > 0) await audit(database, trx, job, 'job.deleted', { reason: 'service terminated', data: 'deleted' });
  return changed > 0;
}

async function audit(
  database: Database,
  trx: Knex.Transaction,
  job: MaintainedJob,
  action: string,
  params: Record<string, unknown>,
): Promise<void> {
  await appendAudit(database, trx, {
    actorKind: 'system',
    actorId: 'retention',
    clientId: job.clientId,
    action,
    targetKind: 'job',
    targetId: job.uuid,
    params,
  });
}
