import type { Knex } from 'knex';
import { v7 } from 'uuid';
import { endEvents } from '../events/endings.ts';
import { event, type EventParams } from '../events/catalogue.ts';
import { statusesBefore, type RunKind } from '../runs/state.ts';
import type { ScheduleColumns } from '../schedule/schedule.ts';
import { startJitterMs } from '../schedule/slots.ts';
import { firstTimezone } from '../schedule/zone.ts';
import { isDuplicate, type Database, type Executor } from './connect.ts';
import { appendEvents } from './events.ts';
import { enqueueRunNotice } from './outbox.ts';
import { jobForRunColumns, runColumnsOfJob, timeOf, toJobForRun, type JobForRun, type JobForRunRow } from './queue.ts';
import { fromDatabaseTimeOrNull, toDatabaseTime } from './times.ts';

const JOBS = 's3_cloudbackup_jobs';
const RUNS = 's3_cloudbackup_runs';
const SETTINGS = 's3_cloudbackup_settings';

/** A job as the scheduler needs it; times are epoch milliseconds. */
export interface ScheduledJob extends JobForRun {
  readonly schedule: ScheduleColumns;
  readonly timezone: string | null;
  readonly clientTimezone: string | null;
  readonly nextRunAt: number | null;
  readonly goodBy: number | null;
  readonly overdueSince: number | null;
  readonly lastGoodAt: number | null;
  readonly catchUp: boolean;
  readonly jitterMs: number;
  readonly graceMs: number;
}

const scheduleColumnNames = [
  'schedule_type',
  'schedule_time',
  'schedule_weekday',
  'schedule_cron',
  'schedule_json',
] as const;

/** Jobs with what decides their slots, whosoever they are: for the scheduler and the overdue watch. */
export function scheduledJobs(executor: Executor): Knex.QueryBuilder {
  const names = [
    ...jobForRunColumns,
    ...scheduleColumnNames,
    'timezone',
    'next_run_at',
    'good_by',
    'overdue_since',
    'last_good_at',
    'catch_up',
    'start_jitter_seconds',
    'overdue_grace_seconds',
  ];
  return executor(`${JOBS} as j`)
    .leftJoin(`${SETTINGS} as s`, 's.client_id', 'j.client_id')
    .select(...names.map((name) => `j.${name}`), 's.default_timezone as client_timezone');
}

export interface Cursor {
  readonly time: string;
  readonly id: number;
}

/** Jobs whose time has come, by time and number, after the cursor. */
export function dueJobs(database: Database, now: number, after: Cursor | null, limit: number): Knex.QueryBuilder {
  return pageByTime(scheduledJobs(database.knex), 'j.next_run_at', now, after, limit);
}

export function pageByTime(
  query: Knex.QueryBuilder,
  column: string,
  now: number,
  after: Cursor | null,
  limit: number,
): Knex.QueryBuilder {
  return query
    .where('j.status', 'active')
    .where(column, '<=', toDatabaseTime(now))
    .modify((builder) => {
      if (after === null) return;
      void builder
        .where(column, '>=', after.time)
        .where((later) => void later.where(column, '>', after.time).orWhere('j.id', '>', after.id));
    })
    .orderBy(column)
    .orderBy('j.id')
    .limit(limit);
}

export async function findDueJobs(
  database: Database,
  now: number,
  after: Cursor | null,
  limit: number,
): Promise<ScheduledJob[]> {
  return ((await dueJobs(database, now, after, limit)) as ScheduledJobRow[]).map(toScheduledJob);
}

export async function findScheduledJob(executor: Executor, jobUuid: string): Promise<ScheduledJob | null> {
  const row = (await scheduledJobs(executor).where('j.uuid', jobUuid).first()) as ScheduledJobRow | undefined;
  return row === undefined ? null : toScheduledJob(row);
}

/**
 * Moves a job on from the slot that was read to its next one. Whoever changes the row carries out the slot, in the same
 * transaction. False: somebody else was faster, or the job was paused or changed.
 */
export async function moveOn(trx: Knex.Transaction, job: ScheduledJob, next: number | null): Promise<boolean> {
  if (job.nextRunAt === null) return false;
  const changed = await trx(JOBS)
    .where({ id: job.id, status: 'active', next_run_at: toDatabaseTime(job.nextRunAt) })
    .update({ next_run_at: next === null ? null : toDatabaseTime(next) });
  return changed > 0;
}

/** Puts a slot off: the run in its way was asked to make room. In the transaction of `moveOn`. */
export async function waitForRoom(trx: Knex.Transaction, job: ScheduledJob, slotStart: number): Promise<void> {
  await trx(JOBS)
    .where('id', job.id)
    .update({ next_run_at: toDatabaseTime(slotStart) });
}

export type SkipReason = EventParams<'SLOT_SKIPPED'>['reason'];

export interface SkippedSlot {
  readonly reason: SkipReason;
  /** The last slot that is skipped, and how many since the first. */
  readonly slotAt: number;
  readonly firstSlotAt: number;
  readonly missed: number;
  readonly activeRunUuid?: string;
  readonly now?: number;
}

/**
 * The row of slots that have no run: over at once, so no slot goes by without a trace. Nobody is mailed. False: the slot has its row
 * already.
 */
