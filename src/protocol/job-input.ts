import { z } from 'zod';
import {
  clearable,
  EmailList,
  flag,
  hasControlCharacters,
  HostRowId,
  isBrokenUnicode,
  JobId,
  json,
  line,
  number,
  SourceId,
} from './fields.ts';

/** A path or prefix: taken as it is (blanks at its ends are part of a name), but never with control characters. */
export function Path(max: number) {
  return z
    .string({ error: 'must be a text' })
    .max(max, { error: `must not be longer than ${max} characters` })
    .refine((text) => !hasControlCharacters(text), { error: 'must not hold control characters or line breaks' })
    .refine((text) => !isBrokenUnicode(text), { error: 'must be valid Unicode' });
}

/** Settings of the source, before the registry of source types has looked at them. */
const SourceConfig = json(z.record(z.string(), z.unknown(), { error: 'must be a JSON object' }));

const Notify = clearable(flag()).optional();

const source = {
  source_type: line({ min: 1, max: 32 }),
  source_display_name: line({ max: 191 }).optional(),
  source_config: SourceConfig,
  /** Google Drive and Dropbox: the connected account. */
  source_connection_id: clearable(SourceId).optional(),
  source_path: Path(1024).optional(),
  /** Older forms have one path field per type. */
  s3_path: Path(1024).optional(),
  aws_path: Path(1024).optional(),
  sftp_path: Path(1024).optional(),
  gdrive_path: Path(1024).optional(),
  dropbox_path: Path(1024).optional(),
};

/**
 * What is kept of the restore points: `none` (all of them), `keep_last_n` and `keep_days` with `retention_value`, `tiers` with
 * `retention_json` `{ hourly, daily, weekly, monthly, yearly }`. Values are checked by src/retention/policy.ts.
 */
export const retentionFields = {
  retention_mode: clearable(line({ max: 16 })).optional(),
  retention_value: clearable(z.union([z.number(), z.string()], { error: 'must be a whole number' })).optional(),
  retention_json: clearable(json(z.record(z.string(), z.unknown(), { error: 'must be a JSON object' }))).optional(),
};

const rest = {
  dest_prefix: Path(512).nullable().optional(),
  dest_type: line({ max: 16 }).optional(),
  backup_mode: line({ max: 16 }).optional(),
  engine: line({ max: 16 }).optional(),
  /** Only before the first run. */
  encryption_enabled: flag().optional(),
  schedule_type: line({ max: 16 }).optional(),
  schedule_time: clearable(line({ max: 8 })).optional(),
  schedule_weekday: clearable(number({ min: 1, max: 7 })).optional(),
  schedule_minute: clearable(number({ min: 0, max: 59 })).optional(),
  schedule_cron: clearable(line({ max: 191 })).optional(),
  schedule_json: clearable(json(z.record(z.string(), z.unknown(), { error: 'must be a JSON object' }))).optional(),
  timezone: clearable(line({ max: 64 })).optional(),
  catch_up: flag().optional(),
  start_jitter_seconds: number({ min: 0, max: 3600 }).optional(),
  overdue_grace_seconds: number({ min: 300, max: 30 * 86_400 }).optional(),
  max_attempts: number({ min: 1, max: 10 }).optional(),
  ...retentionFields,
  bandwidth_limit_kbps: clearable(number({ min: 0, max: 100_000_000 })).optional(),
  validation_mode: clearable(z.enum(['none', 'post_run'], { error: 'must be none or post_run' })).optional(),
  /** 0 or blank: never by schedule. */
  validation_every_days: clearable(number({ min: 0, max: 365 })).optional(),
  drill_every_days: clearable(number({ min: 0, max: 365 })).optional(),
  brake_percent: number({ min: 1, max: 100 }).optional(),
  brake_min_files: number({ min: 1, max: 1_000_000_000 }).optional(),
  notify_override_email: clearable(EmailList).optional(),
  notify_on_success: Notify,
  notify_on_warning: Notify,
  notify_on_failure: Notify,
  status: z.enum(['active', 'paused'], { error: 'must be active or paused' }).optional(),
};

/**
 * Options that are not built: any value but "none" is refused with ERR_NOT_AVAILABLE, never stored and ignored. What counts as
 * "none" is in src/jobs/availability.ts.
 */
export const unavailableFields = [
  'encryption_mode',
  'compression_enabled',
  'compression',
  'policy_json',
  'parallelism',
  'source_paths',
  'local_include_glob',
  'local_exclude_glob',
  'local_bandwidth_limit_kbps',
  'network_username',
  'network_password',
  'network_domain',
  'agent_uuid',
  'dest_local_path',
  'bucket_auto_create',
] as const;

const unavailable = Object.fromEntries(unavailableFields.map((name) => [name, z.unknown().optional()])) as {
  [Name in (typeof unavailableFields)[number]]: z.ZodOptional<z.ZodUnknown>;
};

/** Fields of `cloudbackup_create_job`. */
export const NewJob = z.object({
  name: line({ min: 1, max: 191 }),
  ...source,
  dest_bucket_id: HostRowId,
  ...rest,
  ...unavailable,
});
export type NewJob = z.output<typeof NewJob>;

/** Fields of `cloudbackup_update_job`: what is absent stays; a secret that is blank stays; other texts that are blank are cleared. */
export const JobChanges = NewJob.partial().extend({ job_id: JobId });
export type JobChanges = Omit<z.output<typeof JobChanges>, 'job_id'>;

/** Fields of `cloudbackup_test_connection`: a source that is not saved yet, or changes to that of a job, whose secrets stand in for blank ones. */
export const ConnectionRequest = z.object({ ...source, job_id: JobId.optional() }).partial();
export type ConnectionRequest = z.output<typeof ConnectionRequest>;

export const BrowseSourceRequest = ConnectionRequest.extend({
  /** The folder to look into, as `source_path` would name it; absent or empty: where the source begins. */
  path: z.string().max(4096).optional(),
});
export type BrowseSourceRequest = z.output<typeof BrowseSourceRequest>;
