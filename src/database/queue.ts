import type { Knex } from 'knex';
import { v7 } from 'uuid';
import { BackupError } from '../errors/backup-error.ts';
import { event, type RunEvent } from '../events/catalogue.ts';
import { activeKey, statusesBefore, type RunKind, type RunStatus } from '../runs/state.ts';
import { isDuplicate, type Database, type Executor } from './connect.ts';
import { appendEvents } from './events.ts';
import { toDatabaseTime } from './times.ts';

const RUNS = 's3_cloudbackup_runs';
const JOBS = 's3_cloudbackup_jobs';

/** A run that nobody took ends after this time, so that it never blocks later slots. */
export const QUEUE_EXPIRY_MS = 24 * 3_600_000;

/** What a run takes over from its job when it is queued. */
export interface JobForRun {
  readonly id: number;
  readonly uuid: string;
  readonly clientId: number;
  readonly status: string;
  readonly agentUuid: string | null;
  readonly engine: string;
  readonly maxAttempts: number;
  readonly validationMode: string;
  readonly destBucket: string;
  readonly destPrefix: string;
  readonly tenantId: number | null;
  readonly repositoryId: string | null;
}

export interface QueueRequest {
  /** Default `backup`. */
  readonly kind?: RunKind;
  readonly trigger: 'manual' | 'schedule' | 'validation';
  /** Epoch milliseconds of the schedule's slot: one run a job, kind and slot, for ever. */
  readonly slotAt?: number;
  /** Why it starts when it does, e.g. `catch_up`. */
  readonly startReason?: string;
  /** What this run alone may do or has to do (`{ allow_empty: true }`, the target of a restore). Never secrets. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly parentRunUuid?: string;
  /** Milliseconds after which the run fails if nobody has taken it. Default 24 h. */
  readonly expiryMs?: number;
  /** Told in the same transaction, after the run's first event. */
  readonly events?: readonly RunEvent[];
  /** Epoch milliseconds; by default the database's clock. */
  readonly now?: number;
  readonly newId?: () => string;
}

export interface ActiveRun {
  readonly id: number;
  readonly uuid: string;
  readonly kind: RunKind;
  readonly status: RunStatus;
}

export type QueueResult =
  | { readonly outcome: 'queued'; readonly runId: number; readonly runUuid: string }
  /** Another run holds the job. `yielding`: it is maintenance or validation and was asked to make room; try again soon. */
  | { readonly outcome: 'active'; readonly existing: ActiveRun; readonly yielding: boolean }
  /** This slot has its run already. */
  | { readonly outcome: 'slot_taken' };

const queuedEvents: Readonly<Record<RunKind, RunEvent>> = {
  backup: event('BACKUP_QUEUED'),
  restore: event('RESTORE_QUEUED'),
  validation: event('VALIDATION_QUEUED'),
  drill: event('DRILL_QUEUED'),
  maintenance: event('MAINTENANCE_QUEUED'),
};

/**
 * Queues a run of a job in the caller's transaction. Backup, validation and maintenance are one at a time a job: the unique
 * `active_key` decides, whoever else tries at the same moment. Nothing is thrown for that, so that the caller's transaction can go on
 * (a slot that is skipped needs its row) and the wish to yield is committed.
 */
export async function queueRun(
  trx: Knex.Transaction,
  database: Database,
  job: JobForRun,
  request: QueueRequest,
): Promise<QueueResult> {
  const kind = request.kind ?? 'backup';
  for (let tries = 0; ; tries += 1) {
    try {
      return await insertQueued(trx, database, job, kind, request);
    } catch (error) {
      // The insert alone failed; the transaction lives on, in both databases.
      if (!isDuplicate(error) || tries >= 3) throw error;
    }
    const existing = await findActiveRun(trx, job.uuid);
    if (existing !== null) {
      const way = await makeRoom(trx, database, kind, existing, request.now);
      if (way === 'free') continue;
      return { outcome: 'active', existing, yielding: way === 'yielding' };
    }
    if (request.slotAt !== undefined && (await isSlotTaken(trx, job.id, kind, request.slotAt))) {
      return { outcome: 'slot_taken' };
    }
    // The run that was in the way ended between the two statements.
  }
}

