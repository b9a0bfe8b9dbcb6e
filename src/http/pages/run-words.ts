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

/** `Backup, scheduled`, `Restore`, `Backup, started by hand`. */
export function runKindText(run: Pick<RunView, 'kind' | 'trigger_type' | 'start_reason'>): string {
  const kind = kinds[run.kind];
  if (run.kind === 'restore') return kind;
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

/** Whole percent of the bytes, or null while it cannot be known. A run that is over and good is at 100. */
export function runPercent(run: ProgressView): number | null {
  if (run.status === 'success' || run.status === 'warning' || run.status === 'partial_success') return 100;
  if (run.status === 'queued') return 0;
  if (run.terminal) return Math.floor(run.progress_pct);
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
  switch (run.phase) {
    case 'listing':
      return run.files_total > 0
        ? `Listing the source: ${counted(run.files_total, 'file')} so far`
        : 'Listing the source';
    case 'comparing':
      return `Comparing ${counted(run.files_total, 'file')} with the last restore point`;
    case 'copying':
      return copying(run);
    case 'verifying':
      return run.kind === 'restore' ? 'Comparing what was restored with the backup' : 'Checking what has arrived';
    case 'committing':
      return 'Writing the restore point';
    default:
      return 'Getting ready';
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

function ended(run: ProgressView): string {
  const what = run.kind === 'restore' ? 'Restore' : run.kind === 'backup' ? 'Backup' : kinds[run.kind];
  const amount = `${counted(run.objects_transferred, 'file')}, ${formatBytes(run.bytes_transferred)}`;
  switch (run.status) {
    case 'success':
      if (run.objects_transferred === 0) return `${what} complete: nothing had changed`;
      return `${what} complete: ${amount} ${run.kind === 'restore' ? 'restored' : 'copied'}`;
    case 'warning':
    case 'partial_success':
      return `${what} complete with warnings: ${amount} ${run.kind === 'restore' ? 'restored' : 'copied'}`;
    case 'cancelled':
      return run.skipped ? `${what} skipped` : `${what} cancelled`;
    default:
      return `${what} failed`;
  }
}
