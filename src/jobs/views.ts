import type { StoredJob } from '../database/job-rows.ts';
import type { ClientPoint } from '../database/points.ts';
import { isOver, isSkipped, type ListedRun, type StoredPoint, type StoredRun } from '../database/run-rows.ts';
import { catalogue, type ErrorCode } from '../errors/catalogue.ts';
import type { JobView } from '../protocol/job.ts';
import { ProofStatusField } from '../protocol/proofs.ts';
import {
  ValidationStatusField,
  type PointView,
  type ProblemView,
  type ProgressView,
  type RestoreView,
  type RunView,
} from '../protocol/run.ts';
import { RestoreOptions, RestoreStats } from '../protocol/run-options.ts';
import { times } from '../protocol/times.ts';
import { describeSchedule } from '../schedule/describe.ts';
import { parseSchedule } from '../schedule/schedule.ts';

/** How stored rows look from outside: identifiers instead of row numbers, times in both forms, problems in words. Pure. */

/** Three sentences about an error code; null for none. A code that is not known (of a newer worker) is an internal error. */
export function problemOf(code: string | null): ProblemView | null {
  if (code === null) return null;
  const known = (Object.hasOwn(catalogue, code) ? code : 'ERR_INTERNAL') as ErrorCode;
  const { what, data, action } = catalogue[known];
  return { code, what, data, action };
}

/** @param timezone IANA zone that the job's schedule follows when it has none of its own. */
export function jobView(job: StoredJob, timezone: string): JobView {
  return {
    job_id: job.uuid,
    name: job.name,
    status: job.status === 'paused' ? 'paused' : 'active',
    source_type: job.source_type,
    source_display_name: job.source_display_name,
    source_path: job.source_path,
    dest_bucket_id: job.dest_bucket_id,
    dest_bucket_name: job.dest_bucket_name,
    dest_prefix: job.dest_prefix,
    layout_fixed: job.layout_fixed,
    backup_mode: job.backup_mode,
    engine: job.engine,
    schedule_type: job.schedule_type,
    schedule_time: job.schedule_time,
    schedule_weekday: job.schedule_weekday,
    schedule_cron: job.schedule_cron,
    schedule_json: job.schedule_json,
    schedule_summary: scheduleSummary(job, timezone),
    timezone: job.timezone,
    catch_up: job.catch_up,
    start_jitter_seconds: job.start_jitter_seconds,
    overdue_grace_seconds: job.overdue_grace_seconds,
    encryption_enabled: job.encryption_enabled,
    validation_mode: job.validation_mode,
    validation_every_days: job.validation_every_days,
    validation_last_status: proofStatus(job.validation_last_status),
    drill_every_days: job.drill_every_days,
    drill_last_status: proofStatus(job.drill_last_status),
    ...times({
      validation_last_at: job.validation_last_at,
      validation_next_at: job.validation_next_at,
      drill_last_at: job.drill_last_at,
      drill_next_at: job.drill_next_at,
      drill_overdue_since: job.drill_overdue_since,
      recovery_kit_at: job.kit_downloaded_at,
    }),
    retention_mode: job.retention_mode,
    retention_value: job.retention_value,
    retention: job.retention,
    retention_pending:
      job.retention_pending === null
        ? null
        : { retention: job.retention_pending, ...times({ acts_at: job.retention_acts_at }) },
    max_attempts: job.max_attempts,
    bandwidth_limit_kbps: job.bandwidth_limit_kbps,
    brake_percent: job.brake_percent,
    brake_min_files: job.brake_min_files,
    notify_override_email: emailsOf(job.notify_override_email),
    notify_on_success: job.notify_on_success,
    notify_on_warning: job.notify_on_warning,
    notify_on_failure: job.notify_on_failure,
    frozen:
      job.frozen_at === null
        ? null
        : { reason: job.frozen_reason ?? 'brake', run_id: job.frozen_run_uuid, ...times({ at: job.frozen_at }) },
    stored_bytes: job.stored_bytes,
    ...times({
      next_run_at: job.status === 'active' ? job.next_run_at : null,
      overdue_since: job.overdue_since,
      data_delete_at: job.data_state === 'ending' ? job.data_delete_at : null,
      last_good_at: job.last_good_at,
      created_at: job.created_at,
      updated_at: job.updated_at,
    }),
  };
}

function scheduleSummary(job: StoredJob, timezone: string): string {
  const parsed = parseSchedule(job);
  if (!parsed.ok) return 'The schedule is not valid';
  const words = describeSchedule(parsed.schedule);
  return parsed.schedule.type === 'manual' ? words : `${words}, ${job.timezone ?? timezone}`;
}

