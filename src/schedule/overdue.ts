import type { Schedule } from './schedule.ts';
import { nextSlot } from './slots.ts';

/**
 * The moment by which a job must have its next good restore point: its first slot after `after` (the last good point, or now for
 * a job that begins), and some grace for the run itself. Null: nothing is promised, the job runs by hand.
 */
export function goodPointDue(
  schedule: Schedule,
  after: number,
  timezone: string,
  delay: { jitterMs: number; graceMs: number },
): number | null {
  const slot = nextSlot(schedule, after, timezone);
  return slot === null ? null : slot + delay.jitterMs + delay.graceMs;
}

export interface PromiseState {
  /** See `goodPointDue`; null: nothing is awaited. */
  readonly goodBy: number | null;
  /** Grace and jitter that `goodBy` holds beyond its slot. */
  readonly allowanceMs: number;
  /** When the last good point was finished. */
  readonly lastGoodAt: number | null;
  readonly overdueSince: number | null;
}

/** `met`: a good point came in time or late; the next deadline is to be set. `begin`: overdue from now on. */
export type OverdueVerdict = 'waiting' | 'met' | 'begin' | 'overdue';

/** A job is overdue when its deadline passed without a good point since the slot that it belongs to. */
export function judgeOverdue(state: PromiseState, now: number): OverdueVerdict {
  if (state.goodBy === null || now < state.goodBy) return 'waiting';
  if (state.lastGoodAt !== null && state.lastGoodAt >= state.goodBy - state.allowanceMs) return 'met';
  return state.overdueSince === null ? 'begin' : 'overdue';
}
