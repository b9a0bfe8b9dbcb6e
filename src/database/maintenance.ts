import type { Knex } from 'knex';
import type { DataState } from '../retention/of-job.ts';
import { appendAudit } from './audit.ts';
import type { Database, Executor } from './connect.ts';
import { jobForRunColumns, toJobForRun, type JobForRun, type JobForRunRow } from './queue.ts';
import { pendingOf, retentionColumns } from './retention-rows.ts';
import { fromDatabaseTimeOrNull, toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';

/** A job whose maintenance is due, as the retention cron needs it; times are epoch milliseconds. */
export interface MaintainedJob extends JobForRun {
  readonly dataState: DataState;
  readonly dataDeleteAt: number | null;
  /** Since when the owner's service is known to be over, in epoch milliseconds. */
  readonly dataEndingSince: number | null;
  readonly maintenanceAt: number;
  /** JSON text of a retention that waits for its cool-off, and when it acts. */
  readonly pending: string | null;
  readonly pendingActsAt: number | null;
}

/** States in which a job's data needs looking after. */
export const maintainedStates = ['deleting', 'grace', 'ending', 'kept'] as const satisfies readonly DataState[];

export interface MaintenanceCursor {
  readonly maintenanceAt: number;
  readonly id: number;
}

/** Jobs of one state of their data whose maintenance is due, by time and number, after the cursor. Cloud jobs only. */
export function dueMaintenanceQuery(
  executor: Executor,
  state: DataState,
  now: number,
  after: MaintenanceCursor | null,
  limit: number,
): Knex.QueryBuilder {
  return executor(JOBS)
    .where('data_state', state)
    .where('maintenance_at', '<=', toDatabaseTime(now))
    .where({ engine: 'sync', agent_uuid: null })
    .modify((query) => {
      if (after === null) return;
      const time = toDatabaseTime(after.maintenanceAt);
      void query
        .where('maintenance_at', '>=', time)
        .where((later) => void later.where('maintenance_at', '>', time).orWhere('id', '>', after.id));
    })
    .orderBy('maintenance_at')
    .orderBy('id')
    .limit(limit)
    .select(
      ...jobForRunColumns,
      'data_state',
      'data_delete_at',
      'data_ending_since',
      'maintenance_at',
      'retention_pending_json',
      'retention_acts_at',
    );
}

export async function findDueMaintenance(
  database: Database,
  state: DataState,
  now: number,
  after: MaintenanceCursor | null,
  limit: number,
): Promise<MaintainedJob[]> {
  const rows = (await dueMaintenanceQuery(database.knex, state, now, after, limit)) as (JobForRunRow &
    Record<string, unknown>)[];
  const time = (value: unknown): number | null => fromDatabaseTimeOrNull((value as string | null) ?? null);
  return rows.map((row) => ({
    ...toJobForRun(row),
    dataState: row['data_state'] as DataState,
    dataDeleteAt: time(row['data_delete_at']),
    dataEndingSince: time(row['data_ending_since']),
    maintenanceAt: time(row['maintenance_at']) ?? 0,
    pending: row['retention_pending_json'] as string | null,
    pendingActsAt: time(row['retention_acts_at']),
  }));
}

/**
 * Moves the job on from exactly the maintenance that was read. Whoever changes the row does what was due, in the same transaction.
 * False: somebody else was faster, or the job was changed meanwhile; it stays due.
 */
export async function moveMaintenanceOn(trx: Knex.Transaction, job: MaintainedJob, next: number): Promise<boolean> {
  const changed = await trx(JOBS)
    .where({ id: job.id, data_state: job.dataState, maintenance_at: toDatabaseTime(job.maintenanceAt) })
    .where('retention_acts_at', job.pendingActsAt === null ? null : toDatabaseTime(job.pendingActsAt))
    .where('data_delete_at', job.dataDeleteAt === null ? null : toDatabaseTime(job.dataDeleteAt))
    .update({ maintenance_at: toDatabaseTime(next) });
  return changed > 0;
}

/** The retention whose cool-off is over comes into force. In the transaction of `moveMaintenanceOn`, as its last part but the run. */
export async function applyPending(database: Database, trx: Knex.Transaction, job: MaintainedJob): Promise<boolean> {
  const policy = pendingOf(job.pending);
  if (policy === null) return false;
  const changed = await trx(JOBS)
    .where({ id: job.id, retention_pending_json: job.pending })
    .update({
      ...retentionColumns(policy),
      retention_pending_json: null,
      retention_acts_at: null,
      updated_at: database.now(),
    });
  if (changed === 0) return false;
  await appendAudit(database, trx, {
    actorKind: 'system',
    actorId: 'retention',
    clientId: job.clientId,
    action: 'retention.applied',
    targetKind: 'job',
    targetId: job.uuid,
    params: { retention: policy },
  });
  return true;
}

/** Maintenance of the job is due so soon at the latest. */
export async function hastenMaintenance(
  database: Database,
  executor: Executor,
  jobId: number,
  inMs: number,
): Promise<void> {
  await executor(JOBS)
    .where('id', jobId)
    .whereNot('data_state', 'gone')
    .where((later) => void later.whereNull('maintenance_at').orWhere('maintenance_at', '>', database.now(inMs)))
    .update({ maintenance_at: database.now(inMs) });
}

/** What lies in the bucket for the job, as a listing of all of it says. In the transaction that ends the run which listed it. */
export async function recordStoredBytes(trx: Knex.Transaction, jobId: number, bytes: number): Promise<void> {
  await trx(JOBS).where('id', jobId).update({ stored_bytes: bytes });
}
