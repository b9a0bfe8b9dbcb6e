import type { SpillSpace } from '../backup/spill.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { Entry } from '../layout/types.ts';
import type { Overwrite } from '../protocol/run-options.ts';

export type { Overwrite };

/** Calls of `copy` at once: they share the memory that a restore may use. */
export const GROUPS_AT_ONCE = 2;

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
  /** Of all of them. */
  readonly bytes: number;
  /** Bytes of the largest file of the whole restore. */
  readonly largest: number;
  readonly existing: ExistingFiles;
  readonly signal: AbortSignal;
  readonly onProgress: CopyProgress;
}

/**
 * What lies at the target: `none`, it was empty when the restore began; `keep`, what has appeared since it was looked at stays;
 * `replace`, what is in the way is written over.
 */
export type ExistingFiles = 'none' | 'keep' | 'replace';

/** One object, under whatever name. */
export interface SingleCopy {
  /** Full key in the job's bucket. */
  readonly fromKey: string;
  readonly toPath: string;
  /** Bytes. */
  readonly size: number;
}

export interface SingleCopies {
  readonly items: AsyncIterable<SingleCopy>;
  /** Bytes of the largest file of the whole restore. */
  readonly largest: number;
  readonly existing: ExistingFiles;
  readonly signal: AbortSignal;
  readonly onProgress: CopyProgress;
}

/** Hears how much of one call is done. */
export type CopyProgress = (progress: { readonly bytes: number; readonly files: number }) => void;

export interface BulkCopier {
  /** Resolves to the names that failed. Throws BackupError when the transfer as a whole failed. */
  copy(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>>;
  /** Resolves to the target paths that failed. Throws BackupError when going on is hopeless. */
  copySome(request: SingleCopies): Promise<ReadonlyMap<string, ErrorCode>>;
  /** Ends what it started. */
  close(): Promise<void>;
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
export interface Existing {
  /** -1: something that is no file. */
  readonly size: number;
  /** `md5:<hex>`, or null where it is not told. */
  readonly hash: string | null;
  /** Epoch milliseconds of its last change, as far as it was asked for. */
  readonly modified: number | null;
  /** Nothing can be written here: a link or a file stands in the place of a folder. */
  readonly blocked?: true;
}

export interface LookOptions {
  readonly signal: AbortSignal;
  readonly space: SpillSpace;
  /** How many entries come, at most. */
  readonly count: number;
  /** `modified` is needed, also where a listing does not tell it. */
  readonly times: boolean;
  /** The content is to be compared: every hash that can be had. */
  readonly hashes: boolean;
}

/** Where a restore goes: a folder of this machine, a prefix of a bucket, the source of the job. */
export interface RestoreTarget {
  /**
   * Looks whether anything may be restored here; with `dryRun`, without writing anything.
   * @throws BackupError `ERR_RESTORE_TARGET`
   */
  prepare(options: { readonly signal: AbortSignal; readonly dryRun: boolean }): Promise<void>;
  /** Names that differ by case only may be one name here. */
  readonly mayIgnoreCase: boolean;
  /** Nothing lay here when the restore began. */
  readonly isEmpty: boolean;
  /** Why this file can never be written here, or null. */
  refusal(path: string): ErrorCode | null;
  /** What lies there, for entries in the order of their paths; null: nothing. */
  look(
    entries: AsyncIterable<Entry>,
    options: LookOptions,
  ): AsyncIterable<{ readonly entry: Entry; readonly existing: Existing | null }>;
  copyMany(request: BulkCopy): Promise<ReadonlyMap<string, ErrorCode>>;
  copySome(request: SingleCopies): Promise<ReadonlyMap<string, ErrorCode>>;
  /** Ends what was started for the copying. @param done the restore came to its end */
  close(done: boolean): Promise<void>;
}
