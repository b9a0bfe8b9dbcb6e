import { formatBytes, formatDuration } from '../format.ts';
import type { ProgressView, RunView } from '../../protocol/run.ts';
import { counted, percentOf } from './words.ts';

export interface ShownState {
  /** Name of shape and colour. */
  readonly kind: 'good' | 'warning' | 'failed' | 'running' | 'waiting' | 'cancelled';
  readonly word: string;
}

type Told = Pick<RunView, 'status' | 'skipped'> & { readonly stopping?: boolean };

/** A run's state as shape, colour and word. */
export function runState(run: Told): ShownState {
  if (run.skipped) return { kind: 'cancelled', word: 'Skipped' };
  if (run.stopping === true) return { kind: 'running', word: 'Stopping' };
  return states[run.status];
}

const states: Readonly<Record<RunView['status'], ShownState>> = {
  queued: { kind: 'waiting', word: 'Queued' },
  starting: { kind: 'running', word: 'Starting' },
  running: { kind: 'running', word: 'Running' },
  success: { kind: 'good', word: 'Success' },
  warning: { kind: 'warning', word: 'Warning' },
  partial_success: { kind: 'warning', word: 'Partial success' },
  failed: { kind: 'failed', word: 'Failed' },
  cancelled: { kind: 'cancelled', word: 'Cancelled' },
};

/** `Backup, scheduled`, `Restore`, `Restore, dry run`, `Backup, started by hand`. */
export function runKindText(run: Pick<RunView, 'kind' | 'trigger_type' | 'start_reason' | 'restore'>): string {
  const kind = kinds[run.kind];
  if (run.kind === 'restore') return run.restore?.dry_run === true ? `${kind}, dry run` : kind;
  if (run.trigger_type === 'validation') return `${kind}, after a backup`;
  if (run.start_reason === 'catch_up') return `${kind}, catching up`;
  return `${kind}, ${run.trigger_type === 'schedule' ? 'scheduled' : 'started by hand'}`;
}

const kinds: Readonly<Record<RunView['kind'], string>> = {
  backup: 'Backup',
  restore: 'Restore',
  validation: 'Validation',
  drill: 'Restore test',
  maintenance: 'Maintenance',
};

/** What became of the bytes that a run of this kind counts. */
export function movedWord(kind: RunView['kind']): string {
  return movedWords[kind];
}

const movedWords: Readonly<Record<RunView['kind'], string>> = {
  backup: 'Copied',
  restore: 'Restored',
  validation: 'Compared',
  drill: 'Read back',
  maintenance: 'Removed',
};

/** Of the restore point that a backup left; null where none was asked for. */
export function validationState(status: RunView['validation_status']): ShownState | null {
  return status === 'not_run' ? null : validationWords[status];
}

const validationWords: Readonly<Record<Exclude<RunView['validation_status'], 'not_run'>, ShownState>> = {
  running: { kind: 'running', word: 'Under way' },
  success: { kind: 'good', word: 'No differences' },
  size_only: { kind: 'warning', word: 'Not all by content' },
  failed: { kind: 'failed', word: 'Differences' },
};

/** Whole percent of the bytes, or null while it cannot be known. A run that is over and good is at 100. */
export function runPercent(run: ProgressView): number | null {
  if (run.status === 'success' || run.status === 'warning' || run.status === 'partial_success') return 100;
  if (run.status === 'queued') return 0;
  if (run.terminal) return Math.floor(run.progress_pct);
  if (run.phase === 'verifying' && (run.kind === 'validation' || run.kind === 'drill'))
    return run.files_total > 0 ? Math.min(99, Math.floor(run.progress_pct)) : null;
  if (run.phase === 'verifying' || run.phase === 'committing') return 99;
  const known = percentOf(run.bytes_transferred, run.bytes_total);
  return run.phase === 'copying' && known !== null ? Math.min(known, 99) : null;
}

