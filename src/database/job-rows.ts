import type { DataState } from '../retention/of-job.ts';
import type { RetentionPolicy } from '../retention/policy.ts';
import { pendingOf, policyOf } from './retention-rows.ts';
import { fromDatabaseTimeOrNull, toDatabaseTime } from './times.ts';

/** A job as its owner sees it; times are epoch milliseconds. Holds the sealed source settings: never hand it out as it is. */
export interface StoredJob {
  readonly id: number;
  readonly uuid: string;
  readonly name: string;
  readonly status: 'active' | 'paused' | 'deleted';
  readonly source_type: string;
  readonly source_display_name: string;
  readonly source_config_enc: string;
  readonly source_path: string;
  readonly source_host_key: string | null;
  readonly source_host_key_seen: string | null;
  readonly dest_bucket_id: number;
  readonly dest_bucket_name: string;
  readonly dest_prefix: string;
  readonly backup_mode: string;
  readonly engine: string;
  readonly schedule_type: string;
  readonly schedule_time: string | null;
  readonly schedule_weekday: number | null;
  readonly schedule_cron: string | null;
  readonly schedule_json: unknown;
  readonly timezone: string | null;
  readonly next_run_at: number | null;
  readonly catch_up: boolean;
  readonly start_jitter_seconds: number;
  readonly overdue_grace_seconds: number;
  readonly overdue_since: number | null;
  readonly encryption_enabled: boolean;
  /** Encrypted jobs: when a recovery kit was first downloaded; null: never. */
  readonly kit_downloaded_at: number | null;
  readonly validation_mode: string;
  readonly validation_every_days: number | null;
  readonly validation_last_status: string | null;
  readonly validation_last_at: number | null;
  readonly validation_next_at: number | null;
  readonly drill_every_days: number | null;
  readonly drill_last_status: string | null;
  readonly drill_last_at: number | null;
  readonly drill_next_at: number | null;
  readonly drill_overdue_since: number | null;
  readonly retention_mode: string;
  readonly retention_value: number | null;
  readonly retention_json: string | null;
  /** What is in force. */
  readonly retention: RetentionPolicy;
  /** What comes into force at `retention_acts_at`, when its cool-off is over. */
  readonly retention_pending: RetentionPolicy | null;
  readonly retention_acts_at: number | null;
  readonly data_state: DataState;
  /** `grace`: when the data begins to go. */
  readonly data_delete_at: number | null;
  readonly deleted_at: number | null;
  readonly bandwidth_limit_kbps: number | null;
  readonly max_attempts: number;
  readonly brake_percent: number;
  readonly brake_min_files: number;
  readonly frozen_at: number | null;
  readonly frozen_reason: string | null;
  readonly frozen_run_uuid: string | null;
  readonly stored_bytes: number;
  readonly last_good_at: number | null;
  readonly notify_override_email: string | null;
  readonly notify_on_success: boolean | null;
  readonly notify_on_warning: boolean | null;
  readonly notify_on_failure: boolean | null;
  readonly created_at: number;
  readonly updated_at: number;
  /** A run has been queued: bucket, prefix, mode and encryption stay as they are. */
  readonly layout_fixed: boolean;
}

/** Columns that the owner's changes may write; times as epoch milliseconds. */
export interface JobValues {
  name?: string;
  status?: 'active' | 'paused';
  source_type?: string;
  source_display_name?: string;
  source_config_enc?: string;
  source_connection_id?: number | null;
  source_path?: string;
  source_host_key?: string | null;
  source_host_key_seen?: string | null;
  dest_bucket_id?: number;
  dest_bucket_name?: string;
  dest_prefix?: string;
  schedule_type?: string;
  schedule_time?: string | null;
  schedule_weekday?: number | null;
  schedule_cron?: string | null;
  /** JSON text. */
  schedule_json?: string | null;
  timezone?: string | null;
  next_run_at?: number | null;
  good_by?: number | null;
  overdue_since?: number | null;
  catch_up?: boolean;
  start_jitter_seconds?: number;
  encryption_enabled?: boolean;
  overdue_grace_seconds?: number;
  bandwidth_limit_kbps?: number | null;
  max_attempts?: number;
  retention_mode?: string;
  retention_value?: number | null;
  /** JSON text. */
  retention_json?: string | null;
  retention_pending_json?: string | null;
  retention_acts_at?: number | null;
  maintenance_at?: number | null;
  validation_mode?: string;
  validation_every_days?: number | null;
  validation_next_at?: number | null;
  drill_every_days?: number | null;
  drill_next_at?: number | null;
  drill_overdue_since?: number | null;
  brake_percent?: number;
  brake_min_files?: number;
  /** JSON text of a list. */
  notify_override_email?: string | null;
  notify_on_success?: boolean | null;
  notify_on_warning?: boolean | null;
  notify_on_failure?: boolean | null;
}

export type NewJobValues = JobValues &
  Required<
    Pick<
      JobValues,
      'name' | 'source_type' | 'source_config_enc' | 'dest_bucket_id' | 'dest_bucket_name' | 'dest_prefix'
    >
  > & { uuid: string; s3_user_id: number; backup_mode?: string; encryption_enabled?: boolean };

