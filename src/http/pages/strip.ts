import type { StripDay } from '../../protocol/job.ts';
import { counted } from './words.ts';

/** A cell of the strip; `before` is a day on which the job did not exist. */
export type DayKind = 'good' | 'warning' | 'failed' | 'running' | 'overdue' | 'idle' | 'cancelled' | 'before';

export interface Strip {
  /** What a screen reader says of the whole: `26 days good, 1 failed, 3 without a run`. */
  readonly summary: string;
  /** `text`: `Tue 17 Nov: failed, 1 of 2 runs`. */
  readonly days: readonly { readonly kind: DayKind; readonly text: string }[];
}

/** A total record: a state that is added to the protocol without a word and a shape does not compile. */
const cells: Readonly<Record<StripDay['state'], { kind: DayKind; word: string }>> = {
  good: { kind: 'good', word: 'good' },
  warning: { kind: 'warning', word: 'warning' },
  failed: { kind: 'failed', word: 'failed' },
  running: { kind: 'running', word: 'running' },
  overdue: { kind: 'overdue', word: 'overdue, no good run' },
  skipped: { kind: 'cancelled', word: 'skipped or cancelled' },
  idle: { kind: 'idle', word: 'no run due' },
};

/** @param createdDate `2025-11-04`, in the strip's zone: idle days before it are not the job's. */
export function stripOf(days: readonly StripDay[], createdDate: string): Strip {
  const shown = days.map((day) => {
    const before = day.state === 'idle' && day.date < createdDate;
    const { kind, word } = before ? { kind: 'before' as const, word: 'before the job was made' } : cells[day.state];
    return { kind, text: `${dayName(day.date)}: ${word}${runsText(day)}` };
  });
  return { summary: summaryOf(shown.map((day) => day.kind)), days: shown };
}

function summaryOf(kinds: readonly DayKind[]): string {
  const many = (kind: DayKind): number => kinds.filter((one) => one === kind).length;
  const told: readonly (readonly [DayKind, string])[] = [
    ['good', 'good'],
    ['warning', 'with warnings'],
    ['failed', 'failed'],
    ['overdue', 'overdue'],
    ['running', 'running'],
    ['idle', 'without a run'],
    ['cancelled', 'skipped'],
  ];
  const parts = told.filter(([kind]) => many(kind) > 0).map(([kind, word]) => `${counted(many(kind), 'day')} ${word}`);
  return parts.length === 0 ? 'no runs yet' : parts.join(', ');
}

/** `, 23 of 24 runs good` when there was more than one. */
function runsText(day: StripDay): string {
  const total = Object.values(day.runs).reduce((sum, amount) => sum + amount, 0);
  if (total < 2) return '';
  return `, ${(day.runs['success'] ?? 0).toLocaleString('en')} of ${counted(total, 'run')} good`;
}

const dayFormat = new Intl.DateTimeFormat('en-GB', {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  timeZone: 'UTC',
});

function dayName(date: string): string {
  return dayFormat.format(Date.parse(`${date}T12:00:00Z`)).replace(',', '');
}
