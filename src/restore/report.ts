import { BackupError } from '../errors/backup-error.ts';
import type { FileOutcome } from './outcome.ts';
import type { RestoreProblem, RestoreProblemCode } from './port.ts';

export interface RestoreProgress {
  readonly phase: 'comparing' | 'copying' | 'verifying';
  readonly files: number;
  readonly filesTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

export interface RestoreReport {
  /** Files that the point holds under the paths that were asked for, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  readonly dryRun: boolean;
  /** Of those: files that were not at the target before, that were replaced, that were left as they are; bytes to write. */
  readonly created: number;
  readonly overwritten: number;
  readonly skipped: number;
  readonly bytesToWrite: number;
  /** Read back with the right size and hash. */
  readonly exact: number;
  /** Read back with the right size; there was no hash to compare. */
  readonly sizeOnly: number;
  /** Files whose content is an earlier version, because the source could not be read at the time of the point. */
  readonly carried: number;
  /** The first ten thousand files that are not as the point has them; `problemCount` counts all, `problemCodes` by code. */
  readonly problems: readonly RestoreProblem[];
  readonly problemCount: number;
  readonly problemCodes: ReadonlyMap<RestoreProblemCode, number>;
  /** What the report of the run names, with the totals of each kind. */
  readonly outcomes: readonly FileOutcome[];
  readonly totals: Readonly<Record<FileOutcome['kind'], number>>;
  /** Milliseconds of copying and of reading back. */
  readonly copyMs: number;
  readonly verifyMs: number;
}

/**
 * Throws `ERR_RESTORE_MISMATCH` when any file of the point is not at the target as the point has it. Files that the point itself has no
 * version of are no mismatch: the point says so, and the report names them.
 */
export function requireExact(report: RestoreReport): void {
  const wrong = report.problems.filter(({ code }) => code !== 'FILE_NOT_IN_POINT');
  if (wrong.length === 0) return;
  throw new BackupError('ERR_RESTORE_MISMATCH', undefined, {
    details: { problems: wrong.slice(0, 100), total: report.problemCount },
  });
}
