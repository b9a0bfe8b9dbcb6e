import { BackupError } from '../errors/backup-error.ts';
import { catalogue, type ErrorCode } from '../errors/catalogue.ts';
import type { RestoreProblemCode } from './port.ts';
import type { RestoreReport } from './report.ts';

/** What a restore's report says of a file. */
export interface FileOutcome {
  readonly kind: 'missing' | 'differs' | 'size_only' | 'skipped';
  readonly code: RestoreProblemCode | SkipCode | 'FILE_SIZE_ONLY';
  readonly path: string;
}

/** Why a file that lay at the target was left as it was. */
export type SkipCode = 'FILE_EXISTS' | 'FILE_NOT_NEWER';

/** Names and totals of the files that are not simply as the point has them. Holds at most `MOST_NAMED` of each kind. */
export class OutcomeList {
  readonly #byKind = new Map<FileOutcome['kind'], FileOutcome[]>();
  readonly totals: Record<FileOutcome['kind'], number> = { missing: 0, differs: 0, size_only: 0, skipped: 0 };

  add(outcome: FileOutcome): void {
    this.totals[outcome.kind] += 1;
    if (this.totals[outcome.kind] > MOST_NAMED) return;
    const list = this.#byKind.get(outcome.kind) ?? [];
    this.#byKind.set(outcome.kind, list);
    list.push(outcome);
  }

  /** What matters most comes first. */
  get named(): FileOutcome[] {
    return KINDS.flatMap((kind) => this.#byKind.get(kind) ?? []).slice(0, MOST_NAMED);
  }
}

export const MOST_NAMED = 10_000;
const KINDS = ['missing', 'differs', 'size_only', 'skipped'] as const;

/**
 * Concerns single files and is told by their names; all others are given back. Whatever is not in this list means that the restore
 * did not do what it should: it fails.
 */
const REPORTED: ReadonlySet<RestoreProblemCode> = new Set<RestoreProblemCode>([
  'FILE_NOT_IN_POINT',
  'ERR_OBJECT_MISSING',
  'ERR_KEY_TOO_LONG',
  'ERR_NAME_CASE',
  'ERR_NOT_AVAILABLE',
  'ERR_PERMISSION',
  'ERR_RESTORE_TARGET',
  'PREFIX_TAKEN',
]);

export type RestoreVerdict =
  | { readonly status: 'success' | 'warning'; readonly code: ErrorCode | null }
  | { readonly status: 'failed'; readonly error: BackupError };

/** How a restore that came to its end counts: a success, with gaps that the report names, or failed. */
export function verdictOf(report: RestoreReport): RestoreVerdict {
  const worst = [...report.problemCodes]
    .filter(([code]) => !REPORTED.has(code))
    .sort(([, a], [, b]) => b - a)
    .map(([code]) => code)[0];
  if (worst !== undefined) return { status: 'failed', error: failure(worst, report) };
  const gaps = [...report.problemCodes].sort(([, a], [, b]) => b - a).map(([code]) => code);
  const code = gaps.find((gap) => gap in catalogue) as ErrorCode | undefined;
  const nothing = report.exact + report.sizeOnly + report.skipped === 0 && report.problemCount > 0;
  if (nothing && !report.dryRun && code !== undefined) return { status: 'failed', error: failure(code, report) };
  const flawless = report.problemCount === 0 && report.carried === 0 && report.sizeOnly === 0;
  return { status: flawless ? 'success' : 'warning', code: code ?? null };
}

function failure(code: RestoreProblemCode, report: RestoreReport): BackupError {
  const known = code in catalogue ? (code as ErrorCode) : 'ERR_RESTORE_MISMATCH';
  return new BackupError(known, undefined, {
    details: { problems: report.problems.slice(0, 100), total: report.problemCount },
  });
}

export function kindOfProblem(code: RestoreProblemCode): 'missing' | 'differs' {
  return code === 'FILE_DIFFERS' ? 'differs' : 'missing';
}