const timeColumns = [
  'next_run_at',
  'good_by',
  'overdue_since',
  'retention_acts_at',
  'maintenance_at',
  'validation_next_at',
  'drill_next_at',
  'drill_overdue_since',
] as const satisfies readonly (keyof JobValues)[];

/** Booleans and times as the columns hold them; what is absent stays absent. */
export function toColumns(values: JobValues): Record<string, unknown> {
  const columns: Record<string, unknown> = { ...values };
  for (const name of timeColumns) {
    const time = values[name];
    if (time !== undefined && time !== null) columns[name] = toDatabaseTime(time);
  }
  for (const [name, value] of Object.entries(columns)) {
    if (typeof value === 'boolean') columns[name] = value ? 1 : 0;
    if (value === undefined) delete columns[name];
  }
  return columns;
}

export type JobRow = Readonly<Record<string, unknown>>;

export function toStoredJob(row: JobRow): StoredJob {
  const text = (name: string): string => String(row[name] ?? '');
  const textOrNull = (name: string): string | null => (row[name] === null ? null : text(name));
  const count = (name: string): number => Number(row[name]);
  const countOrNull = (name: string): number | null => (row[name] === null ? null : count(name));
  const time = (name: string): number | null => fromDatabaseTimeOrNull(textOrNull(name));
  const flag = (name: string): boolean => Boolean(Number(row[name]));
  const flagOrNull = (name: string): boolean | null => (row[name] === null ? null : flag(name));
  return {
    id: count('id'),
    uuid: text('uuid'),
    name: text('name'),
    status: text('status') as StoredJob['status'],
    source_type: text('source_type'),
    source_display_name: text('source_display_name'),
    source_config_enc: text('source_config_enc'),
    source_path: text('source_path'),
    source_host_key: textOrNull('source_host_key'),
    source_host_key_seen: textOrNull('source_host_key_seen'),
    dest_bucket_id: count('dest_bucket_id'),
    dest_bucket_name: text('dest_bucket_name'),
    dest_prefix: text('dest_prefix'),
    backup_mode: text('backup_mode'),
    engine: text('engine'),
    schedule_type: text('schedule_type'),
    schedule_time: textOrNull('schedule_time'),
    schedule_weekday: countOrNull('schedule_weekday'),
    schedule_cron: textOrNull('schedule_cron'),
    schedule_json: parseJson(textOrNull('schedule_json')),
    timezone: textOrNull('timezone'),
    next_run_at: time('next_run_at'),
    catch_up: flag('catch_up'),
    start_jitter_seconds: count('start_jitter_seconds'),
    overdue_grace_seconds: count('overdue_grace_seconds'),
    overdue_since: time('overdue_since'),
    encryption_enabled: flag('encryption_enabled'),
    kit_downloaded_at: time('kit_downloaded_at'),
    validation_mode: text('validation_mode'),
    validation_every_days: countOrNull('validation_every_days'),
    validation_last_status: textOrNull('validation_last_status'),
    validation_last_at: time('validation_last_at'),
    validation_next_at: time('validation_next_at'),
    drill_every_days: countOrNull('drill_every_days'),
    drill_last_status: textOrNull('drill_last_status'),
    drill_last_at: time('drill_last_at'),
    drill_next_at: time('drill_next_at'),
    drill_overdue_since: time('drill_overdue_since'),
    retention_mode: text('retention_mode'),
    retention_value: countOrNull('retention_value'),
    retention_json: textOrNull('retention_json'),
    retention: policyOf({
      retention_mode: row['retention_mode'],
      retention_value: countOrNull('retention_value'),
      retention_json: row['retention_json'],
    }),
    retention_pending: pendingOf(textOrNull('retention_pending_json')),
    retention_acts_at: time('retention_acts_at'),
    data_state: text('data_state') as DataState,
    data_delete_at: time('data_delete_at'),
    deleted_at: time('deleted_at'),
    bandwidth_limit_kbps: countOrNull('bandwidth_limit_kbps'),
    max_attempts: count('max_attempts'),
    brake_percent: count('brake_percent'),
    brake_min_files: count('brake_min_files'),
    frozen_at: time('frozen_at'),
    frozen_reason: textOrNull('frozen_reason'),
    frozen_run_uuid: textOrNull('frozen_run_uuid'),
    stored_bytes: count('stored_bytes'),
    last_good_at: time('last_good_at'),
    notify_override_email: textOrNull('notify_override_email'),
    notify_on_success: flagOrNull('notify_on_success'),
    notify_on_warning: flagOrNull('notify_on_warning'),
    notify_on_failure: flagOrNull('notify_on_failure'),
    created_at: time('created_at') ?? 0,
    updated_at: time('updated_at') ?? 0,
    layout_fixed: flag('layout_fixed'),
  };
}

function parseJson(text: string | null): unknown {
  return text === null || text === '' ? null : (JSON.parse(text) as unknown);
}
