import type { JobValues, StoredJob } from '../database/job-rows.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import type { JobChanges } from '../protocol/job-input.ts';
import { planFrom } from '../schedule/plan.ts';
import { parseSchedule, scheduleColumns, type ScheduleColumns } from '../schedule/schedule.ts';
import { startJitterMs } from '../schedule/slots.ts';
import { isTimezone } from '../schedule/zone.ts';
import { timezoneOf, type ServiceParts } from './parts.ts';

/**
 * The columns of a job's schedule after these changes, with the next slot and the promise that follows from it. Empty when nothing
 * about it changes. A slot never lies in the past: resuming a job or giving it an earlier time of day starts nothing by itself.
 * @throws BackupError `INVALID_INPUT`
 */
export async function planSchedule(
  parts: ServiceParts,
  clientId: number,
  jobUuid: string,
  changes: JobChanges,
  job: StoredJob | null,
): Promise<JobValues> {
  if (job !== null && !touchesSchedule(changes)) return {};
  const timezone = changes.timezone === undefined ? (job?.timezone ?? null) : changes.timezone;
  if (timezone !== null && !isTimezone(timezone)) {
    throw invalidFields([['timezone', 'must be a time zone such as Europe/Berlin']]);
  }
  const parsed = parseSchedule(merged(changes, job));
  if (!parsed.ok) throw invalidFields(parsed.problems.map(({ field, message }) => [field, message]));
  const jitterSeconds = changes.start_jitter_seconds ?? job?.start_jitter_seconds ?? 0;
  const graceSeconds = changes.overdue_grace_seconds ?? job?.overdue_grace_seconds ?? 3600;
  const now = parts.clock();
  const zone = timezone ?? (await timezoneOf(parts, clientId));
  const active = (changes.status ?? job?.status ?? 'active') === 'active';
  const delay = { jitterMs: startJitterMs(jobUuid, jitterSeconds), graceMs: graceSeconds * 1000 };
  const columns = {
    ...scheduleColumns(parsed.schedule),
    timezone,
    start_jitter_seconds: jitterSeconds,
    overdue_grace_seconds: graceSeconds,
  };
  // A form sends everything: a slot that is due this very moment must not be lost because a name was changed.
  if (job !== null && isSamePlan(columns, job) && active === (job.status === 'active')) return columns;
  if (!active) return { ...columns, next_run_at: null, good_by: null, overdue_since: null };
  const plan = planFrom(parsed.schedule, now, zone, delay);
  return { ...columns, next_run_at: plan.nextRunAt, good_by: plan.goodBy };
}

/** The next run of a job that follows the client's zone, when that changes; null: nothing to do. A slot that is due stays due. */
export function replan(
  job: StoredJob,
  timezone: string,
  now: number,
): Pick<JobValues, 'next_run_at' | 'good_by'> | null {
  const parsed = parseSchedule(job);
  if (!parsed.ok || job.timezone !== null || job.next_run_at === null || job.next_run_at <= now) return null;
  const jitterMs = startJitterMs(job.uuid, job.start_jitter_seconds);
  const plan = planFrom(parsed.schedule, now, timezone, { jitterMs, graceMs: job.overdue_grace_seconds * 1000 });
  return { next_run_at: plan.nextRunAt, good_by: plan.goodBy };
}

type PlanColumns = Pick<JobValues, 'schedule_type' | 'schedule_json' | 'timezone' | 'start_jitter_seconds'>;

function isSamePlan(columns: PlanColumns, job: StoredJob): boolean {
  return (
    columns.start_jitter_seconds === job.start_jitter_seconds &&
    columns.schedule_type === job.schedule_type &&
    columns.schedule_json === JSON.stringify(job.schedule_json) &&
    columns.timezone === job.timezone
  );
}

const scheduleFields = [
  'schedule_type',
  'schedule_time',
  'schedule_weekday',
  'schedule_minute',
  'schedule_cron',
  'schedule_json',
  'timezone',
  'start_jitter_seconds',
  'overdue_grace_seconds',
  'status',
] as const satisfies readonly (keyof JobChanges)[];

function touchesSchedule(changes: JobChanges): boolean {
  return scheduleFields.some((field) => changes[field] !== undefined);
}

/** The stored schedule with the given fields laid over it. A single weekday replaces several that are stored. */
function merged(changes: JobChanges, job: StoredJob | null): ScheduleColumns {
  const stored = typeof job?.schedule_json === 'object' && job.schedule_json !== null ? job.schedule_json : {};
  const json: Record<string, unknown> = { ...stored, ...changes.schedule_json };
  const given: Record<string, unknown> = {
    time: changes.schedule_time,
    minute: changes.schedule_minute,
    cron: changes.schedule_cron,
  };
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && value !== null) json[name] = value;
  }
  const single = changes.schedule_weekday ?? changes.schedule_json?.['weekday'];
  if (single !== undefined && single !== null && changes.schedule_json?.['weekdays'] === undefined) {
    json['weekdays'] = [single];
  }
  const givenType = changes.schedule_json?.['type'];
  const type = changes.schedule_type ?? (typeof givenType === 'string' ? givenType : undefined);
  return { schedule_type: type ?? job?.schedule_type, schedule_json: json };
}
