import type { Knex } from 'knex';
import { BackupError } from '../errors/backup-error.ts';
import { planJob, type DataState, type JobPlan, type JobRetention, type LivePoint } from '../retention/of-job.ts';
import { ownedStatuses } from '../runs/state.ts';
import { firstTimezone } from '../schedule/zone.ts';
import { appendAudit } from './audit.ts';
import type { Database, Executor } from './connect.ts';
import type { Lease } from './leases.ts';
import { policyOf, type RetentionColumns } from './retention-rows.ts';
import { toPoint, type PointRow, type PointState } from './restore-points.ts';
import { fromDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const POINTS = 's3_cloudbackup_restore_points';
const RUNS = 's3_cloudbackup_runs';

/** A point that is not pruned, with what planning needs beside what the protocol needs. */
export interface PlannablePoint extends PointRow {
  readonly status: 'success' | 'warning';
  readonly pinned: boolean;
  readonly holds: number;
  /** Epoch milliseconds: the manifest's own time. */
  readonly createdAt: number;
}

/** What the columns of a job say about its retention. */
export interface RetentionOfJob extends JobRetention {
  readonly uuid: string;
  readonly clientId: number;
  /** The job's own zone and its client's default, where they have one. */
  readonly timezones: readonly (string | null)[];
  /** The columns as they were read: the condition of what acts on them. */
  readonly columns: RetentionColumns;
}

/** Throws JOB_NOT_FOUND. */
export async function readRetention(executor: Executor, jobId: number): Promise<RetentionOfJob> {
  const row = (await executor(`${JOBS} as j`)
    .leftJoin('s3_cloudbackup_settings as s', 's.client_id', 'j.client_id')
    .where('j.id', jobId)
    .first(
      'j.uuid',
      'j.client_id',
      'j.status',
      'j.frozen_at',
      'j.data_state',
      'j.timezone',
      'j.retention_mode',
      'j.retention_value',
      'j.retention_json',
      's.default_timezone',
    )) as Record<string, unknown> | undefined;
  if (row === undefined) throw new BackupError('JOB_NOT_FOUND');
  const columns = {
    retention_mode: String(row['retention_mode']),
    retention_value: row['retention_value'] === null ? null : Number(row['retention_value']),
    retention_json: row['retention_json'] as string | null,
  };
  return {
    uuid: String(row['uuid']),
    clientId: Number(row['client_id']),
    policy: policyOf(columns),
    frozen: row['frozen_at'] !== null,
    deleted: row['status'] === 'deleted',
    dataState: row['data_state'] as DataState,
    timezones: [row['timezone'] as string | null, row['default_timezone'] as string | null],
    columns,
  };
}

export function plannablePointsQuery(executor: Executor, jobId: number): Knex.QueryBuilder {
  return executor(POINTS)
    .where('job_id', jobId)
    .whereIn('state', ['kept', 'marked', 'deleting'])
    .orderBy('generation')
    .select('*');
}

/** The points of a job that are not pruned, oldest generation first. */
export async function plannablePoints(executor: Executor, jobId: number): Promise<PlannablePoint[]> {
  const rows = (await plannablePointsQuery(executor, jobId)) as Record<string, unknown>[];
  return rows.map((row) => ({
    ...toPoint(row),
    status: row['status'] === 'success' ? 'success' : 'warning',
    pinned: row['pinned_at'] !== null,
    holds: Number(row['holds']),
    createdAt: fromDatabaseTime(String(row['created_at'])),
  }));
}

export function toLivePoint(point: PlannablePoint): LivePoint {
  return {
    id: point.uuid,
    createdAt: point.createdAt,
    generation: point.generation,
    status: point.status,
    pinned: point.pinned,
    state: point.state as Exclude<PointState, 'pruned'>,
  };
}

/**
 * What goes now, by the database's clock.
 * @param hostTimezone zone where neither the job nor its client has one
 */
export async function planNow(
  database: Database,
  executor: Executor,
  jobId: number,
  hostTimezone: string | null,
): Promise<JobPlan & { readonly job: RetentionOfJob; readonly points: readonly PlannablePoint[] }> {
  const job = await readRetention(executor, jobId);
  const points = await plannablePoints(executor, jobId);
  const now = fromDatabaseTime(await database.readClock(executor));
  const plan = planJob(job, points.map(toLivePoint), { now, timezone: firstTimezone(...job.timezones, hostTimezone) });
  return { ...plan, job, points };
}

/** kept → marked, where nobody holds or pinned the point. Returns those of `uuids` that are marked now. Throws ERR_LEASE_LOST. */
export async function markPoints(
  database: Database,
  lease: Lease,
  jobId: number,
  uuids: readonly string[],
): Promise<string[]> {
  return await database.transaction(async (trx) => {
    await requireOwned(trx, lease);
    const { dataState } = await readRetention(trx, jobId);
    await inParts(uuids, async (part) => {
      await pointsIn(trx, jobId, part, 'kept')
        .where('holds', 0)
        .modify(unlessAllGo, dataState)
        .whereExists(ownedRun(trx, lease))
        .update({ state: 'marked', marked_at: database.now() });
    });
    return await inState(trx, jobId, uuids, 'marked');
  });
}

/** marked → kept; the worker has taken the tombstone away before. Throws ERR_LEASE_LOST. */
export async function unmarkPoints(
  database: Database,
  lease: Lease,
  jobId: number,
  uuids: readonly string[],
): Promise<void> {
  await database.transaction(async (trx) => {
    await requireOwned(trx, lease);
    await inParts(uuids, async (part) => {
      await pointsIn(trx, jobId, part, 'marked')
        .whereExists(ownedRun(trx, lease))
        .update({ state: 'kept', marked_at: null });
    });
  });
}

/**
 * marked → deleting, for good. One conditional update says so: marked, held by nobody, not pinned, the lease still ours, and the job's
 * retention, freeze and data as they were when the plan was made, in this same transaction, which also writes the audit log. Returns
 * those of `uuids` that are being deleted now, also those that an earlier call confirmed. Throws ERR_LEASE_LOST.
 */
export async function confirmPoints(
  database: Database,
  lease: Lease,
  jobId: number,
  uuids: readonly string[],
  hostTimezone: string | null,
): Promise<string[]> {
  return await database.transaction(async (trx) => {
    await requireOwned(trx, lease);
    const plan = await planNow(database, trx, jobId, hostTimezone);
    const wanted = new Set(uuids);
    const goes = plan.remove.filter((uuid) => wanted.has(uuid));
    let confirmed = 0;
    await inParts(goes, async (part) => {
      confirmed += await pointsIn(trx, jobId, part, 'marked')
        .where('holds', 0)
        .modify(unlessAllGo, plan.job.dataState)
        .whereExists(ownedRun(trx, lease))
        .whereExists(unchangedJob(trx, jobId, plan.job))
        .update({ state: 'deleting' });
    });
    const deleting = await inState(trx, jobId, uuids, 'deleting');
    if (confirmed > 0) await auditDeletion(database, trx, lease, plan.job, deleting);
    return deleting;
  });
}

/** Who reads the log sees which points went, and by which run. */
async function auditDeletion(
  database: Database,
  trx: Knex.Transaction,
  lease: Lease,
  job: RetentionOfJob,
  points: readonly string[],
): Promise<void> {
  await appendAudit(database, trx, {
    actorKind: 'worker',
    actorId: lease.runUuid,
    clientId: job.clientId,
    action: 'points.deleted',
    targetKind: 'job',
    targetId: job.uuid,
    params: { count: points.length, points: points.slice(0, 200), retention: job.policy, data: job.dataState },
  });
}

/**
 * deleting → pruned, and the job holds so much less. Counted once, however often it is called. Throws ERR_LEASE_LOST.
 * @param freedBytes bytes of the objects that went with this point
 */
export async function finishPoint(
  database: Database,
  lease: Lease,
  jobId: number,
  uuid: string,
  freedBytes: number,
): Promise<void> {
  await database.transaction(async (trx) => {
    await requireOwned(trx, lease);
    const pruned = await pointsIn(trx, jobId, [uuid], 'deleting')
      .whereExists(ownedRun(trx, lease))
      .update({ state: 'pruned', pruned_at: database.now(), freed_bytes: Math.max(0, Math.round(freedBytes)) });
    if (pruned === 0) return;
    await trx(JOBS)
      .where('id', jobId)
      .update({
        stored_bytes: trx.raw('CASE WHEN stored_bytes > ? THEN stored_bytes - ? ELSE 0 END', [freedBytes, freedBytes]),
      });
  });
}

/** Throws ERR_LEASE_LOST unless the run is still this lease's, and it stays so until the transaction is over. */
export async function requireOwned(trx: Knex.Transaction, lease: Lease): Promise<void> {
  const row: unknown = await ownedRun(trx, lease).forShare().first();
  if (row === undefined) throw new BackupError('ERR_LEASE_LOST');
}

/** The run of this lease, as a condition. */
export function ownedRun(trx: Knex.Transaction, lease: Lease): Knex.QueryBuilder {
  return trx(RUNS)
    .where({ id: lease.runId, lease_token: lease.token })
    .whereIn('status', [...ownedStatuses])
    .select('id');
}

/** The job, if what was planned from is still so. Null compares as null. */
function unchangedJob(trx: Knex.Transaction, jobId: number, job: RetentionOfJob): Knex.QueryBuilder {
  return trx(JOBS)
    .where({ id: jobId, data_state: job.dataState, ...job.columns })
    .modify((query) => {
      if (job.dataState !== 'deleting') void query.whereNull('frozen_at').whereNot('status', 'deleted');
    })
    .select('id');
}

/** A pin keeps a point from retention; when all data of the job goes, it goes with it. */
function unlessAllGo(query: Knex.QueryBuilder, dataState: DataState): void {
  if (dataState !== 'deleting') void query.whereNull('pinned_at');
}

function pointsIn(
  trx: Knex.Transaction,
  jobId: number,
  uuids: readonly string[],
  state: PointState,
): Knex.QueryBuilder {
  return trx(POINTS)
    .where({ job_id: jobId, state })
    .whereIn('uuid', [...uuids]);
}

async function inState(
  trx: Knex.Transaction,
  jobId: number,
  uuids: readonly string[],
  state: PointState,
): Promise<string[]> {
  const found: string[] = [];
  await inParts(uuids, async (part) => {
    const rows = (await pointsIn(trx, jobId, part, state).select('uuid')) as { uuid: string }[];
    found.push(...rows.map((row) => row.uuid));
  });
  return found;
}

async function inParts(uuids: readonly string[], work: (part: readonly string[]) => Promise<void>): Promise<void> {
  for (let start = 0; start < uuids.length; start += 500) await work(uuids.slice(start, start + 500));
}
