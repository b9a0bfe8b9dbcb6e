import { z } from 'zod';
import { RetentionPolicyView } from './retention.ts';
import { ProofStatusField } from './proofs.ts';
import { RunView } from './run.ts';
import { timeFields } from './times.ts';

export const JobStatusField = z.enum(['active', 'paused']);

/** One day of the 30-day strip, oldest first. */
export const StripDay = z.object({
  /** `2025-11-04` in the zone of the strip. */
  date: z.string(),
  /** The worst that happened: `failed` > `warning` > `running` > `good` > `skipped` > `idle`; `overdue` where no run was good in time. */
  state: z.enum(['failed', 'overdue', 'warning', 'running', 'good', 'skipped', 'idle']),
  /** Backup runs of that day by their status. */
  runs: z.record(z.string(), z.number()),
});
export type StripDay = z.infer<typeof StripDay>;

/** Where the data comes from, as it may be shown: never a secret. */
export const SourceView = z.object({
  type: z.string(),
  display_name: z.string(),
  path: z.string(),
  /** The settings without secrets, such as `{ endpoint, region, bucket }`; of a secret only that it is set: `{ secret_key: true }`. */
  config: z.record(z.string(), z.unknown()),
  secrets_set: z.record(z.string(), z.boolean()),
  /** Restores back to it are possible. */
  writable: z.boolean(),
  /** One line, such as `s3.example.com / photos / 2024`. */
  summary: z.string(),
  /** SFTP: fingerprints of the pinned host key, and of one that was seen since and refused. */
  host_key: z.object({ pinned: z.string().nullable(), seen: z.string().nullable() }),
});
export type SourceView = z.infer<typeof SourceView>;

export const JobView = z.object({
  job_id: z.string(),
  name: z.string(),
  status: JobStatusField,
  source_type: z.string(),
  source_display_name: z.string(),
  source_path: z.string(),
  dest_bucket_id: z.number(),
  dest_bucket_name: z.string(),
  dest_prefix: z.string(),
  /** True after the first run: bucket, prefix, mode and encryption stay as they are. */
  layout_fixed: z.boolean(),
  backup_mode: z.string(),
  engine: z.string(),
  schedule_type: z.string(),
  schedule_time: z.string().nullable(),
  schedule_weekday: z.number().nullable(),
  schedule_cron: z.string().nullable(),
  schedule_json: z.unknown(),
  /** In words: `Every day at 02:00, Europe/Berlin`. */
  schedule_summary: z.string(),
  timezone: z.string().nullable(),
  ...timeFields('next_run_at'),
  catch_up: z.boolean(),
  start_jitter_seconds: z.number(),
  overdue_grace_seconds: z.number(),
  encryption_enabled: z.boolean(),
  /** Encrypted jobs: when a recovery kit was first downloaded; null: never, and without it nobody but this installation can restore. */
  ...timeFields('recovery_kit_at'),
  validation_mode: z.string(),
  /** Null: never by schedule. */
  validation_every_days: z.number().nullable(),
  validation_last_status: ProofStatusField.nullable(),
  drill_every_days: z.number().nullable(),
  drill_last_status: ProofStatusField.nullable(),
  ...timeFields(
    'validation_last_at',
    'validation_next_at',
    'drill_last_at',
    'drill_next_at',
    /** A restore test is due, and none was good since then. */
    'drill_overdue_since',
  ),
  retention_mode: z.string(),
  retention_value: z.number().nullable(),
  /** What is in force, in one object. */
  retention: RetentionPolicyView,
  /** A retention that keeps less, and from when on: until then the one above is in force, and this can be undone. */
  retention_pending: z.object({ retention: RetentionPolicyView, ...timeFields('acts_at') }).nullable(),
  max_attempts: z.number(),
  bandwidth_limit_kbps: z.number().nullable(),
  brake_percent: z.number(),
  brake_min_files: z.number(),
  notify_override_email: z.array(z.string()),
  notify_on_success: z.boolean().nullable(),
  notify_on_warning: z.boolean().nullable(),
  notify_on_failure: z.boolean().nullable(),
  /** Retention is frozen until somebody releases it. */
  frozen: z.object({ reason: z.string(), run_id: z.string().nullable(), ...timeFields('at') }).nullable(),
  ...timeFields('overdue_since', 'last_good_at', 'created_at', 'updated_at'),
  /** The client's service was terminated: its backups are deleted then, unless the service comes back before. */
  ...timeFields('data_delete_at'),
  /** What its restore points take in the bucket. */
  stored_bytes: z.number(),
});
export type JobView = z.infer<typeof JobView>;

/** A connected account that its owner has to authorize again before the job can run. */
export const ConnectionTrouble = z.object({
  source_id: z.string(),
  provider_label: z.string(),
  account: z.string(),
  status: z.enum(['error', 'revoked']),
  message: z.string(),
});
export type ConnectionTrouble = z.infer<typeof ConnectionTrouble>;

/** A job of the list, with what its card shows. */
export const JobCard = JobView.extend({
  source_summary: z.string(),
  /** Null: the account is good, or the source is reached without one. */
  connection_trouble: ConnectionTrouble.nullable(),
  last_run: RunView.omit({ point: true }).nullable(),
  /** 30 days, the last one is today. */
  strip: z.array(StripDay),
});
export type JobCard = z.infer<typeof JobCard>;

export const BucketView = z.object({
  id: z.number(),
  name: z.string(),
  account: z.string(),
  versioning: z.boolean(),
  object_lock: z.boolean(),
});
export type BucketView = z.infer<typeof BucketView>;

/** What a worker found out about a source. */
export const ConnectionView = z.object({
  ok: z.boolean(),
  /** Null when it worked. */
  problem: z.object({ code: z.string(), what: z.string(), data: z.string(), action: z.string() }).nullable(),
  /** A sentence for the form. */
  message: z.string(),
  /** SFTP: fingerprint of the server's key, for the customer to compare. */
  host_key: z.string().nullable(),
  /** Names that lie at the path, a few of them, so that the customer sees it is the right place. */
  sample: z.array(z.string()),
});
export type ConnectionView = z.infer<typeof ConnectionView>;

/** Folders of a source that lie directly in one folder. */
export const SourceFolders = z.object({
  /** By name; `path` is what `source_path` of a job would be. */
  folders: z.array(z.object({ name: z.string(), path: z.string() })),
  /** There are more than these. */
  truncated: z.boolean(),
});
export type SourceFolders = z.infer<typeof SourceFolders>;

export const SettingsView = z.object({
  default_notify_emails: z.array(z.string()),
  default_notify_on_success: z.boolean(),
  default_notify_on_warning: z.boolean(),
  default_notify_on_failure: z.boolean(),
  default_timezone: z.string().nullable(),
});
export type SettingsView = z.infer<typeof SettingsView>;
