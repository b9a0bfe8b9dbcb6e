import { isTerminal, type RunKind, type RunStatus } from '../runs/state.ts';
import { fromDatabaseTime, fromDatabaseTimeOrNull } from './times.ts';

/** A run as it is stored; times are epoch milliseconds. */
export interface StoredRun {
  readonly id: number;
  readonly uuid: string;
  readonly job_uuid: string;
  readonly client_id: number;
  readonly kind: RunKind;
  readonly trigger_type: string;
  readonly start_reason: string | null;
  readonly status: RunStatus;
  readonly phase: string | null;
  readonly cancel_requested: boolean;
  readonly cancel_forced: boolean;
  readonly error_code: string | null;
  readonly error_summary: string | null;
  readonly worker_host: string | null;
  readonly validation_mode: string;
  /** not_run, success, size_only or failed; that it is under way is seen by its own run. */
  readonly validation_status: string;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly event_seq: number;
  readonly progress_pct: number;
  readonly bytes_total: number;
  readonly bytes_transferred: number;
  readonly bytes_processed: number;
  readonly objects_total: number;
  readonly objects_transferred: number;
  readonly speed_bytes_per_sec: number;
  readonly eta_seconds: number | null;
  readonly current_item: string | null;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly not_before: number | null;
}

/** With the name of its job, and the point that it left. */
export interface ListedRun extends StoredRun {
  readonly job_name: string;
  readonly point: StoredPoint | null;
  readonly options_json: string | null;
  readonly stats_json: string | null;
}

export interface StoredPoint {
  readonly id: number;
  readonly uuid: string;
  readonly run_uuid: string;
  readonly state: 'kept' | 'marked' | 'deleting' | 'pruned';
  readonly status: string;
  readonly complete: boolean;
  readonly files: number;
  readonly carried: number;
  readonly failed: number;
  readonly bytes: number;
  readonly added_bytes: number;
  readonly pinned: boolean;
  readonly created_at: number;
}

/** Codes with which a scheduled slot was left out: such a run never was queued. */
export const skipCodes = ['ERR_SLOT_OVERLAP', 'ERR_SLOT_MISSED', 'SERVICE_SUSPENDED', 'ERR_SCHEDULE_INVALID'] as const;

export const pointColumns = [
  'id',
  'uuid',
  'run_uuid',
  'state',
  'status',
  'complete',
  'files',
  'carried',
  'failed',
  'bytes',
  'added_bytes',
  'pinned_at',
  'created_at',
] as const;

export type RunRow = Readonly<Record<string, unknown>>;

export function toStoredRun(row: RunRow): StoredRun {
  const text = (name: string): string => String(row[name] ?? '');
  const textOrNull = (name: string): string | null => (row[name] === null ? null : text(name));
  const count = (name: string): number => Number(row[name] ?? 0);
  const time = (name: string): number | null => fromDatabaseTimeOrNull(textOrNull(name));
  return {
    id: count('id'),
    uuid: text('uuid'),
    job_uuid: text('job_uuid'),
    client_id: count('client_id'),
    kind: text('kind') as RunKind,
    trigger_type: text('trigger_type'),
    start_reason: textOrNull('start_reason'),
    status: text('status') as RunStatus,
    phase: textOrNull('phase'),
    cancel_requested: count('cancel_requested') !== 0,
    cancel_forced: count('cancel_forced') !== 0,
    error_code: textOrNull('error_code'),
    error_summary: textOrNull('error_summary'),
    worker_host: textOrNull('worker_host'),
    validation_mode: text('validation_mode'),
    validation_status: text('validation_status'),
    attempt: count('attempt'),
    max_attempts: count('max_attempts'),
    event_seq: count('event_seq'),
    progress_pct: count('progress_pct'),
    bytes_total: count('bytes_total'),
    bytes_transferred: count('bytes_transferred'),
    bytes_processed: count('bytes_processed'),
    objects_total: count('objects_total'),
    objects_transferred: count('objects_transferred'),
    speed_bytes_per_sec: count('speed_bytes_per_sec'),
    eta_seconds: row['eta_seconds'] === null ? null : count('eta_seconds'),
    current_item: textOrNull('current_item'),
    created_at: time('created_at') ?? 0,
    started_at: time('started_at'),
    finished_at: time('finished_at'),
    not_before: time('not_before'),
  };
}

export function toListedRun(row: RunRow): ListedRun {
  const point = Object.fromEntries(pointColumns.map((name) => [name, row[`point_${name}`]]));
  return {
    ...toStoredRun(row),
    job_name: String(row['job_name'] ?? ''),
    options_json: (row['options_json'] as string | null | undefined) ?? null,
    stats_json: (row['stats_json'] as string | null | undefined) ?? null,
    point: point['id'] === null || point['id'] === undefined ? null : toStoredPoint(point),
  };
}

export function toStoredPoint(row: RunRow): StoredPoint {
  const count = (name: string): number => Number(row[name] ?? 0);
  return {
    id: count('id'),
    uuid: String(row['uuid']),
    run_uuid: String(row['run_uuid']),
    state: String(row['state']) as StoredPoint['state'],
    status: String(row['status']),
    complete: count('complete') !== 0,
    files: count('files'),
    carried: count('carried'),
    failed: count('failed'),
    bytes: count('bytes'),
    added_bytes: count('added_bytes'),
    pinned: row['pinned_at'] !== null,
    created_at: fromDatabaseTime(String(row['created_at'])),
  };
}

/** True for a slot that was left out. */
export function isSkipped(run: Pick<StoredRun, 'status' | 'error_code'>): boolean {
  return run.status === 'cancelled' && (skipCodes as readonly (string | null)[]).includes(run.error_code);
}

export function isOver(run: Pick<StoredRun, 'status'>): boolean {
  return isTerminal(run.status);
}
