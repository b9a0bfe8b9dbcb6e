import type { Knex } from 'knex';
import {
  ownedStatuses,
  retryDelayMs,
  statusesBefore,
  type RunKind,
  type RunStatus,
  type TerminalStatus,
} from '../runs/state.ts';
import type { Database } from './connect.ts';
import { QUEUE_EXPIRY_MS } from './queue.ts';

/** What the owner of a run shows with every write: without it nothing changes. */
export interface Lease {
  readonly runId: number;
  readonly runUuid: string;
  readonly token: string;
}

export interface HeartbeatAnswer {
  readonly cancelRequested: boolean;
  readonly cancelForced: boolean;
  readonly yieldRequested: boolean;
}

function owned(
  executor: Knex | Knex.Transaction,
  lease: Lease,
  statuses: readonly RunStatus[] = ownedStatuses,
): Knex.QueryBuilder {
  return executor('s3_cloudbackup_runs')
    .where('id', lease.runId)
    .where('lease_token', lease.token)
    .whereIn('status', [...statuses]);
}

/**
 * Renews the lease, also one that has expired as long as nobody took the run over.
 * Returns null when the run is not ours any more: the owner must stop at once.
 */
export async function renewLease(database: Database, lease: Lease, leaseMs: number): Promise<HeartbeatAnswer | null> {
  const renewed = await owned(database.knex, lease).update({
    lease_expires_at: database.now(leaseMs),
    last_heartbeat_at: database.now(),
  });
  if (renewed === 0) return null;
  const row = (await database
    .knex('s3_cloudbackup_runs')
    .where('id', lease.runId)
    .select('cancel_requested', 'cancel_forced', 'yield_requested')
    .first()) as { cancel_requested: number; cancel_forced: number; yield_requested: number } | undefined;
  return {
    cancelRequested: Boolean(row?.cancel_requested),
    cancelForced: Boolean(row?.cancel_forced),
    yieldRequested: Boolean(row?.yield_requested),
  };
}

/** What is asked of the runs that a worker owns, by lease token: one query for all of them, every other second. */
export async function readRequests(database: Database, workerUuid: string): Promise<Map<string, HeartbeatAnswer>> {
  const rows = (await database
    .knex('s3_cloudbackup_runs')
    .where('worker_uuid', workerUuid)
    .whereIn('status', [...ownedStatuses])
    .select('lease_token', 'cancel_requested', 'cancel_forced', 'yield_requested')) as Record<string, unknown>[];
  return new Map(
    rows.map((row) => [
      String(row['lease_token']),
      {
        cancelRequested: Boolean(row['cancel_requested']),
        cancelForced: Boolean(row['cancel_forced']),
        yieldRequested: Boolean(row['yield_requested']),
      },
    ]),
  );
}

