import { z } from 'zod';
import { PointView } from './run.ts';
import { timeFields } from './times.ts';

/** What a job keeps of its restore points, on top of the newest one, the last good one and those that are pinned. */
export const RetentionPolicyView = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('none') }),
  z.object({ mode: z.literal('keep_last_n'), count: z.number() }),
  z.object({ mode: z.literal('keep_days'), days: z.number() }),
  z.object({
    mode: z.literal('tiers'),
    hourly: z.number(),
    daily: z.number(),
    weekly: z.number(),
    monthly: z.number(),
    yearly: z.number(),
  }),
]);

/** A point, and what a retention makes of it. */
export const JudgedPointView = PointView.extend({
  keep: z.boolean(),
  /** Why it is kept: `newest`, `last_good`, `pinned`, `all`, `count`, `age`, `hourly`, `daily`, `weekly`, `monthly`, `yearly`. */
  reasons: z.array(z.string()),
  /** When it goes by its age, where that can be told. */
  ...timeFields('goes_at'),
});
export type JudgedPointView = z.infer<typeof JudgedPointView>;

/** What a retention would do to the points as they are now. */
export const RetentionPreview = z.object({
  retention: RetentionPolicyView,
  /** Newest first; `keep: false` ones go. */
  points: z.array(JudgedPointView),
  kept: z.number(),
  removed: z.number(),
  /** Bytes that come back at least. Points share files, so that it may be more. */
  freed_bytes_at_least: z.number(),
  stored_bytes: z.number(),
  /** It keeps less than what is in force: saved now, it acts then. Null: at once, or it is in force already. */
  ...timeFields('acts_at'),
  /** Retention is frozen: until it is released nothing goes, whatever is saved. */
  frozen: z.boolean(),
  /** The bucket keeps versions, or locks its objects: room comes back later than points go. */
  bucket: z.object({ versioning: z.boolean(), object_lock: z.boolean() }),
  /** In words, what is special: null when nothing is. */
  note: z.string().nullable(),
});
export type RetentionPreview = z.infer<typeof RetentionPreview>;

/** A job that was deleted and whose data is not gone yet. */
export const DeletedJobView = z.object({
  job_id: z.string(),
  name: z.string(),
  dest_bucket_name: z.string(),
  dest_prefix: z.string(),
  stored_bytes: z.number(),
  /** Its recovery kit can still be downloaded. */
  encryption_enabled: z.boolean(),
  /** `kept`: it stays; `grace`: it goes at `data_delete_at` unless that is undone; `deleting`: it is being removed. */
  data_state: z.enum(['kept', 'ending', 'grace', 'deleting']),
  ...timeFields('deleted_at', 'data_delete_at'),
});
export type DeletedJobView = z.infer<typeof DeletedJobView>;
