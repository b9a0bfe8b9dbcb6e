import type { RunCount } from '../database/jobs.ts';
import type { StripDay } from '../protocol/job.ts';
import { readWall, wallAt } from '../schedule/zone.ts';

const DAY = 86_400_000;
export const STRIP_DAYS = 30;

export interface Calendar {
  /** `2025-11-04`, oldest first; the last one is today. */
  readonly dates: readonly string[];
  /** Epoch milliseconds at which each of these days begins in the zone. */
  readonly starts: readonly number[];
}

/** The last days in a zone, today included: days may have 23 or 25 hours. */
export function lastDays(now: number, timezone: string, count = STRIP_DAYS): Calendar {
  const today = Math.floor(wallAt(now, timezone) / DAY) * DAY;
  const walls = Array.from({ length: count }, (_, index) => today - (count - 1 - index) * DAY);
  return {
    dates: walls.map((wall) => new Date(wall).toISOString().slice(0, 10)),
    starts: walls.map((wall) => {
      const { instants, gap } = readWall(wall, timezone);
      return instants[0] ?? gap?.at ?? wall;
    }),
  };
}

/** The strip of one job: what was worst on each day. `counts` are that job's (parts count from 1). */
export function stripOf(calendar: Calendar, counts: readonly RunCount[], overdueSince: number | null): StripDay[] {
  return calendar.dates.map((date, index) => {
    const runs: Record<string, number> = {};
    for (const count of counts) {
      if (count.part === index + 1) runs[count.status] = (runs[count.status] ?? 0) + count.runs;
    }
    const end = calendar.starts[index + 1] ?? Infinity;
    return { date, state: stateOf(runs, overdueSince !== null && overdueSince < end), runs };
  });
}

function stateOf(runs: Readonly<Record<string, number>>, overdue: boolean): StripDay['state'] {
  const any = (...statuses: string[]): boolean => statuses.some((status) => (runs[status] ?? 0) > 0);
  if (any('failed')) return 'failed';
  if (any('warning', 'partial_success')) return 'warning';
  if (any('queued', 'starting', 'running')) return 'running';
  if (any('success')) return 'good';
  if (overdue) return 'overdue';
  return any('cancelled') ? 'skipped' : 'idle';
}
