import type { PointView, RunView } from '../../protocol/run.ts';
import { runKindText, runState, type ShownState } from './run-words.ts';
import { counted } from './words.ts';

/** One line of a list of runs. */
export interface RunRow {
  readonly id: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly state: ShownState;
  readonly kind: string;
  /** When it started, else when it was queued. */
  readonly at: number | null;
  readonly files: number | null;
  readonly bytes: number | null;
  readonly durationMs: number | null;
  readonly startedAt: number | null;
  /** What went wrong, as one sentence, or null. */
  readonly problem: string | null;
}

export function runRow(run: Omit<RunView, 'point'>): RunRow {
  // What maintenance removes is told on its own page: these columns are about what was copied.
  const moved = run.started_at_epoch_ms !== null && !run.skipped && run.kind !== 'maintenance';
  return {
    id: run.run_id,
    jobId: run.job_id,
    jobName: run.job_name,
    state: runState(run),
    kind: runKindText(run),
    at: run.started_at_epoch_ms ?? run.created_at_epoch_ms,
    files: moved ? run.objects_transferred : null,
    // What was only compared or read back was not copied anywhere.
    bytes: moved && run.kind !== 'validation' && run.kind !== 'drill' ? run.bytes_transferred : null,
    durationMs: run.duration_ms,
    startedAt: run.finished_at_epoch_ms === null ? run.started_at_epoch_ms : null,
    problem: run.status === 'success' ? null : (run.problem?.what ?? null),
  };
}

/** One line of a list of restore points. */
export interface PointRow {
  readonly id: string;
  readonly runId: string;
  readonly state: ShownState;
  readonly at: number | null;
  readonly files: number;
  readonly bytes: number;
  readonly addedBytes: number;
}

export function pointRow(point: PointView): PointRow {
  const gaps = [
    ...(point.carried > 0 ? [`${counted(point.carried, 'file')} in an older version`] : []),
    ...(point.failed > 0 ? [`${counted(point.failed, 'file')} missing`] : []),
  ];
  return {
    id: point.point_id,
    runId: point.run_id,
    state:
      gaps.length === 0 && point.complete
        ? { kind: 'good', word: 'Complete' }
        : { kind: 'warning', word: gaps.length === 0 ? 'With gaps' : gaps.join(', ') },
    at: point.created_at_epoch_ms,
    files: point.files,
    bytes: point.bytes,
    addedBytes: point.added_bytes,
  };
}
