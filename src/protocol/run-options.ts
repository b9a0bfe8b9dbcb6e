import { z } from 'zod';

/** What a single run may do or has to do: `options_json` of its row. Never secrets. */

/** Of a backup run. */
export const BackupOptions = z.object({
  /** "Run anyway once": an empty source is a point this time, and freezes retention. */
  allow_empty: z.boolean().default(false),
});
export type BackupOptions = z.infer<typeof BackupOptions>;

/** Of a restore into a bucket. */
export const RestoreOptions = z.object({
  /** uuid of the restore point. */
  point: z.string(),
  /** Folder of the point without slashes at its ends; '' = all of it. */
  folder: z.string(),
  target: z.object({
    bucket_id: z.number(),
    bucket: z.string(),
    /** Normalised: no leading slash, one trailing slash. */
    prefix: z.string(),
  }),
});
export type RestoreOptions = z.infer<typeof RestoreOptions>;
