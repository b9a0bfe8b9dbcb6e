import { z } from 'zod';

/** What a single run may do or has to do: `options_json` of its row. Never secrets. */

/** Of a backup run. */
export const BackupOptions = z.object({
  /** "Run anyway once": an empty source is a point this time, and freezes retention. */
  allow_empty: z.boolean().default(false),
});
export type BackupOptions = z.infer<typeof BackupOptions>;

/** `never`: what lies at the target stays. `if_newer`: replaced when the point's version was changed later. */
export const overwriteModes = ['never', 'if_newer', 'always'] as const;
export type Overwrite = (typeof overwriteModes)[number];

const BucketPlace = z.object({
  kind: z.literal('bucket'),
  bucket_id: z.number(),
  bucket: z.string(),
  /** Normalised: no leading slash, one trailing slash. */
  prefix: z.string(),
});

const SourcePlace = z.object({
  kind: z.literal('source'),
  /** The source in one line for people, as it was when the restore was asked for. */
  summary: z.string(),
});

/** Of a restore. */
export const RestoreOptions = z.object({
  /** uuid of the restore point. */
  point: z.string(),
  /** Files and folders of the point, without slashes at their ends; none = all of it. */
  paths: z.array(z.string()),
  overwrite: z.enum(overwriteModes),
  /** Only counts what would be done. */
  dry_run: z.boolean(),
  target: z.discriminatedUnion('kind', [BucketPlace, SourcePlace]),
});
export type RestoreOptions = z.infer<typeof RestoreOptions>;

/** Of a restore that is over: `stats_json` of its row. */
export const RestoreStats = z.object({
  files: z.number(),
  bytes: z.number(),
  created: z.number(),
  overwritten: z.number(),
  skipped: z.number(),
  bytes_to_write: z.number(),
  exact: z.number(),
  size_only: z.number(),
  carried: z.number(),
  problems: z.number(),
});
export type RestoreStats = z.infer<typeof RestoreStats>;