export async function insertSkippedRun(
  trx: Knex.Transaction,
  database: Database,
  job: JobForRun,
  skipped: SkippedSlot,
): Promise<boolean> {
  const told = event('SLOT_SKIPPED', {
    reason: skipped.reason,
    missed: skipped.missed,
    first_slot_at: skipped.firstSlotAt,
    slot_at: skipped.slotAt,
    ...(skipped.activeRunUuid === undefined ? {} : { run: skipped.activeRunUuid }),
  });
  const now = timeOf(database, skipped.now);
  try {
    const [runId] = (await trx(RUNS).insert({
      uuid: v7(),
      ...runColumnsOfJob(job),
      kind: 'backup' satisfies RunKind,
      trigger_type: 'schedule',
      status: 'cancelled',
      phase: 'finished',
      active_key: null,
      slot_at: toDatabaseTime(skipped.slotAt),
      start_reason: 'skipped',
      error_code: told.code,
      max_attempts: job.maxAttempts,
      created_at: now,
      finished_at: now,
      updated_at: now,
    })) as number[];
    await appendEvents(trx, database, Number(runId), [skipped.now === undefined ? told : { ...told, ts: skipped.now }]);
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

/** Zone of the job, else of its client, else of the host, else UTC; names that no longer exist count as absent. */
export function timezoneOf(job: ScheduledJob, hostTimezone: string | null): string {
  return firstTimezone(job.timezone, job.clientTimezone, hostTimezone);
}

/** An agent that has been silent for longer counts as offline. */
const AGENT_ONLINE_MS = 180_000;

/** Runs that are queued beyond their expiry: nobody took them. */
export function expiredRuns(database: Database, now: number): Knex.QueryBuilder {
  return database.knex(RUNS).where('status', 'queued').where('expires_at', '<=', toDatabaseTime(now));
}

interface ExpiredRow {
  id: number;
  uuid: string;
  job_id: number;
  client_id: number;
  kind: RunKind;
  agent_uuid: string | null;
}

/** Ends runs that waited too long, each with its events and its notice in one transaction. Returns how many. */
export async function expireQueuedRuns(database: Database, now: number, limit = 200): Promise<number> {
  const rows = (await expiredRuns(database, now)
    .limit(limit)
    .select('id', 'uuid', 'job_id', 'client_id', 'kind', 'agent_uuid')) as ExpiredRow[];
  let ended = 0;
  for (const row of rows) {
    if (await database.transaction(async (trx) => await expire(trx, database, row, now))) ended += 1;
  }
  return ended;
}

async function expire(trx: Knex.Transaction, database: Database, run: ExpiredRow, now: number): Promise<boolean> {
  const agent = run.agent_uuid === null ? null : await agentSeen(trx, run.agent_uuid);
  const offline = agent !== null && (agent.lastSeenAt === null || now - agent.lastSeenAt > AGENT_ONLINE_MS);
  const code = offline ? 'ERR_AGENT_OFFLINE' : 'ERR_QUEUE_EXPIRED';
  const changed = await trx(RUNS)
    .where('id', run.id)
    .whereIn('status', statusesBefore('expire', 'failed'))
    .where('expires_at', '<=', toDatabaseTime(now))
    .update({
      status: 'failed',
      phase: 'finished',
      active_key: null,
      error_code: code,
      finished_at: toDatabaseTime(now),
      updated_at: toDatabaseTime(now),
    });
  if (changed === 0) return false;
  const why = offline ? event('AGENT_OFFLINE', { last_seen_at: agent.lastSeenAt }) : event('QUEUE_EXPIRED');
  const end = endEvents(run.kind, 'failed', { code }).slice(-1);
  await appendEvents(
    trx,
    database,
    Number(run.id),
    [why, ...end].map((one) => ({ ...one, ts: now })),
  );
  await enqueueRunNotice(trx, database, {
    id: Number(run.id),
    uuid: run.uuid,
    jobId: Number(run.job_id),
    clientId: Number(run.client_id),
    kind: run.kind,
    status: 'failed',
    errorCode: code,
    now,
  });
  return true;
}

async function agentSeen(trx: Knex.Transaction, agentUuid: string): Promise<{ lastSeenAt: number | null }> {
  const row = (await trx('s3_cloudbackup_agents').where('agent_uuid', agentUuid).first('last_seen_at')) as
    { last_seen_at: string | null } | undefined;
  return { lastSeenAt: fromDatabaseTimeOrNull(row?.last_seen_at ?? null) };
}

export interface ScheduledJobRow extends JobForRunRow {
  schedule_type: string | null;
  schedule_time: string | null;
  schedule_weekday: number | null;
  schedule_cron: string | null;
  schedule_json: string | null;
  timezone: string | null;
  client_timezone: string | null;
  next_run_at: string | null;
  good_by: string | null;
  overdue_since: string | null;
  last_good_at: string | null;
  catch_up: number;
  start_jitter_seconds: number;
  overdue_grace_seconds: number;
}

export function toScheduledJob(row: ScheduledJobRow): ScheduledJob {
  return {
    ...toJobForRun(row),
    schedule: {
      schedule_type: row.schedule_type,
      schedule_time: row.schedule_time,
      schedule_weekday: row.schedule_weekday,
      schedule_cron: row.schedule_cron,
      schedule_json: row.schedule_json,
    },
    timezone: row.timezone,
    clientTimezone: row.client_timezone,
    nextRunAt: fromDatabaseTimeOrNull(row.next_run_at),
    goodBy: fromDatabaseTimeOrNull(row.good_by),
    overdueSince: fromDatabaseTimeOrNull(row.overdue_since),
    lastGoodAt: fromDatabaseTimeOrNull(row.last_good_at),
    catchUp: Boolean(Number(row.catch_up)),
    jitterMs: startJitterMs(row.uuid, Number(row.start_jitter_seconds)),
    graceMs: Number(row.overdue_grace_seconds) * 1_000,
  };
}
