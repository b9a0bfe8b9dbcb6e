import type { JobValues, StoredJob } from '../database/job-rows.ts';
import type { JobChanges } from '../protocol/job-input.ts';

const DAY_MS = 86_400_000;

/**
 * The columns of a job's validations and restore tests after these changes, with the dates that follow from them. Empty where nothing about
 * them changes: saving a form puts nothing off.
 * @param now epoch milliseconds
 */
export function planProofs(changes: JobChanges, job: StoredJob | null, now: number): JobValues {
  const mode = changes.validation_mode;
  const validation = interval(changes.validation_every_days, job?.validation_every_days ?? null);
  const drill = interval(changes.drill_every_days, job?.drill_every_days ?? null);
  return {
    ...(mode === undefined ? {} : { validation_mode: mode ?? 'none' }),
    ...(validation === undefined
      ? {}
      : { validation_every_days: validation, validation_next_at: nextAt(validation, job?.validation_last_at, now) }),
    ...(drill === undefined
      ? {}
      : {
          drill_every_days: drill,
          drill_next_at: nextAt(drill, job?.drill_last_at, now),
          ...(drill === null ? { drill_overdue_since: null } : {}),
        }),
  };
}

/** Undefined: it stays. Null and 0 switch it off. */
function interval(given: number | null | undefined, known: number | null): number | null | undefined {
  if (given === undefined) return undefined;
  const days = given === 0 ? null : given;
  return days === known ? undefined : days;
}

/** The first one is due at once, or as soon as there is something to prove. */
function nextAt(days: number | null, lastAt: number | null | undefined, now: number): number | null {
  if (days === null) return null;
  return Math.max(now, lastAt === null || lastAt === undefined ? now : lastAt + days * DAY_MS);
}
