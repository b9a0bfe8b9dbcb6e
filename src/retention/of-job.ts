import { planRetention, type RetentionPoint } from './plan.ts';
import type { RetentionPolicy } from './policy.ts';

/**
 * What becomes of a job's data in the bucket: `ending` (the client's service was terminated) is undone when the service comes back in time,
 * `grace` by one click, `deleting` is final, `gone` frees the prefix.
 */
export const dataStates = ['kept', 'ending', 'grace', 'deleting', 'gone'] as const;
export type DataState = (typeof dataStates)[number];

/** What decides about the points of a job, besides the points themselves. */
export interface JobRetention {
  readonly policy: RetentionPolicy;
  /** A run saw something unusual, and nobody has released it yet. */
  readonly frozen: boolean;
  /** The job itself was deleted; its data may be kept nevertheless. */
  readonly deleted: boolean;
  readonly dataState: DataState;
}

export interface LivePoint extends RetentionPoint {
  readonly state: 'kept' | 'marked' | 'deleting';
}

export interface JobPlan {
  /** Ids of points that go: kept ones are to be marked, marked ones may be confirmed. */
  readonly remove: readonly string[];
  /** Ids of marked points that stay after all. */
  readonly unmark: readonly string[];
}

/**
 * Which points of a job go now, and which marked ones stay after all. What is being deleted already is no matter of planning. A
 * frozen job, and one that was deleted with its data kept or in its grace, loses nothing. Pure.
 * @param at epoch milliseconds and the zone in which days, weeks, months and years begin
 */
export function planJob(
  job: JobRetention,
  points: readonly LivePoint[],
  at: { readonly now: number; readonly timezone: string },
): JobPlan {
  const open = points.filter((point) => point.state !== 'deleting');
  if (job.dataState === 'deleting') return { remove: open.map((point) => point.id), unmark: [] };
  const marked = open.filter((point) => point.state === 'marked');
  if (job.frozen || job.deleted || job.dataState !== 'kept')
    return { remove: [], unmark: marked.map((point) => point.id) };
  const goes = new Set(
    planRetention(job.policy, open, at)
      .filter((verdict) => !verdict.keep)
      .map((verdict) => verdict.id),
  );
  return {
    remove: open.filter((point) => goes.has(point.id)).map((point) => point.id),
    unmark: marked.filter((point) => !goes.has(point.id)).map((point) => point.id),
  };
}
