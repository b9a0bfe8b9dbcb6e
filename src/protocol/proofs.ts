import { z } from 'zod';
import { timeFields } from './times.ts';

/** `size_only`: nothing is wrong as far as it could be compared, and not everything could be compared by content. */
export const ProofStatusField = z.enum(['success', 'size_only', 'failed']);
export type ProofStatusField = z.infer<typeof ProofStatusField>;

/** The dated record of one restore test. */
export const DrillView = z.object({
  drill_id: z.string(),
  job_id: z.string(),
  run_id: z.string(),
  /** Null: it failed before a point was read. */
  point_id: z.string().nullable(),
  status: ProofStatusField,
  /** Files that were read back; of them, those compared by checksum, and those of which no checksum is known. */
  files: z.number(),
  exact: z.number(),
  size_only: z.number(),
  /** Files that are missing or differ. */
  problems: z.number(),
  bytes: z.number(),
  duration_ms: z.number(),
  /** The small file that is read every time. */
  canary_path: z.string().nullable(),
  ...timeFields('started_at', 'finished_at'),
});
export type DrillView = z.infer<typeof DrillView>;

export const RunFileKindField = z.enum([
  'carried',
  'failed',
  'skipped',
  'missing',
  'differs',
  'size_only',
  'changed_since',
]);

/** A file of a run that was not as it should be. */
export const RunFileView = z.object({
  /** Number of the row: `after` of the next page. */
  id: z.number(),
  kind: RunFileKindField,
  code: z.string(),
  path: z.string(),
  /** Why, in words. */
  reason: z.string(),
});
export type RunFileView = z.infer<typeof RunFileView>;

/** How many files a run met, by kind; of each, ten thousand in all are kept by name. */
export const RunFileTotals = z.partialRecord(RunFileKindField, z.number());
export type RunFileTotals = z.infer<typeof RunFileTotals>;