export interface RunProgress {
  readonly phase: string;
  readonly bytesTotal: number;
  readonly bytesTransferred: number;
  readonly bytesProcessed: number;
  readonly objectsTotal: number;
  readonly objectsTransferred: number;
  readonly speedBytesPerSec: number;
  readonly etaSeconds: number | null;
  readonly currentItem: string | null;
  /** 0–100. */
  readonly percent: number;
  /** More figures for the page, as JSON. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Writes live figures; the first one moves the run from starting to running. False: not ours any more. */
export async function saveProgress(database: Database, lease: Lease, progress: RunProgress): Promise<boolean> {
  const changed = await owned(database.knex, lease, statusesBefore('progress', 'running')).update({
    status: 'running',
    phase: progress.phase,
    bytes_total: progress.bytesTotal,
    bytes_transferred: progress.bytesTransferred,
    bytes_processed: progress.bytesProcessed,
    objects_total: progress.objectsTotal,
    objects_transferred: progress.objectsTransferred,
    speed_bytes_per_sec: Math.round(progress.speedBytesPerSec),
    eta_seconds: progress.etaSeconds === null ? null : Math.round(progress.etaSeconds),
    current_item: progress.currentItem === null ? null : [...progress.currentItem].slice(0, 1000).join(''),
    progress_pct: Math.min(100, Math.max(0, Math.round(progress.percent * 100) / 100)),
    progress_json: progress.more ? JSON.stringify(progress.more) : null,
    updated_at: database.now(),
  });
  return changed > 0;
}

export interface RunEnd {
  readonly status: TerminalStatus;
  readonly errorCode?: string | null;
  readonly errorSummary?: string | null;
  readonly stats?: Readonly<Record<string, unknown>>;
  /** What the run moved in all; absent: the last live figures stay. */
  readonly moved?: { readonly files: number; readonly bytes: number; readonly bytesListed: number };
}

/**
 * Ends the run, inside of the caller's transaction, which also writes the point, events and notices.
 * False: the run is not ours any more, and the caller must roll back.
 */
export async function finishRun(
  database: Database,
  trx: Knex.Transaction,
  lease: Lease,
  end: RunEnd,
): Promise<boolean> {
  const changed = await owned(trx, lease, statusesBefore('finish', end.status)).update({
    status: end.status,
    phase: 'finished',
    active_key: null,
    lease_token: null,
    lease_expires_at: null,
    error_code: end.errorCode ?? null,
    error_summary: end.errorSummary?.slice(0, 2000) ?? null,
    finished_at: database.now(),
    updated_at: database.now(),
    speed_bytes_per_sec: 0,
    eta_seconds: null,
    current_item: null,
    ...(end.stats ? { stats_json: JSON.stringify(end.stats) } : {}),
    ...(end.moved
      ? {
          bytes_total: end.moved.bytes,
          bytes_transferred: end.moved.bytes,
          bytes_processed: end.moved.bytesListed,
          objects_total: end.moved.files,
          objects_transferred: end.moved.files,
        }
      : {}),
    ...(end.status === 'success' || end.status === 'warning' ? { progress_pct: 100 } : {}),
  });
  return changed > 0;
}

/**
 * Puts the run back into the queue. A graceful stop uses no attempt; a transient failure uses one and waits.
 * Returns null when the run is not ours any more.
 */
export async function requeueRun(
  database: Database,
  trx: Knex.Transaction,
  lease: Lease,
  reason: { usesAttempt: false } | { usesAttempt: true; attempt: number; errorCode: string; errorSummary: string },
): Promise<{ delayMs: number } | null> {
  const delayMs = reason.usesAttempt ? retryDelayMs(reason.attempt + 1) : 0;
  const changed = await owned(trx, lease, statusesBefore('requeue', 'queued')).update({
    ...backToQueue(database, delayMs),
    ...waitsAnew(database),
    ...(reason.usesAttempt
      ? { attempt: reason.attempt + 1, error_code: reason.errorCode, error_summary: reason.errorSummary.slice(0, 2000) }
      : {}),
  });
  return changed > 0 ? { delayMs } : null;
}

function backToQueue(database: Database, delayMs: number): Record<string, unknown> {
  return {
    status: 'queued',
    phase: null,
    lease_token: null,
    lease_expires_at: null,
    worker_uuid: null,
    not_before: delayMs > 0 ? database.now(delayMs) : null,
    speed_bytes_per_sec: 0,
    eta_seconds: null,
    current_item: null,
    updated_at: database.now(),
  };
}

/** It has not waited in vain: somebody took it, and may have worked on it for days. */
function waitsAnew(database: Database): Record<string, unknown> {
  return { expires_at: database.now(QUEUE_EXPIRY_MS) };
}

/**
 * A restore that nobody has taken up again within the day in which it was asked for is over: it may come from a copy of the database, and would
 * write old files over what has become of them since.
 */
function expiryOfLost(database: Database, { kind }: LostRun): Record<string, unknown> {
  return kind === 'restore' ? {} : waitsAnew(database);
}

export interface LostRun {
  readonly id: number;
  readonly uuid: string;
  readonly jobId: number;
  readonly clientId: number;
  readonly kind: RunKind;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly token: string;
  readonly cancelRequested: boolean;
}

/** Cloud runs whose lease ended more than `marginMs` ago: their owners are dead or cut off. */
export async function findLostRuns(database: Database, marginMs: number, limit = 50): Promise<LostRun[]> {
  const rows = (await lostRuns(database, marginMs).orderBy('lease_expires_at').limit(limit).select('*')) as Record<
    string,
    unknown
  >[];
  return rows.map(toLostRun);
}

/** The run that this lease owns, or null when it is over or somebody else's. */
export async function findOwnedRun(database: Database, lease: Lease): Promise<LostRun | null> {
  const row = (await owned(database.knex, lease).select('*').first()) as Record<string, unknown> | undefined;
  return row === undefined ? null : toLostRun(row);
}

function toLostRun(row: Record<string, unknown>): LostRun {
  return {
    id: Number(row['id']),
    uuid: String(row['uuid']),
    jobId: Number(row['job_id']),
    clientId: Number(row['client_id']),
    kind: row['kind'] as RunKind,
    attempt: Number(row['attempt']),
    maxAttempts: Number(row['max_attempts']),
    token: String(row['lease_token']),
    cancelRequested: Boolean(row['cancel_requested']),
  };
}

export function lostRuns(database: Database, marginMs: number): Knex.QueryBuilder {
  return database
    .knex('s3_cloudbackup_runs')
    .whereIn('status', [...ownedStatuses])
    .where('lease_expires_at', '<', database.now(-marginMs))
    .whereNull('agent_uuid');
}

/** What becomes of a lost run. The attempt is used up here, at takeover. */
export type LostOutcome = { status: 'queued'; delayMs: number } | { status: 'failed' } | { status: 'cancelled' };

export function outcomeOfLoss(run: LostRun): LostOutcome {
  if (run.cancelRequested) return { status: 'cancelled' };
  if (run.attempt + 1 >= run.maxAttempts) return { status: 'failed' };
  return { status: 'queued', delayMs: 0 };
}

/**
 * Takes a lost run from its owner, inside of the caller's transaction. Conditional on the old token and on the lease still being
 * over, so an owner that renewed meanwhile keeps it. False: somebody was faster.
 */
export async function takeLostRun(
  database: Database,
  trx: Knex.Transaction,
  run: LostRun,
  margin: number | 'owner is dead',
): Promise<LostOutcome | null> {
  const outcome = outcomeOfLoss(run);
  const changed = await trx('s3_cloudbackup_runs')
    .where('id', run.id)
    .where('lease_token', run.token)
    .where((over) => {
      if (margin !== 'owner is dead') void over.where('lease_expires_at', '<', database.now(-margin));
    })
    .whereIn('status', statusesBefore('lose', outcome.status))
    .update(
      outcome.status === 'queued'
        ? { ...backToQueue(database, outcome.delayMs), ...expiryOfLost(database, run), attempt: run.attempt + 1 }
        : {
            status: outcome.status,
            phase: 'finished',
            active_key: null,
            lease_token: null,
            lease_expires_at: null,
            error_code: outcome.status === 'failed' ? 'ERR_WORKER_LOST' : 'ERR_CANCELLED',
            finished_at: database.now(),
            updated_at: database.now(),
            speed_bytes_per_sec: 0,
            eta_seconds: null,
            current_item: null,
          },
    );
  return changed > 0 ? outcome : null;
}
