import type { JobCard, JobView, SourceView } from '../../protocol/job.ts';
import type { RunView } from '../../protocol/run.ts';
import { safetyOf, type Safety } from './safety.ts';
import { stripOf, type Strip } from './strip.ts';
import { dateIn, destinationText, percentOf, sourceKind } from './words.ts';

/** What a card, and the head of a job's page, show. */
export interface JobModel {
  readonly id: string;
  readonly name: string;
  readonly paused: boolean;
  readonly safety: Safety;
  readonly route: { readonly kind: string; readonly source: string; readonly destination: string };
  readonly strip: Strip;
  /** `words`: the schedule, or what stands in for it. */
  readonly next: { readonly at: number | null; readonly words: string };
  /** Bytes. */
  readonly stored: number;
  /** The account that has to be authorized again before the job can run: its service. */
  readonly reauthorize: string | null;
  /** The run that is queued or under way. */
  readonly active: { readonly id: string; readonly words: string; readonly percent: number | null } | null;
}

export function jobModel(job: JobCard, now: number, timezone: string): JobModel {
  return {
    id: job.job_id,
    name: job.name,
    paused: job.status === 'paused',
    safety: safetyOf(job, now, timezone),
    route: routeOf(job, job.source_type, job.source_summary),
    strip: stripOf(job.strip, dateIn(job.created_at_epoch_ms ?? now, timezone)),
    next: nextOf(job),
    stored: job.stored_bytes,
    reauthorize: job.connection_trouble?.provider_label ?? null,
    active: job.last_run === null ? null : activeRun(job.last_run),
  };
}

export function routeOf(
  job: Pick<JobView, 'dest_bucket_name' | 'dest_prefix'>,
  type: SourceView['type'],
  summary: string,
): JobModel['route'] {
  return {
    kind: sourceKind(type),
    source: summary,
    destination: destinationText(job.dest_bucket_name, job.dest_prefix),
  };
}

export function nextOf(
  job: Pick<JobView, 'status' | 'next_run_at_epoch_ms' | 'schedule_summary' | 'schedule_type'>,
): JobModel['next'] {
  if (job.schedule_type === 'manual') return { at: null, words: 'Runs only when you start it' };
  if (job.status === 'paused') return { at: null, words: `Paused: no run is started. ${job.schedule_summary}` };
  return { at: job.next_run_at_epoch_ms, words: job.schedule_summary };
}

function activeRun(run: Omit<RunView, 'point'>): JobModel['active'] {
  if (run.status !== 'queued' && run.status !== 'starting' && run.status !== 'running') return null;
  const percent = run.status === 'running' ? percentOf(run.bytes_transferred, run.bytes_total) : null;
  const words =
    run.status === 'queued'
      ? 'Queued, waiting for a free worker'
      : run.status === 'starting'
        ? 'Starting'
        : percent === null
          ? 'Running'
          : `Running, ${percent} % copied`;
  return { id: run.run_id, words, percent: percent === null ? null : Math.min(percent, 99) };
}
