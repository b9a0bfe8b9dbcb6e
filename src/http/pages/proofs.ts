import type { ClientServices } from '../../jobs/client.ts';
import type { JobView } from '../../protocol/job.ts';
import type { DrillView, ProofStatusField } from '../../protocol/proofs.ts';
import type { ShownState } from './run-words.ts';
import { counted } from './words.ts';

/** Restore tests in the trend of a job's page. */
const DRILLS_SHOWN = 12;

interface ShownProof {
  readonly state: ShownState | { readonly kind: 'overdue' | 'idle'; readonly word: string };
  readonly lastAt: number | null;
  readonly nextAt: number | null;
  /** When it is done, in words. */
  readonly when: string;
}

export interface ProofsModel {
  readonly validation: ShownProof & LastRun;
  readonly drill: ShownProof & LastRun & { readonly overdueSince: number | null };
  readonly drills: readonly DrillRow[];
}

/** The run that the state comes from. */
interface LastRun {
  readonly runId: string | null;
}

interface DrillRow {
  readonly runId: string;
  readonly at: number | null;
  readonly state: ShownState;
  readonly files: number;
  readonly bytes: number;
  readonly tookMs: number;
  /** What was not as it should be, or null. */
  readonly problem: string | null;
}

export async function proofsModel(client: ClientServices, job: JobView): Promise<ProofsModel> {
  const [drills, runId] = await Promise.all([
    client.proofs.drills({ jobId: job.job_id, limit: DRILLS_SHOWN }),
    client.proofs.lastValidation(job.job_id),
  ]);
  return {
    validation: { ...validationOf(job), runId },
    drill: { ...drillOf(job), runId: drills.rows[0]?.run_id ?? null },
    drills: drills.rows.map(drillRow),
  };
}

function validationOf(proofs: JobView): ShownProof {
  const { validation_mode: mode, validation_every_days: days, validation_last_status: last } = proofs;
  const when = [
    ...(mode === 'post_run' ? ['all files after each backup'] : []),
    ...(days === null ? [] : [`a sample ${every(days)}`]),
  ];
  return {
    state: last === null ? { kind: 'idle', word: 'Not done yet' } : validationStates[last],
    lastAt: proofs.validation_last_at_epoch_ms,
    nextAt: days === null ? null : proofs.validation_next_at_epoch_ms,
    when: when.length === 0 ? 'Only when you start it' : upperFirst(when.join(', and ')),
  };
}

function drillOf(proofs: JobView): Omit<ProofsModel['drill'], 'runId'> {
  const { drill_every_days: days, drill_last_status: last } = proofs;
  const overdueSince = proofs.drill_overdue_since_epoch_ms;
  return {
    state:
      last !== null
        ? drillStates[last]
        : overdueSince === null
          ? { kind: 'idle', word: 'Not done yet' }
          : { kind: 'overdue', word: 'None was good yet' },
    lastAt: proofs.drill_last_at_epoch_ms,
    nextAt: days === null ? null : proofs.drill_next_at_epoch_ms,
    when: days === null ? 'Only when you start it' : upperFirst(every(days)),
    overdueSince,
  };
}

export const validationStates: Readonly<Record<ProofStatusField, ShownState>> = {
  success: { kind: 'good', word: 'No differences' },
  size_only: { kind: 'warning', word: 'No differences, some by size only' },
  failed: { kind: 'failed', word: 'Differences found' },
};

const drillStates: Readonly<Record<ProofStatusField, ShownState>> = {
  success: { kind: 'good', word: 'Passed' },
  size_only: { kind: 'warning', word: 'Read back, some by size only' },
  failed: { kind: 'failed', word: 'Failed' },
};

function drillRow(drill: DrillView): DrillRow {
  const problems = [
    ...(drill.problems > 0 ? [`${counted(drill.problems, 'file')} missing or different`] : []),
    ...(drill.size_only > 0 ? [`${counted(drill.size_only, 'file')} without a checksum`] : []),
  ];
  return {
    runId: drill.run_id,
    at: drill.finished_at_epoch_ms,
    state: drillStates[drill.status],
    files: drill.files,
    bytes: drill.bytes,
    tookMs: drill.duration_ms,
    problem: problems.length === 0 ? null : problems.join(', '),
  };
}

function every(days: number): string {
  return days === 1 ? 'every day' : days === 7 ? 'every week' : `every ${days} days`;
}

function upperFirst(sentence: string): string {
  return sentence.slice(0, 1).toUpperCase() + sentence.slice(1);
}
