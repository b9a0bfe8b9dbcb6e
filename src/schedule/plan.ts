import { goodPointDue } from './overdue.ts';
import type { Schedule } from './schedule.ts';
import { nextSlot } from './slots.ts';

export interface Plan {
  /** `next_run_at`: the first slot after now, and the job's own start delay. Null: by hand only. */
  readonly nextRunAt: number | null;
  /** `good_by`: see `goodPointDue`. */
  readonly goodBy: number | null;
}

/**
 * What is stored with a job when it is made, changed or resumed. The scheduler takes the same start delay off `next_run_at` again to
 * know the slot, so nobody else writes it.
 */
export function planFrom(
  schedule: Schedule,
  now: number,
  timezone: string,
  delay: { jitterMs: number; graceMs: number },
): Plan {
  const slot = nextSlot(schedule, now, timezone);
  return {
    nextRunAt: slot === null ? null : slot + delay.jitterMs,
    goodBy: goodPointDue(schedule, now, timezone, delay),
  };
}
