import type { SpillSpace } from '../backup/spill.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { Entry } from '../layout/types.ts';

/**
 * Many objects of one folder of the job's bucket, to one folder of the target, under the same names. `rclone-bulk.ts` does it with
 * rclone, the model test in memory.
 */
export interface BulkCopy {
  /** Full key of the folder in the job's bucket, without trailing slash. */
  readonly fromKey: string;
  /** Path of the folder below the target's root, in the spelling of entries' paths; '' is the root itself. */
  readonly toPath: string;
  /** Names relative to both, in the spelling of entries' paths. */
  readonly names: AsyncIterable<string>;
  readonly count: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: { readonly bytes: number; readonly files: number }) => void;
}

export interface BulkCopier {
  /** Resolves to the names that failed. Throws BackupError when the transfer as a whole failed. */
  copy(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>>;
}

export type RestoreProblemCode =
  | ErrorCode
  /** Not at the target afterwards. */
  | 'FILE_MISSING'
  /** There, but with another size or hash than the point says. */
  | 'FILE_DIFFERS'
  /** The point itself has no version of this file: it could not be backed up. */
  | 'FILE_NOT_IN_POINT';

export interface RestoreProblem {
  readonly path: string;
  readonly code: RestoreProblemCode;
}

/** What lies at the target in the place of an entry. */
export type Inspection =
  /** Size and hash are those of the entry. */
  | 'exact'
  /** The size is that of the entry; the point knows no hash, or the target tells none. */
  | 'size_only'
  | 'missing'
  | 'differs';

/** Where a restore goes: a folder of this machine, or a prefix of a bucket. */
export interface RestoreTarget {
  /** Throws BackupError `ERR_RESTORE_TARGET` when nothing may be restored here. */
  prepare(signal: AbortSignal): Promise<void>;
  copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>>;
  /** One object, under whatever name. Null: done; otherwise why not. Throws when nothing at all can be written. */
  copyOne(entry: Entry, signal: AbortSignal): Promise<ErrorCode | null>;
  /** Reads back what was written, for entries in the order of their paths. */
  inspect(
    entries: AsyncIterable<Entry>,
    signal: AbortSignal,
    space: SpillSpace,
  ): AsyncIterable<{ readonly entry: Entry; readonly found: Inspection }>;
}
