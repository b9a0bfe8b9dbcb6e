import { catalogue, type ErrorCode } from '../../../src/errors/catalogue.ts';
import type { JobCard, StripDay } from '../../../src/protocol/job.ts';
import type { EventView, ProgressView, RunView } from '../../../src/protocol/run.ts';
import { times } from '../../../src/protocol/times.ts';

/** Samples of what the services hand to the pages: whole, with what a test is about given by name. */

export const at = (iso: string): number => Date.parse(iso);
const NOW = at('2025-11-22T10:00:00Z');

const figures = {
  progress_pct: 0,
  bytes_total: 0,
  bytes_transferred: 0,
  bytes_processed: 0,
  objects_total: 0,
  objects_transferred: 0,
};

function problem(code: ErrorCode | undefined): RunView['problem'] {
  if (code === undefined) return null;
  const { what, data, action } = catalogue[code];
  return { code, what, data, action };
}

export function aRun(given: Partial<RunView> & { code?: ErrorCode } = {}): RunView {
  const { code, ...rest } = given;
  return {
    run_id: '019ab000-0000-7000-8000-000000000001',
    job_id: '019ab000-0000-7000-8000-000000000002',
    job_name: 'Web server',
    kind: 'backup',
    trigger_type: 'schedule',
    start_reason: null,
    status: 'success',
    skipped: false,
    error_summary: null,
    problem: problem(code),
    attempt: 1,
    max_attempts: 3,
    validation_status: 'not_run',
    ...figures,
    ...times({ created_at: NOW - 7_201_000, started_at: NOW - 7_200_000, finished_at: NOW - 7_100_000 }),
    duration_ms: 100_000,
    point: null,
    ...rest,
  };
}

export function aProgress(given: Partial<ProgressView> = {}): ProgressView {
  return {
    run_id: '019ab000-0000-7000-8000-000000000001',
    run_uuid: '019ab000-0000-7000-8000-000000000001',
    job_id: '019ab000-0000-7000-8000-000000000002',
    kind: 'backup',
    trigger_type: 'manual',
    status: 'running',
    phase: 'copying',
    stopping: false,
    cancel_forced: false,
    terminal: false,
    skipped: false,
    error_code: null,
    error_summary: null,
    problem: null,
    worker_host: null,
    validation_status: 'not_run',
    attempt: 1,
    max_attempts: 3,
    ...figures,
    files_done: 0,
    files_total: 0,
    folders_done: null,
    speed_bytes_per_sec: 0,
    eta_seconds: null,
    current_item: null,
    last_event_id: 0,
    ...times({ created_at: NOW, started_at: NOW, finished_at: null, not_before: null }),
    ...given,
  };
}

export function anEvent(given: Partial<EventView> & { at?: number } = {}): EventView {
  const { at: ts = NOW, ...rest } = given;
  return {
    id: 1,
    ...times({ ts }),
    type: 'info',
    level: 'info',
    code: 'LISTED',
    message_id: 'LISTED',
    params: {},
    message: 'Source listed.',
    ...rest,
  };
}

export function days(states: Readonly<Record<string, StripDay['state']>>, first = '2025-10-24'): StripDay[] {
  return Array.from({ length: 30 }, (_, index) => {
    const date = new Date(at(`${first}T00:00:00Z`) + index * 86_400_000).toISOString().slice(0, 10);
    return { date, state: states[date] ?? 'good', runs: { success: 1 } };
  });
}

export function aCard(
  given: {
    status?: JobCard['status'];
    lastGoodAt?: number | null;
    overdueSince?: number | null;
    lastRun?: RunView | null;
    frozen?: boolean;
    name?: string;
  } = {},
): JobCard {
  const { status = 'active', lastGoodAt = NOW - 7_200_000, overdueSince = null, lastRun = aRun() } = given;
  return {
    job_id: '019ab000-0000-7000-8000-000000000002',
    name: given.name ?? 'Web server',
    status,
    source_type: 'sftp',
    source_display_name: '',
    source_path: '/var/www',
    dest_bucket_id: 1,
    dest_bucket_name: 'backups',
    dest_prefix: 'web/',
    layout_fixed: true,
    backup_mode: 'sync',
    engine: 'sync',
    schedule_type: 'daily',
    schedule_time: '02:00',
    schedule_weekday: null,
    schedule_cron: null,
    schedule_json: null,
    schedule_summary: 'Every day at 02:00, UTC',
    timezone: null,
    ...times({ next_run_at: NOW + 57_600_000 }),
    catch_up: true,
    start_jitter_seconds: 0,
    overdue_grace_seconds: 3600,
    encryption_enabled: false,
    validation_mode: 'none',
    validation_every_days: null,
    validation_last_status: null,
    drill_every_days: null,
    drill_last_status: null,
    ...times({ validation_last_at: null, validation_next_at: null, drill_last_at: null, drill_next_at: null }),
    ...times({ drill_overdue_since: null, data_delete_at: null, recovery_kit_at: null }),
    retention_mode: 'none',
    retention_value: null,
    retention: { mode: 'none' },
    retention_pending: null,
    max_attempts: 3,
    bandwidth_limit_kbps: null,
    brake_percent: 50,
    brake_min_files: 100,
    notify_override_email: [],
    notify_on_success: null,
    notify_on_warning: null,
    notify_on_failure: null,
    frozen: given.frozen === true ? { reason: 'brake', run_id: null, ...times({ at: NOW }) } : null,
    ...times({ overdue_since: overdueSince, last_good_at: lastGoodAt, created_at: NOW - 1e10, updated_at: NOW }),
    stored_bytes: 1024,
    source_summary: 'web01.example.com/var/www',
    connection_trouble: null,
    last_run: lastRun,
    strip: days({}),
  };
}
