import { createHash } from 'node:crypto';
import { floating, type Schedule } from './schedule.ts';
import { changesAround, readWall, wallAt } from './zone.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * The first slot after `after` (epoch milliseconds), or null when there is none: a manual job.
 *
 * On days when clocks change:
 * - A time that does not exist runs at the next valid minute, one that occurs twice runs once, at its first occurrence.
 * - A schedule of every hour (hourly; cron with `*` for the hour) follows the hours as they pass: an hour that is skipped is not
 *   missed by anybody, and one that is shown twice in full is two hours. Where clocks change by half an hour the rule above holds.
 */
export function nextSlot(schedule: Schedule, after: number, timezone: string): number | null {
  if (schedule.type === 'manual') return null;
  const everyHour = isEveryHour(schedule);
  // Just before the clock is put back, readings that it has shown already are still to come a second time.
  const back = changesAround(after, timezone).reduce((most, { at, before, after: later }) => {
    const shift = before - later;
    return shift > 0 && at - shift <= after && after < at ? Math.max(most, shift) : most;
  }, 0);
  let best: number | null = null;
  for (let wall = nominalAfter(schedule, wallAt(after, timezone) - back); wall !== null;) {
    const instants = instantsOf(wall, timezone, everyHour);
    for (const instant of instants) {
      if (instant > after && (best === null || instant < best)) best = instant;
    }
    const first = instants[0];
    if (best !== null && (first === undefined || first >= best)) return best;
    wall = nominalAfter(schedule, wall);
  }
  return best;
}

function instantsOf(wall: number, timezone: string, everyHour: boolean): readonly number[] {
  const { instants, gap } = readWall(wall, timezone);
  if (gap !== null) {
    const hour = Math.floor(wall / HOUR) * HOUR;
    const hourIsSkipped = gap.from <= hour && hour + HOUR <= gap.to;
    return everyHour && hourIsSkipped ? [] : [gap.at];
  }
  const [first, second] = instants;
  if (first === undefined) return [];
  return everyHour && second !== undefined && second - first >= HOUR ? [first, second] : [first];
}

function isEveryHour(schedule: Schedule): boolean {
  if (schedule.type === 'hourly') return true;
  return schedule.type === 'cron' && /^\S+ (?:\*|\*\/1|0-23|0-23\/1) /.test(schedule.expression);
}

/** The first reading after `wall` that the schedule names, as if clocks never changed. */
function nominalAfter(schedule: Schedule, wall: number): number | null {
  switch (schedule.type) {
    case 'manual':
      return null;
    case 'hourly': {
      const candidate = Math.floor(wall / HOUR) * HOUR + schedule.minute * MINUTE;
      return candidate > wall ? candidate : candidate + HOUR;
    }
    case 'daily': {
      const candidate = Math.floor(wall / DAY) * DAY + timeOfDay(schedule.time);
      return candidate > wall ? candidate : candidate + DAY;
    }
    case 'weekly': {
      const today = Math.floor(wall / DAY) * DAY;
      for (let days = 0; days <= 7; days += 1) {
        const candidate = today + days * DAY + timeOfDay(schedule.time);
        if (candidate > wall && schedule.weekdays.includes(weekdayOf(candidate))) return candidate;
      }
      return null;
    }
    case 'cron':
      return floating(schedule.expression).nextRun(new Date(wall))?.getTime() ?? null;
  }
}

function timeOfDay(time: string): number {
  return Number(time.slice(0, 2)) * HOUR + Number(time.slice(3, 5)) * MINUTE;
}

/** 1 = Monday … 7 = Sunday; the first of January 1970 was a Thursday. */
function weekdayOf(wall: number): number {
  return ((((Math.floor(wall / DAY) + 3) % 7) + 7) % 7) + 1;
}

/** The next `count` slots, for a page that shows them. */
export function nextSlots(schedule: Schedule, after: number, timezone: string, count: number): number[] {
  const slots: number[] = [];
  let slot = nextSlot(schedule, after, timezone);
  while (slot !== null && slots.length < count) {
    slots.push(slot);
    slot = nextSlot(schedule, slot, timezone);
  }
  return slots;
}

/** How many slots are counted at most: nobody cares whether it was 1,000 or 40,000. */
export const MOST_COUNTED = 1_000;

export interface DueSlots {
  readonly last: number;
  /** Slots from the first to the last, at most `MOST_COUNTED`. */
  readonly count: number;
}

/** The slots from `first`, itself one, until `until`; `last` is exact however many there are. */
export function dueSlots(schedule: Schedule, first: number, until: number, timezone: string): DueSlots {
  let last = first;
  let count = 1;
  while (count < MOST_COUNTED) {
    const next = nextSlot(schedule, last, timezone);
    if (next === null || next > until) return { last, count };
    last = next;
    count += 1;
  }
  return { last: lastSlot(schedule, until, timezone) ?? last, count };
}

/** The latest slot at or before `until`: looks back ever further, so that it costs little for frequent schedules. */
function lastSlot(schedule: Schedule, until: number, timezone: string): number | null {
  for (let back = 2 * MINUTE; back < 10 * 366 * DAY; back *= 4) {
    let slot = nextSlot(schedule, until - back, timezone);
    if (slot === null || slot > until) continue;
    for (;;) {
      const next = nextSlot(schedule, slot, timezone);
      if (next === null || next > until) return slot;
      slot = next;
    }
  }
  return null;
}

/**
 * How long after its slots a job starts, in milliseconds: spreads the herd that starts at midnight. The same for all runs of the job,
 * so that they stay apart as planned.
 */
export function startJitterMs(jobUuid: string, jitterSeconds: number): number {
  if (jitterSeconds <= 0) return 0;
  const number = createHash('sha256').update(jobUuid).digest().readUInt32BE(0);
  return (number % (Math.floor(jitterSeconds) + 1)) * 1_000;
}
