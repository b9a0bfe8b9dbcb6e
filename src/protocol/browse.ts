import { z } from 'zod';
import { isBrokenUnicode } from './fields.ts';
import { timeFields } from './times.ts';

/** What the endpoints that look into restore points take and give. */

/** A path inside of a point, as its answers name it; slashes at its ends do not count. '' is the top. */
export const PointPath = z
  .string({ error: 'must be a text' })
  .max(4096, { error: 'must not be longer than 4096 characters' })
  // Paths hold no ASCII control characters; everything else that Unicode has may be in a name.
  .refine((text) => !isBrokenUnicode(text) && !/[\u0000-\u001f\u007f]/.test(text), {
    error: 'must be a path of the point',
  })
  .transform((text) => text.replace(/^\/+|\/+$/g, ''));

/** `next` of the page before. */
export const PlaceCursor = z.string().min(1).max(12_000).optional();

/** `stored`: as it was; `carried`: an older version, because the file could not be read; `failed`: the point has no version of it. */
export const EntryStateField = z.enum(['stored', 'carried', 'failed']);

export const FolderRowView = z.object({
  name: z.string(),
  path: z.string(),
  /** Files in it and below. */
  files: z.number(),
});
export type FolderRowView = z.infer<typeof FolderRowView>;

export const FileRowView = z.object({
  name: z.string(),
  path: z.string(),
  size: z.number(),
  state: EntryStateField,
  ...timeFields('mtime'),
});
export type FileRowView = z.infer<typeof FileRowView>;

export const FolderView = z.object({
  point_id: z.string(),
  folder: z.string(),
  /** Files in the folder and below. */
  total_files: z.number(),
  folders: z.array(FolderRowView),
  files: z.array(FileRowView),
  /** Null at the end. A page may be short with more to come: the time for one request was up. */
  next: z.string().nullable(),
});
export type FolderView = z.infer<typeof FolderView>;

export const FoundView = z.object({
  kind: z.enum(['folder', 'file']),
  name: z.string(),
  path: z.string(),
  /** Null for folders, as are state and time. */
  size: z.number().nullable(),
  state: EntryStateField.nullable(),
  ...timeFields('mtime'),
});
export type FoundView = z.infer<typeof FoundView>;

export const SearchView = z.object({
  point_id: z.string(),
  found: z.array(FoundView),
  /** Files looked at since the search began, of so many. */
  searched_files: z.number(),
  total_files: z.number(),
  /** Goes on where this answer ended; null when everything was searched. */
  next: z.string().nullable(),
});
export type SearchView = z.infer<typeof SearchView>;

export const VersionView = z.object({
  size: z.number(),
  hash: z.string().nullable(),
  state: EntryStateField,
  ...timeFields('mtime'),
  /** The points that hold this version, the newest first. */
  points: z.array(z.object({ point_id: z.string(), run_id: z.string(), ...timeFields('created_at') })),
});
export type VersionView = z.infer<typeof VersionView>;

export const VersionsView = z.object({
  job_id: z.string(),
  path: z.string(),
  /** The newest first. Neighbouring points with the same content are one version. */
  versions: z.array(VersionView),
  /** How many of the points that were looked into have no such file, and how many could not be read. */
  absent: z.number(),
  unreadable: z.number(),
  next: z.string().nullable(),
});
export type VersionsView = z.infer<typeof VersionsView>;

const SideView = z.object({ size: z.number(), state: EntryStateField, ...timeFields('mtime') });

export const DifferenceView = z.object({
  kind: z.enum(['added', 'removed', 'changed']),
  path: z.string(),
  before: SideView.nullable(),
  after: SideView.nullable(),
});
export type DifferenceView = z.infer<typeof DifferenceView>;

export const ComparisonView = z.object({
  point_id: z.string(),
  other_point_id: z.string(),
  differences: z.array(DifferenceView),
  /** Of all differences, while `counted` is true and no cursor was given; else of those that this request came across. */
  added: z.number(),
  removed: z.number(),
  changed: z.number(),
  added_bytes: z.number(),
  removed_bytes: z.number(),
  counted: z.boolean(),
  next: z.string().nullable(),
});
export type ComparisonView = z.infer<typeof ComparisonView>;

/** Paths of files and folders: a list, the same field several times, or a JSON list as text. None, or an empty one, is everything. */
export const PointPaths = z
  .union([z.array(z.string()), z.string()], { error: 'must be a list of paths' })
  .transform((given) => (typeof given === 'string' ? listOf(given) : given))
  .pipe(z.array(PointPath).max(10_000, { error: 'must not hold more than 10,000 paths' }));

function listOf(given: string): string[] {
  if (given.startsWith('["')) {
    try {
      const list: unknown = JSON.parse(given);
      if (Array.isArray(list)) return list.map(String);
    } catch {
      // A file whose name happens to begin like a list.
    }
  }
  return [given];
}