/** Stored as a JSON list; rows of older systems may hold a comma list. */
export function emailsOf(stored: string | null): string[] {
  if (stored === null || stored.trim() === '') return [];
  if (stored.trimStart().startsWith('[')) return (JSON.parse(stored) as unknown[]).map(String);
  return stored.split(/[,;\s]+/).filter((address) => address !== '');
}

export function runView(run: ListedRun): RunView {
  const restore = run.kind === 'restore' ? restoreView(run) : null;
  return {
    ...plainRunView(run, run.job_name),
    point: run.point === null ? null : pointView(run.point, run.job_uuid),
    ...(restore === null ? {} : { restore }),
  };
}

const SHOWN_PATHS = 20;

/** Null where the row does not tell it: it was written by another version. */
function restoreView(run: ListedRun): RestoreView | null {
  const options = RestoreOptions.safeParse(JSON.parse(run.options_json ?? 'null'));
  if (!options.success) return null;
  const { point, paths, target, overwrite, dry_run } = options.data;
  const stats = RestoreStats.safeParse(JSON.parse(run.stats_json ?? 'null'));
  const bucket = target.kind === 'bucket' ? target : null;
  return {
    point_id: point,
    paths: paths.slice(0, SHOWN_PATHS),
    path_count: paths.length,
    target: target.kind,
    target_text: target.kind === 'bucket' ? `${target.bucket}/${target.prefix}` : target.summary,
    dest_bucket: bucket?.bucket ?? null,
    dest_prefix: bucket?.prefix ?? null,
    overwrite,
    dry_run,
    counts: stats.success ? stats.data : null,
  };
}

export function plainRunView(run: StoredRun, jobName: string): Omit<RunView, 'point'> {
  return {
    run_id: run.uuid,
    job_id: run.job_uuid,
    job_name: jobName,
    kind: run.kind,
    trigger_type: run.trigger_type,
    start_reason: run.start_reason,
    status: run.status,
    skipped: isSkipped(run),
    error_summary: run.error_summary,
    problem: problemOf(run.error_code),
    attempt: run.attempt,
    max_attempts: run.max_attempts,
    validation_status: validationStatus(run.validation_status),
    ...figures(run),
    duration_ms: run.started_at === null || run.finished_at === null ? null : run.finished_at - run.started_at,
    ...times({ created_at: run.created_at, started_at: run.started_at, finished_at: run.finished_at }),
  };
}

export function progressView(run: StoredRun): ProgressView {
  const over = isOver(run);
  return {
    run_id: run.uuid,
    run_uuid: run.uuid,
    job_id: run.job_uuid,
    kind: run.kind,
    trigger_type: run.trigger_type,
    status: run.status,
    phase: run.phase,
    stopping: run.cancel_requested && !over,
    cancel_forced: run.cancel_forced,
    terminal: over,
    skipped: isSkipped(run),
    error_code: run.error_code,
    error_summary: run.error_summary,
    problem: problemOf(run.error_code),
    worker_host: run.worker_host,
    validation_status: validationStatus(run.validation_status),
    attempt: run.attempt,
    max_attempts: run.max_attempts,
    ...figures(run),
    files_done: run.objects_transferred,
    files_total: run.objects_total,
    folders_done: null,
    speed_bytes_per_sec: run.speed_bytes_per_sec,
    eta_seconds: run.eta_seconds,
    current_item: run.current_item,
    last_event_id: run.event_seq,
    ...times({
      created_at: run.created_at,
      started_at: run.started_at,
      finished_at: run.finished_at,
      not_before: run.not_before,
    }),
  };
}

function proofStatus(stored: string | null): JobView['validation_last_status'] {
  return ProofStatusField.nullable().catch(null).parse(stored);
}

/** A word that is not known (of a newer worker) says nothing. */
export function validationStatus(stored: string): ValidationStatusField {
  return ValidationStatusField.catch('not_run').parse(stored);
}

/** Totals may still grow while a run lists its source, and a retried transfer may count beyond them. */
function figures(run: StoredRun) {
  return {
    progress_pct: Math.min(100, Math.max(0, run.progress_pct)),
    bytes_total: run.bytes_total,
    bytes_transferred: run.bytes_transferred,
    bytes_processed: run.bytes_processed,
    objects_total: run.objects_total,
    objects_transferred: run.objects_transferred,
  };
}

export function clientPointView(point: ClientPoint): PointView {
  return pointView(point, point.job_uuid);
}

export function pointView(point: StoredPoint, jobUuid: string): PointView {
  return {
    point_id: point.uuid,
    run_id: point.run_uuid,
    job_id: jobUuid,
    state: point.state,
    status: point.status,
    complete: point.complete,
    files: point.files,
    carried: point.carried,
    failed: point.failed,
    bytes: point.bytes,
    added_bytes: point.added_bytes,
    pinned: point.pinned,
    ...times({ created_at: point.created_at }),
  };
}
