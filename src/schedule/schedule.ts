import { Cron } from 'croner';
import { z } from 'zod';

const clock = z
  .string()
  .trim()
  .regex(/^(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?$/, { error: 'must be a time of day such as 02:30' })
  // A TIME column answers with seconds.
  .transform((text) => text.slice(0, text.indexOf(':') + 3).padStart(5, '0'));

const minute = z.coerce
  .number({ error: 'must be a minute from 0 to 59' })
  .int({ error: 'must be a minute from 0 to 59' })
  .min(0, { error: 'must be a minute from 0 to 59' })
  .max(59, { error: 'must be a minute from 0 to 59' });

const weekday = z.coerce
  .number({ error: 'must be a weekday from 1 (Monday) to 7 (Sunday)' })
  .int({ error: 'must be a weekday from 1 (Monday) to 7 (Sunday)' })
  .min(1, { error: 'must be a weekday from 1 (Monday) to 7 (Sunday)' })
  .max(7, { error: 'must be a weekday from 1 (Monday) to 7 (Sunday)' });

const expression = z
  .string()
  .trim()
  .max(191, { error: 'must not be longer than 191 characters' })
  .transform((text) => text.replace(/\s+/g, ' '))
  .superRefine((text, context) => {
    const problem = cronProblem(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });

/** When a job runs by itself. Times are on the clock of the job's time zone; weekdays count from 1 = Monday to 7 = Sunday. */
export const Schedule = z.discriminatedUnion('type', [
  z.object({ type: z.literal('manual') }),
  z.object({ type: z.literal('hourly'), minute }),
  z.object({ type: z.literal('daily'), time: clock }),
  z.object({
    type: z.literal('weekly'),
    time: clock,
    weekdays: z
      .array(weekday)
      .min(1, { error: 'choose at least one weekday' })
      .transform((numbers) => [...new Set(numbers)].sort((a, b) => a - b)),
  }),
  z.object({ type: z.literal('cron'), expression }),
]);
export type Schedule = z.output<typeof Schedule>;

const PART = /^[\d*,/-]+$/;
const NAMES = [
  null,
  null,
  null,
  /\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\b/gi,
  /\b(?:sun|mon|tue|wed|thu|fri|sat)\b/gi,
];

/** What is wrong with a five-field cron expression, or null. */
export function cronProblem(text: string): string | null {
  const fields = text.split(' ');
  if (fields.length !== 5) return 'must have five fields: minute, hour, day of month, month, day of week';
  for (const [index, field] of fields.entries()) {
    const names = NAMES[index];
    if (!PART.test(names ? field.replace(names, '1') : field)) return `"${field.slice(0, 20)}" is not understood`;
  }
  try {
    if (floating(text).nextRun(new Date(Date.UTC(2024, 0, 1))) === null) return 'never comes true';
  } catch {
    return 'is not a valid cron expression';
  }
  return null;
}

const parsed = new Map<string, Cron>();
const MOST_PARSED = 2_000;

/**
 * The expression on a clock without zone and without changes. croner has its own rules for the days when clocks change; ours
 * (slots.ts) hold for every kind of schedule alike.
 */
export function floating(text: string): Cron {
  let found = parsed.get(text);
  if (found === undefined) {
    if (parsed.size >= MOST_PARSED) parsed.clear();
    found = new Cron(text, { timezone: 'UTC', mode: '5-part', paused: true });
    parsed.set(text, found);
  }
  return found;
}

/** The columns of a job's row, and the fields of the form: `schedule_minute` exists in forms only. */
export interface ScheduleColumns {
  readonly schedule_type?: string | null | undefined;
  /** `HH:MM` or `HH:MM:SS` */
  readonly schedule_time?: string | null | undefined;
  readonly schedule_weekday?: number | null | undefined;
  readonly schedule_minute?: number | null | undefined;
  readonly schedule_cron?: string | null | undefined;
  /** `{type, time, weekday | weekdays, minute, cron}`, as object or JSON. */
  readonly schedule_json?: unknown;
}

export interface FieldProblem {
  readonly field: Exclude<keyof ScheduleColumns, 'schedule_json'> | 'schedule_weekdays';
  /** The second half of a sentence that begins with the field's label. */
  readonly message: string;
}

export type ParsedSchedule =
  | { readonly ok: true; readonly schedule: Schedule }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

const columnOf: Readonly<Record<string, FieldProblem['field']>> = {
  time: 'schedule_time',
  minute: 'schedule_minute',
  weekdays: 'schedule_weekdays',
  expression: 'schedule_cron',
};

/** A column wins over the same value inside the JSON; several weekdays are only in the JSON. */
export function parseSchedule(columns: ScheduleColumns): ParsedSchedule {
  const json = jsonOf(columns.schedule_json);
  const type = text(columns.schedule_type) ?? text(json['type']) ?? 'manual';
  const time = text(columns.schedule_time) ?? text(json['time']);
  const candidate: Record<string, unknown> = { type };
  if (type === 'hourly') {
    candidate['minute'] = columns.schedule_minute ?? json['minute'] ?? (time === undefined ? 0 : time.split(':')[1]);
  }
  if (type === 'daily' || type === 'weekly') candidate['time'] = time ?? '';
  if (type === 'weekly') {
    const days = json['weekdays'] ?? columns.schedule_weekday ?? json['weekday'];
    candidate['weekdays'] = Array.isArray(days) ? days : days === undefined || days === null ? [] : [days];
  }
  if (type === 'cron') candidate['expression'] = text(columns.schedule_cron) ?? text(json['cron']) ?? '';
  const result = Schedule.safeParse(candidate);
  if (result.success) return { ok: true, schedule: result.data };
  const problems = result.error.issues.map((issue) => {
    const field = columnOf[String(issue.path[0])];
    return field === undefined
      ? { field: 'schedule_type' as const, message: 'must be manual, hourly, daily, weekly or cron' }
      : { field, message: issue.message };
  });
  return { ok: false, problems };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

function jsonOf(value: unknown): Record<string, unknown> {
  let json: unknown = value;
  if (typeof value === 'string') {
    try {
      json = JSON.parse(value);
    } catch {
      json = {};
    }
  }
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : {};
}

/** What is stored: each value in its own column as far as there is one, and all of them in the JSON. */
export function scheduleColumns(schedule: Schedule): {
  schedule_type: Schedule['type'];
  schedule_time: string | null;
  schedule_weekday: number | null;
  schedule_cron: string | null;
  schedule_json: string;
} {
  const columns = { schedule_type: schedule.type, schedule_time: null, schedule_weekday: null, schedule_cron: null };
  switch (schedule.type) {
    case 'manual':
      return { ...columns, schedule_json: JSON.stringify({ type: 'manual' }) };
    case 'hourly':
      return { ...columns, schedule_json: JSON.stringify({ type: 'hourly', minute: schedule.minute }) };
    case 'daily':
      return {
        ...columns,
        schedule_time: schedule.time,
        schedule_json: JSON.stringify({ type: 'daily', time: schedule.time }),
      };
    case 'weekly':
      return {
        ...columns,
        schedule_time: schedule.time,
        schedule_weekday: schedule.weekdays[0] ?? null,
        schedule_json: JSON.stringify({ type: 'weekly', time: schedule.time, weekdays: schedule.weekdays }),
      };
    case 'cron':
      return {
        ...columns,
        schedule_cron: schedule.expression,
        schedule_json: JSON.stringify({ type: 'cron', cron: schedule.expression }),
      };
  }
}