async function insertQueued(
  trx: Knex.Transaction,
  database: Database,
  job: JobForRun,
  kind: RunKind,
  request: QueueRequest,
): Promise<QueueResult> {
  const runUuid = (request.newId ?? v7)();
  const [runId] = (await trx(RUNS).insert({
    uuid: runUuid,
    ...runColumnsOfJob(job),
    kind,
    trigger_type: request.trigger,
    status: 'queued',
    active_key: activeKey(kind, job.uuid),
    slot_at: request.slotAt === undefined ? null : toDatabaseTime(request.slotAt),
    start_reason: request.startReason ?? null,
    parent_run_uuid: request.parentRunUuid ?? null,
    options_json: request.options === undefined ? null : JSON.stringify(request.options),
    max_attempts: job.maxAttempts,
    validation_mode: job.validationMode,
    expires_at: timeOf(database, request.now, request.expiryMs ?? QUEUE_EXPIRY_MS),
    created_at: timeOf(database, request.now),
    updated_at: timeOf(database, request.now),
  })) as number[];
  const anyway = Object.entries(request.options ?? {})
    .filter(([name, value]) => name.startsWith('allow_') && value === true)
    .map(([name]) => event('RUN_ANYWAY', { option: name }));
  const events = [queuedEvents[kind], ...anyway, ...(request.events ?? [])];
  await appendEvents(
    trx,
    database,
    Number(runId),
    events.map((one) => at(one, request.now)),
  );
  return { outcome: 'queued', runId: Number(runId), runUuid };
}

/** Columns of a run that are its job's. */
export function runColumnsOfJob(job: JobForRun): Record<string, unknown> {
  return {
    job_id: job.id,
    job_uuid: job.uuid,
    client_id: job.clientId,
    agent_uuid: job.agentUuid,
    engine: job.engine,
    dest_bucket: job.destBucket,
    dest_prefix: job.destPrefix,
    tenant_id: job.tenantId,
    repository_id: job.repositoryId,
  };
}

/** The database's clock, or a given one (tests simulate years). */
export function timeOf(database: Database, now: number | undefined, offsetMs = 0): Knex.Raw | string {
  return now === undefined ? database.now(offsetMs) : toDatabaseTime(now + offsetMs);
}

function at(given: RunEvent, now: number | undefined): RunEvent & { ts?: number } {
  return now === undefined ? given : { ...given, ts: now };
}

/** The backup, validation or maintenance run that is queued, starting or running, as it was committed last. */
export async function findActiveRun(trx: Knex.Transaction, jobUuid: string): Promise<ActiveRun | null> {
  const row = (await trx(RUNS)
    .where('active_key', activeKey('backup', jobUuid))
    .forUpdate()
    .first('id', 'uuid', 'kind', 'status')) as ActiveRun | undefined;
  return row === undefined ? null : { ...row, id: Number(row.id) };
}

/** What a backup does about the run in its way: maintenance and validation give way, backups do not. */
async function makeRoom(
  trx: Knex.Transaction,
  database: Database,
  kind: RunKind,
  existing: ActiveRun,
  now: number | undefined,
): Promise<'free' | 'yielding' | 'busy'> {
  if (kind !== 'backup' || existing.kind === 'backup') return 'busy';
  const ended = await trx(RUNS)
    .where('id', existing.id)
    .whereIn('status', statusesBefore('cancel', 'cancelled'))
    .update({
      status: 'cancelled',
      phase: 'finished',
      active_key: null,
      error_code: 'ERR_CANCELLED',
      finished_at: timeOf(database, now),
      updated_at: timeOf(database, now),
    });
  if (ended > 0) {
    await appendEvents(trx, database, existing.id, [at(event('YIELDED'), now)]);
    return 'free';
  }
  const asked = await trx(RUNS)
    .where('id', existing.id)
    .where('yield_requested', 0)
    .update({ yield_requested: 1, updated_at: timeOf(database, now) });
  if (asked > 0) await appendEvents(trx, database, existing.id, [at(event('YIELD_REQUESTED'), now)]);
  return 'yielding';
}

