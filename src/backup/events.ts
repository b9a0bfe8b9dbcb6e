import type { TransferProgress } from '../engines/port.ts';
import type {
  BackupEvent,
  FileProblem,
  Freeze,
  ProblemReport,
  RunPhase,
  RunProgress,
  RunStatistics,
} from './ledger.ts';
import type { BackupPlan } from './plan.ts';
import type { ListedSource } from './source-listing.ts';
import type { PointTally } from './verify.ts';

const PROBLEMS_PER_EVENT = 100;
const PROBLEMS_TOLD = 1_000;
const FOLDERS_TOLD = 100;
const PROBLEMS_REPORTED = 10_000;

export function progressOf(phase: RunPhase, filesListed: number, transfer: TransferProgress | null): RunProgress {
  return { phase, filesListed, transfer };
}

export function listingEvents(source: ListedSource): BackupEvent[] {
  const { files, bytes, complete, unreadable } = source;
  const listed: BackupEvent = { code: 'LISTED', params: { files: files.count, bytes, complete } };
  if (unreadable.length > 0) {
    const folders = unreadable.slice(0, FOLDERS_TOLD);
    return [listed, { code: 'FOLDERS_UNREADABLE', params: { folders, total: unreadable.length } }];
  }
  return complete ? [listed] : [listed, { code: 'LISTING_INCOMPLETE', params: {} }];
}

export function comparedEvent(plan: BackupPlan): BackupEvent {
  const { unchanged, moved, added, changed, deleted, carried, copyFiles, copyBytes } = plan;
  const params = { unchanged, moved, added, changed, deleted, carried, files: copyFiles, bytes: copyBytes };
  return { code: 'COMPARED', params };
}

/** Every file that is not in the point as the source has it, up to a thousand by name. */
export function problemEvents(source: ListedSource, tally: PointTally): BackupEvent[] {
  const problems = [...source.skipped, ...tally.problems].slice(0, PROBLEMS_TOLD);
  const total = source.skipped.length + tally.problemCount;
  const events: BackupEvent[] = [];
  for (let at = 0; at < problems.length; at += PROBLEMS_PER_EVENT) {
    events.push({ code: 'FILE_PROBLEMS', params: { problems: problems.slice(at, at + PROBLEMS_PER_EVENT), total } });
  }
  return events;
}

/** The same, for the report of the run: ten times as many by name, and exact totals. */
export function problemReport(source: ListedSource, tally: PointTally): ProblemReport {
  const of = (outcome: FileProblem['outcome']): FileProblem[] =>
    tally.problems.filter((problem) => problem.outcome === outcome);
  return {
    files: [...of('failed'), ...of('carried'), ...source.skipped].slice(0, PROBLEMS_REPORTED),
    totals: { failed: tally.failed, carried: tally.carried, skipped: source.skipped.length },
  };
}

export function freezeEvents(freeze: Freeze | null): BackupEvent[] {
  if (freeze === null) return [];
  const { reason, deleted, changed, referenceFiles } = freeze;
  return [{ code: 'RETENTION_FROZEN', params: { reason, deleted, changed, files: referenceFiles } }];
}

/** Sockets, pipes and devices are no files, and what links lead to is there by itself: leaving them out takes nothing from a point. */
export function isHarmless(problem: FileProblem): boolean {
  return problem.code === 'SPECIAL_FILE' || problem.code === 'SYMLINK';
}

export function statisticsOf(source: ListedSource, plan: BackupPlan, tally: PointTally): RunStatistics {
  const { unchanged, moved, added, changed, deleted } = plan;
  const { filesCopied, bytesCopied, carried, failed } = tally;
  return {
    filesListed: source.files.count,
    bytesListed: source.bytes,
    filesCopied,
    bytesCopied,
    unchanged,
    moved,
    added,
    changed,
    deleted,
    carried,
    failed,
  };
}
