import { z } from 'zod';
import { overwriteModes, RestoreStats } from './run-options.ts';
import { timeFields } from './times.ts';

export const RunStatusField = z.enum([
  'queued',
  'starting',
  'running',
  'success',
  'warning',
  'failed',
  'cancelled',
  'partial_success',
]);
export const RunKindField = z.enum(['backup', 'restore', 'validation', 'drill', 'maintenance']);

/** What went wrong, in words: from the catalogue of error codes. */
export const ProblemView = z.object({
  code: z.string(),
  what: z.string(),
  /** What it means for the data. */
  data: z.string(),
  /** What to do. */
  action: z.string(),
});
export type ProblemView = z.infer<typeof ProblemView>;

/** What a run left: a restore point. */
export const PointView = z.object({
  point_id: z.string(),
  run_id: z.string(),
  job_id: z.string(),
  /** Only `kept` ones can be restored; `marked` ones are about to be removed. */
  state: z.enum(['kept', 'marked', 'deleting', 'pruned']),
  /** `warning`: some files are older versions or missing. */
  status: z.string(),
  complete: z.boolean(),
  /** Entries of the point, and how many of them are older versions, or missing. */
  files: z.number(),
  carried: z.number(),
  failed: z.number(),
  /** Size of all its files, and what this run added to the bucket. */
  bytes: z.number(),
  added_bytes: z.number(),
  pinned: z.boolean(),
  ...timeFields('created_at'),
});
export type PointView = z.infer<typeof PointView>;

/** A restore point by the names of snapshots. */
export const SnapshotView = PointView.extend({
  /** The same as `point_id`. */
  manifest_id: z.string(),
  size_bytes: z.number(),
  /** `1.50 GiB` */
  size_human: z.string(),
  file_count: z.number(),
});
export type SnapshotView = z.infer<typeof SnapshotView>;

/** What a restore takes from where to where, and, once it is over, what it did. */
export const RestoreView = z.object({
  point_id: z.string(),
  /** The first files and folders that were asked for, and how many there are; none = everything. */
  paths: z.array(z.string()),
  path_count: z.number(),
  target: z.enum(['bucket', 'source']),
  /** In one line: `bucket/prefix/`, or the source as the job names it. */
  target_text: z.string(),
  dest_bucket: z.string().nullable(),
  dest_prefix: z.string().nullable(),
  overwrite: z.enum(overwriteModes),
  dry_run: z.boolean(),
  counts: RestoreStats.nullable(),
});
export type RestoreView = z.infer<typeof RestoreView>;

const figures = {
  /** 0 to 100. */
  progress_pct: z.number(),
  bytes_total: z.number(),
  bytes_transferred: z.number(),
  bytes_processed: z.number(),
  objects_total: z.number(),
  objects_transferred: z.number(),
};

/** `size_only`: no differences, and not every file could be compared by its content. */
export const ValidationStatusField = z.enum(['not_run', 'running', 'success', 'size_only', 'failed']);
export type ValidationStatusField = z.infer<typeof ValidationStatusField>;

/** One line of a run history. */
export const RunView = z.object({
  run_id: z.string(),
  job_id: z.string(),
  job_name: z.string(),
  kind: RunKindField,
  trigger_type: z.string(),
  /** Why it was started when it was: `catch_up`, `empty_allowed` … or null. */
  start_reason: z.string().nullable(),
  status: RunStatusField,
  /** A scheduled run that was skipped because the one before it was still active. */
  skipped: z.boolean(),
  error_summary: z.string().nullable(),
  problem: ProblemView.nullable(),
  attempt: z.number(),
  max_attempts: z.number(),
  /** Of the restore point that it left; in lists without `running`. */
  validation_status: ValidationStatusField,
  ...figures,
  ...timeFields('created_at', 'started_at', 'finished_at'),
  /** Milliseconds from start to end; null while it runs or when it never started. */
  duration_ms: z.number().nullable(),
  point: PointView.nullable(),
  /** Of restores only. */
  restore: RestoreView.optional(),
});
export type RunView = z.infer<typeof RunView>;

/** What the run page polls. Nothing in it changes unless the run does. */
export const ProgressView = z.object({
  run_id: z.string(),
  run_uuid: z.string(),
  job_id: z.string(),
  kind: RunKindField,
  trigger_type: z.string(),
  status: RunStatusField,
  /** `checking`, `listing`, `comparing`, `copying`, `verifying`, `committing`, `finished` … or null while queued. */
  phase: z.string().nullable(),
  /** A cancel was asked for and the run has not ended yet. */
  stopping: z.boolean(),
  cancel_forced: z.boolean(),
  terminal: z.boolean(),
  skipped: z.boolean(),
  error_code: z.string().nullable(),
  error_summary: z.string().nullable(),
  problem: ProblemView.nullable(),
  worker_host: z.string().nullable(),
  validation_status: ValidationStatusField,
  attempt: z.number(),
  max_attempts: z.number(),
  ...figures,
  files_done: z.number(),
  files_total: z.number(),
  folders_done: z.number().nullable(),
  speed_bytes_per_sec: z.number(),
  eta_seconds: z.number().nullable(),
  current_item: z.string().nullable(),
  /** Number of the newest event: higher than what the page has means there is more to fetch. */
  last_event_id: z.number(),
  ...timeFields('created_at', 'started_at', 'finished_at', 'not_before'),
});
export type ProgressView = z.infer<typeof ProgressView>;

export const EventView = z.object({
  /** Number within the run, from 1 without gaps: `since_id` of the next request. */
  id: z.number(),
  ...timeFields('ts'),
  type: z.string(),
  level: z.enum(['info', 'warn', 'error']),
  code: z.string(),
  message_id: z.string(),
  params: z.record(z.string(), z.unknown()),
  /** The sentence for people, made from `message_id` and `params`. */
  message: z.string(),
});
export type EventView = z.infer<typeof EventView>;