async function isSlotTaken(trx: Knex.Transaction, jobId: number, kind: RunKind, slotAt: number): Promise<boolean> {
  const row: unknown = await trx(RUNS)
    .where({ job_id: jobId, kind, slot_at: toDatabaseTime(slotAt) })
    .forUpdate()
    .first('id');
  return row !== undefined;
}

/** The job of this client, as far as a run needs it; null: none, another client's, or deleted. */
export async function findJobForRun(executor: Executor, clientId: number, jobUuid: string): Promise<JobForRun | null> {
  const row = (await executor(JOBS)
    .where({ uuid: jobUuid, client_id: clientId })
    .whereNot('status', 'deleted')
    .first(...jobForRunColumns)) as JobForRunRow | undefined;
  return row === undefined ? null : toJobForRun(row);
}

export const jobForRunColumns = [
  'id',
  'uuid',
  'client_id',
  'status',
  'agent_uuid',
  'engine',
  'max_attempts',
  'validation_mode',
  'dest_bucket_name',
  'dest_prefix',
  'tenant_id',
  'repository_id',
] as const;

export interface JobForRunRow {
  id: number;
  uuid: string;
  client_id: number;
  status: string;
  agent_uuid: string | null;
  engine: string;
  max_attempts: number;
  validation_mode: string;
  dest_bucket_name: string;
  dest_prefix: string;
  tenant_id: number | null;
  repository_id: string | null;
}

export function toJobForRun(row: JobForRunRow): JobForRun {
  return {
    id: Number(row.id),
    uuid: row.uuid,
    clientId: Number(row.client_id),
    status: row.status,
    agentUuid: row.agent_uuid,
    engine: row.engine,
    maxAttempts: Number(row.max_attempts),
    validationMode: row.validation_mode,
    destBucket: row.dest_bucket_name,
    destPrefix: row.dest_prefix,
    tenantId: row.tenant_id === null ? null : Number(row.tenant_id),
    repositoryId: row.repository_id,
  };
}

export interface StartRequest {
  readonly clientId: number;
  readonly jobUuid: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** How long to wait for maintenance or validation to make room. Default 8 s; 0 = do not wait. */
  readonly waitMs?: number;
  /** Done in the transaction that queues the run, as its last part: an entry of the audit log. */
  readonly alongside?: (trx: Knex.Transaction, runUuid: string) => Promise<void>;
}

/**
 * A start by hand: queues a backup run of this client's job. Throws JOB_NOT_FOUND (also for another client's job), JOB_PAUSED, and
 * ALREADY_RUNNING with `existing_run_id`, `existing_run_status`, `existing_run_kind`, `yielding` in its details. Whether the client's
 * service allows new runs is asked by the caller, who knows the host.
 */
export async function startRun(database: Database, request: StartRequest): Promise<{ runId: number; runUuid: string }> {
  const deadline = performance.now() + (request.waitMs ?? 8_000);
  for (;;) {
    const result = await database.transaction(async (trx) => {
      const job = await findJobForRun(trx, request.clientId, request.jobUuid);
      if (job === null) throw new BackupError('JOB_NOT_FOUND');
      if (job.status !== 'active') throw new BackupError('JOB_PAUSED');
      const queued = await queueRun(trx, database, job, {
        trigger: 'manual',
        ...(request.options === undefined ? {} : { options: request.options }),
      });
      if (queued.outcome === 'queued') await request.alongside?.(trx, queued.runUuid);
      return queued;
    });
    if (result.outcome === 'queued') return { runId: result.runId, runUuid: result.runUuid };
    if (result.outcome === 'slot_taken') throw new BackupError('CONFLICT');
    if (!result.yielding || performance.now() >= deadline) throw alreadyRunning(result);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function alreadyRunning(result: Extract<QueueResult, { outcome: 'active' }>): BackupError {
  const message = result.yielding
    ? 'Maintenance of this job is making room for the backup. Try again in a moment.'
    : undefined;
  return new BackupError('ALREADY_RUNNING', message, {
    details: {
      existing_run_id: result.existing.uuid,
      existing_run_status: result.existing.status,
      existing_run_kind: result.existing.kind,
      yielding: result.yielding,
    },
  });
}