/** One line that says what is happening, or how it ended. */
export function runSays(run: ProgressView): string {
  if (run.terminal) return ended(run);
  if (run.stopping) return run.cancel_forced ? 'Being stopped by force…' : 'Stopping…';
  if (run.status === 'queued') {
    return run.attempt > 0
      ? `Waiting to be tried again (attempt ${run.attempt + 1} of ${run.max_attempts})`
      : 'Waiting for a free worker';
  }
  if (run.kind === 'maintenance') return maintaining(run);
  switch (run.phase) {
    case 'listing':
      return run.files_total > 0
        ? `Listing the source: ${counted(run.files_total, 'file')} so far`
        : 'Listing the source';
    case 'comparing':
      if (run.kind === 'restore') return 'Looking at what is there already';
      return `Comparing ${counted(run.files_total, 'file')} with the last restore point`;
    case 'copying':
      return copying(run);
    case 'verifying':
      return verifying(run);
    case 'committing':
      return 'Writing the restore point';
    default:
      return 'Getting ready';
  }
}

function verifying(run: ProgressView): string {
  const done = `${run.files_done.toLocaleString('en')} of ${counted(run.files_total, 'file')}`;
  if (run.kind === 'validation') return run.files_total > 0 ? `Comparing ${done}` : 'Comparing what is stored';
  if (run.kind === 'drill') return run.files_total > 0 ? `Reading back ${done}` : 'Reading files back';
  return run.kind === 'restore' ? 'Comparing what was restored with the backup' : 'Checking what has arrived';
}

function maintaining(run: ProgressView): string {
  switch (run.phase) {
    case 'marking':
      return 'Marking the restore points that go';
    case 'reading':
      return 'Reading what the other restore points need';
    case 'listing':
      return 'Listing what lies in the bucket';
    case 'deleting':
      return run.files_total > 0
        ? `Removing ${run.files_done.toLocaleString('en')} of ${counted(run.files_total, 'object')}`
        : 'Removing what nothing needs any more';
    case 'sweeping':
      return 'Removing what interrupted runs have left';
    default:
      return 'Looking what may go';
  }
}

function copying(run: ProgressView): string {
  const verb = run.kind === 'restore' ? 'Restoring' : 'Copying';
  const total = counted(run.files_total, 'file');
  const parts = [
    run.files_done === 0 ? `${verb} ${total}` : `${verb} ${run.files_done.toLocaleString('en')} of ${total}`,
  ];
  if (run.eta_seconds !== null) parts.push(`about ${formatDuration(run.eta_seconds * 1000)} left`);
  return parts.join(', ');
}

function maintained(run: ProgressView): string {
  const removed = `${counted(run.objects_transferred, 'object')}, ${formatBytes(run.bytes_transferred)} removed`;
  const nothing = run.objects_transferred === 0;
  if (run.status === 'failed') return 'Maintenance failed';
  if (run.status === 'cancelled') return nothing ? 'Maintenance stopped' : `Maintenance stopped: ${removed}`;
  return nothing ? 'Maintenance complete: no file had to go' : `Maintenance complete: ${removed}`;
}

function ended(run: ProgressView): string {
  const what = run.kind === 'restore' ? 'Restore' : run.kind === 'backup' ? 'Backup' : kinds[run.kind];
  if (run.kind === 'maintenance') return maintained(run);
  const amount = `${counted(run.objects_transferred, 'file')}, ${formatBytes(run.bytes_transferred)}`;
  switch (run.status) {
    case 'success':
      if (run.objects_transferred === 0 && run.kind === 'backup') return `${what} complete: nothing had changed`;
      return `${what} complete: ${amount} ${movedWord(run.kind).toLowerCase()}`;
    case 'warning':
    case 'partial_success':
      return `${what} complete with warnings: ${amount} ${movedWord(run.kind).toLowerCase()}`;
    case 'cancelled':
      return run.skipped ? `${what} skipped` : `${what} cancelled`;
    default:
      return `${what} failed`;
  }
}
