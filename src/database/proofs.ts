import type { Knex } from 'knex';
import { v7 } from 'uuid';
import { isTerminal, type RunStatus } from '../runs/state.ts';
import type { Database, Executor } from './connect.ts';
import { enqueueNotice } from './outbox.ts';
import { findJobForRun, jobForRunColumns, queueRun, toJobForRun, type JobForRun, type JobForRunRow } from './queue.ts';
import { pageByTime, type Cursor } from './schedule.ts';
import { fromDatabaseTime, fromDatabaseTimeOrNull, toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const RUNS = 's3_cloudbackup_runs';
const POINTS = 's3_cloudbackup_restore_points';
const DRILLS = 's3_cloudbackup_drills';

const DAY_MS = 86_400_000;
/** After a backup took its place, a validation that is due comes again this much later. */
const AFTER_BACKUP_MS = 3_600_000;

/** `size_only`: nothing is wrong as far as it could be compared, and not everything could be compared by content. */
export type ProofStatus = 'success' | 'size_only' | 'failed';
export type ProofName = 'validation' | 'drill';

// --- what a worker writes ---

export interface ValidationEnd {
  readonly run: { readonly id: number; readonly jobId: number };
  /** The backup run whose point was compared, if its validation belongs to it. */
  readonly parentRunUuid: string | null;
  /** Null: it was stopped before it found anything. */
  readonly status: ProofStatus | null;
  /** It came to its end. */
  readonly complete: boolean;
  /** What it found, in a few lines. */
  readonly excerpt: string;
}

/** The result of a validation on its run, on the backup run that it belongs to, and on the job; in the transaction that ends it. */
export async function recordValidation(database: Database, trx: Knex.Transaction, end: ValidationEnd): Promise<void> {
  const told = { validation_status: end.status ?? 'not_run', validation_log_excerpt: end.excerpt };
  await trx(RUNS).where('id', end.run.id).update(told);
  if (end.parentRunUuid !== null)
    await trx(RUNS).where({ uuid: end.parentRunUuid, job_id: end.run.jobId }).update(told);
  const everyDays = await intervalOf(trx, end.run.jobId, 'validation_every_days');
  const nextMs = end.complete ? (everyDays ?? 0) * DAY_MS : AFTER_BACKUP_MS;
  await trx(JOBS)
    .where('id', end.run.jobId)
    .update({
      ...(end.status === null ? {} : { validation_last_status: end.status, validation_last_at: database.now() }),
      ...(everyDays === null ? {} : { validation_next_at: database.now(nextMs) }),
    });
}

export interface DrillEnd {
  readonly run: { readonly uuid: string; readonly jobId: number; readonly clientId: number };
  readonly pointUuid: string | null;
  readonly status: ProofStatus;
  readonly files: number;
  readonly exact: number;
  readonly sizeOnly: number;
  readonly problems: number;
  readonly bytes: number;
  readonly durationMs: number;
  readonly canary: string | null;
}

/** The dated record of a restore test, and its result on the job, in the transaction that ends it. A good one ends what was overdue. */
export async function recordDrill(database: Database, trx: Knex.Transaction, end: DrillEnd): Promise<void> {
  await trx(DRILLS).insert({
    uuid: v7(),
    client_id: end.run.clientId,
    job_id: end.run.jobId,
    run_uuid: end.run.uuid,
    point_uuid: end.pointUuid,
    status: end.status,
    files: end.files,
    exact: end.exact,
    size_only: end.sizeOnly,
    problems: end.problems,
    bytes: end.bytes,
    duration_ms: end.durationMs,
    canary_path: end.canary?.toWellFormed() ?? null,
    started_at: database.now(-end.durationMs),
    finished_at: database.now(),
  });
  const everyDays = await intervalOf(trx, end.run.jobId, 'drill_every_days');
  const good = end.status !== 'failed';
  await trx(JOBS)
    .where('id', end.run.jobId)
    .update({
      drill_last_status: end.status,
      drill_last_at: database.now(),
      ...(good ? { drill_overdue_since: null } : {}),
      // One that failed is repeated after a day (`moveProofOn`).
      ...(good && everyDays !== null ? { drill_next_at: database.now(everyDays * DAY_MS) } : {}),
    });
}

async function intervalOf(
  executor: Executor,
  jobId: number,
  column: 'validation_every_days' | 'drill_every_days',
): Promise<number | null> {
  const row = (await executor(JOBS).where('id', jobId).first(column)) as Record<string, number | null> | undefined;
  const days = row?.[column];
  return days === null || days === undefined ? null : Number(days);
}

/** Path of the small file that the last restore test read, or null. */
export async function lastCanary(database: Database, jobId: number): Promise<string | null> {
  const row = (await lastCanaryQuery(database, jobId)) as { canary_path: string } | undefined;
  return row?.canary_path ?? null;
}

export function lastCanaryQuery(database: Database, jobId: number): Knex.QueryBuilder {
  return database
    .knex(DRILLS)
    .where('job_id', jobId)
    .whereNotNull('canary_path')
    .orderBy('id', 'desc')
    .first('canary_path');
}

/** The newest point of a job that is kept, or null. */
export async function newestKeptPoint(executor: Executor, jobId: number): Promise<string | null> {
  const row = (await executor(POINTS)
    .where({ job_id: jobId, state: 'kept' })
    .orderBy('generation', 'desc')
    .first('uuid')) as { uuid: string } | undefined;
  return row?.uuid ?? null;
}

/** Findings of so many validations and restore tests count, the newest first; those that found nothing are not among them. */
const FINDINGS = 20;

/**
 * Paths whose object a validation or a restore test found missing or altered since the run that made a point of the job began: that run asked
 * at its beginning, and a restore test may go on beside it.
 */
export async function damagedSince(
  database: Database,
  of: { readonly jobId: number; readonly pointUuid: string },
): Promise<Set<string>> {
  const point = (await database
    .knex(`${POINTS} as p`)
    .leftJoin(`${RUNS} as r`, 'r.id', 'p.run_id')
    .where({ 'p.uuid': of.pointUuid, 'p.job_id': of.jobId })
    .first('r.started_at', 'p.finished_at', 'p.created_at')) as
    { started_at: string | null; finished_at: string | null; created_at: string } | undefined;
  if (point === undefined) return new Set();
  const since = point.started_at ?? point.finished_at ?? point.created_at;
  const runs = (await proofsSince(database, of.jobId, since)) as { id: number }[];
  const found = new Set<string>();
  for (const { id } of runs) {
    const rows = (await damagedFiles(database, id)) as { path: string }[];
    for (const { path } of rows) found.add(path);
  }
  return found;
}

/** Those that ended since then. One waits no longer than a day until it begins, and reads for hours at most. */
export function proofsSince(database: Database, jobId: number, since: string): Knex.QueryBuilder {
  return database
    .knex(RUNS)
    .where('job_id', jobId)
    .whereIn('kind', ['validation', 'drill'])
    .where('created_at', '>=', toDatabaseTime(fromDatabaseTime(since) - 2 * DAY_MS))
    .where('finished_at', '>=', since)
    .whereIn('status', ['failed', 'cancelled'])
    .orderBy('created_at', 'desc')
    .limit(FINDINGS)
    .select('id');
}

export function damagedFiles(database: Database, runId: number): Knex.QueryBuilder {
  return database
    .knex('s3_cloudbackup_run_files')
    .where('run_id', runId)
    .whereIn('kind', ['missing', 'differs'])
    .whereIn('code', ['OBJECT_MISSING', 'OBJECT_SIZE', 'OBJECT_DIFFERS'])
    .select('path');
}

/** When a run was queued, in epoch milliseconds; null: there is no such run any more. */
export async function runBegunAt(database: Database, runUuid: string): Promise<number | null> {
  const row = (await database.knex(RUNS).where('uuid', runUuid).first('created_at')) as
    { created_at: string } | undefined;
  return row === undefined ? null : fromDatabaseTime(row.created_at);
}

/**
 * Queues the validation of a backup that has just been committed, in the transaction of the commit: the point does not wait for it.
 * Nothing, where the run asks for none or the job was deleted meanwhile.
 */
export async function queueValidationAfter(
  trx: Knex.Transaction,
  database: Database,
  run: { readonly id: number; readonly uuid: string; readonly jobUuid: string; readonly clientId: number },
): Promise<void> {
  const row = (await trx(RUNS).where('id', run.id).first('validation_mode')) as { validation_mode: string } | undefined;
  if (row?.validation_mode !== 'post_run') return;
  const job = await findJobForRun(trx, run.clientId, run.jobUuid);
  if (job === null) return;
  await queueRun(trx, database, job, {
    kind: 'validation',
    trigger: 'validation',
    parentRunUuid: run.uuid,
    options: { run: run.uuid },
  });
}

// --- what the clockwork needs ---

const COLUMNS = {
  validation: { next: 'validation_next_at', every: 'validation_every_days' },
  drill: { next: 'drill_next_at', every: 'drill_every_days' },
} as const;

export interface DueProof extends JobForRun {
  /** Epoch milliseconds. */
  readonly dueAt: number;
  /** Null: it was switched off, and its date was left behind. */
  readonly everyDays: number | null;
}

/** Active jobs whose validation or restore test is due, whosoever they are, by time and number. */
export function dueProofs(
  database: Database,
  name: ProofName,
  now: number,
  after: Cursor | null,
  limit: number,
): Knex.QueryBuilder {
  const { next, every } = COLUMNS[name];
  const jobs = database
    .knex(`${JOBS} as j`)
    .select(...jobForRunColumns.map((column) => `j.${column}`), `j.${next} as due_at`, `j.${every} as every_days`);
  return pageByTime(jobs, `j.${next}`, now, after, limit);
}

export async function findDueProofs(
  database: Database,
  name: ProofName,
  now: number,
  after: Cursor | null,
  limit: number,
): Promise<DueProof[]> {
  const rows = (await dueProofs(database, name, now, after, limit)) as (JobForRunRow & {
    due_at: string;
    every_days: number | null;
  })[];
  return rows.map((row) => ({
    ...toJobForRun(row),
    dueAt: fromDatabaseTime(row.due_at),
    everyDays: row.every_days === null ? null : Number(row.every_days),
  }));
}

/**
 * Moves a job on from the date that was read. Whoever changes the row carries it out, in the same transaction. The end of the run sets the
 * date anew; until then it comes again at `next`, so that one that was lost is repeated. False: somebody else was faster.
 */
export async function moveProofOn(
  trx: Knex.Transaction,
  name: ProofName,
  job: DueProof,
  next: number | null,
): Promise<boolean> {
  const column = COLUMNS[name].next;
  const changed = await trx(JOBS)
    .where({ id: job.id, status: 'active', [column]: toDatabaseTime(job.dueAt) })
    .update({ [column]: next === null ? null : toDatabaseTime(next) });
  return changed > 0;
}

export async function putProofOff(trx: Knex.Transaction, name: ProofName, jobId: number, at: number): Promise<void> {
  await trx(JOBS)
    .where('id', jobId)
    .update({ [COLUMNS[name].next]: toDatabaseTime(at) });
}

/** The newest run of this kind of a job: whether it is still to end, and whether it ended well. */
export async function lastProof(
  executor: Executor,
  name: ProofName,
  jobId: number,
): Promise<{
  readonly createdAt: number;
  readonly active: boolean;
  readonly good: boolean;
  readonly failed: boolean;
} | null> {
  const row = (await lastProofQuery(executor, name, jobId)) as { status: RunStatus; created_at: string } | undefined;
  if (row === undefined) return null;
  return {
    createdAt: fromDatabaseTime(row.created_at),
    active: !isTerminal(row.status),
    good: row.status === 'success' || row.status === 'warning',
    failed: row.status === 'failed',
  };
}

export function lastProofQuery(executor: Executor, name: ProofName, jobId: number): Knex.QueryBuilder {
  return executor(RUNS)
    .where({ job_id: jobId, kind: name satisfies 'validation' | 'drill' })
    .orderBy('created_at', 'desc')
    .first('status', 'created_at');
}

/**
 * A job's restore test is overdue since then; the first date stands until a good one ends it. Its owner is told, unless the mail about one
 * that failed has done so.
 */
export async function markDrillOverdue(
  trx: Knex.Transaction,
  database: Database,
  job: Pick<JobForRun, 'id' | 'uuid' | 'clientId'>,
  overdue: { readonly since: number; readonly told: boolean; readonly now: number },
): Promise<number> {
  const { since, told, now } = overdue;
  const row = (await trx(JOBS).where('id', job.id).first('drill_overdue_since')) as
    { drill_overdue_since: string | null } | undefined;
  const known = fromDatabaseTimeOrNull(row?.drill_overdue_since ?? null);
  if (known !== null) return known;
  await trx(JOBS)
    .where('id', job.id)
    .update({ drill_overdue_since: toDatabaseTime(since) });
  if (!told) {
    await enqueueNotice(trx, database, {
      dedupeKey: `drill_overdue:${job.uuid}:${since}`,
      kind: 'drill_overdue',
      clientId: job.clientId,
      jobId: job.id,
      payload: { since },
      now,
    });
  }
  return since;
}
