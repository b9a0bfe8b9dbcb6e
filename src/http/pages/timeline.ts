import type { JudgedPointView } from '../../protocol/retention.ts';
import { formatDate } from '../dates.ts';
import { formatBytes, formatTime } from '../format.ts';
import { fateOf, reasonsText, type Fate } from './retention-words.ts';
import { pointRow } from './rows.ts';
import type { ShownState } from './run-words.ts';
import { counted } from './words.ts';

/** One point on the line. Lengths are pixels of a drawing that is `height` high and as wide as the page; `x` is percent of its width. */
export interface TimelineMark {
  readonly id: string;
  readonly x: string;
  /** Top of the bar that stands for all files, and of the part that its run added. */
  readonly top: number;
  readonly size: number;
  readonly addedTop: number;
  readonly added: number;
  readonly state: ShownState;
  readonly pinned: boolean;
  readonly fate: Fate;
  readonly selected: boolean;
  /** All of it in words, for a tip and a screen reader. */
  readonly text: string;
}

export interface Timeline {
  readonly height: number;
  readonly axis: number;
  readonly barWidth: number;
  readonly ticks: readonly { readonly x: string; readonly label: string; readonly end: boolean }[];
  readonly marks: readonly TimelineMark[];
  /** `12 restore points since 4 Nov 2025, 3 of them go`. */
  readonly summary: string;
  /** Size of the largest point, which is the full height. */
  readonly largest: string;
}

const HEIGHT = 132;
const AXIS = 104;
/** Room over the highest bar for its mark and a pin. */
const TOP = 30;
const [LEFT, RIGHT] = [2, 97];

/**
 * A job's points over time, the newest at the right. Distances are true to time, unless the points are so unevenly spread (many today,
 * a few over years) that the young ones would lie on each other: then each distance shows a multiple of the one before.
 * @param points newest first
 */
export function timelineOf(
  points: readonly JudgedPointView[],
  now: number,
  timezone: string,
  selectedId: string | null,
): Timeline | null {
  const timed = points.flatMap((point) =>
    point.created_at_epoch_ms === null ? [] : [{ point, age: Math.max(0, now - point.created_at_epoch_ms) }],
  );
  const oldest = timed.at(-1);
  if (oldest === undefined) return null;
  const drawn = thinned(timed, ({ point }) => point.pinned || point.point_id === selectedId);
  const place = scaleOf(timed.map(({ age }) => age));
  const largest = Math.max(1, ...timed.map(({ point }) => point.bytes));
  const room = AXIS - TOP;
  const length = (bytes: number): number => (bytes <= 0 ? 0 : Math.max(2, Math.round((bytes / largest) * room)));
  const marks = drawn.map(({ point, age }) => {
    const size = Math.max(2, length(point.bytes));
    const added = Math.min(size, length(point.added_bytes));
    return {
      id: point.point_id,
      x: place.at(age).toFixed(2),
      top: AXIS - size,
      size,
      addedTop: AXIS - added,
      added,
      state: pointRow(point).state,
      pinned: point.pinned,
      fate: fateOf(point),
      selected: point.point_id === selectedId,
      text: markText(point, timezone),
    };
  });
  return {
    height: HEIGHT,
    axis: AXIS,
    barWidth: marks.length > 120 ? 3 : marks.length > 24 ? 5 : 8,
    ticks: place.ticks,
    marks: marks.reverse(),
    summary: summaryOf(points, oldest.point, timezone) + (drawn.length < timed.length ? `, ${drawn.length} drawn` : ''),
    largest: formatBytes(largest),
  };
}

/** More bars than this lie on each other: the young ones stay, of the old ones each so-manieth, and those that matter. */
const MOST_MARKS = 240;

function thinned<Item>(items: readonly Item[], matters: (item: Item) => boolean): Item[] {
  const young = MOST_MARKS / 2;
  const step = Math.ceil((items.length - young) / young);
  return items.length <= MOST_MARKS
    ? [...items]
    : items.filter((item, index) => index < young || index === items.length - 1 || index % step === 0 || matters(item));
}

interface Scale {
  at(age: number): number;
  readonly ticks: { x: string; label: string; end: boolean }[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const steps: readonly (readonly [ms: number, label: string])[] = [
  [MINUTE, '1 min'],
  [5 * MINUTE, '5 min'],
  [15 * MINUTE, '15 min'],
  [HOUR, '1 h'],
  [6 * HOUR, '6 h'],
  [DAY, '1 d'],
  [3 * DAY, '3 d'],
  [7 * DAY, '1 week'],
  [14 * DAY, '2 weeks'],
  [30.4 * DAY, '1 month'],
  [91 * DAY, '3 months'],
  [182 * DAY, '6 months'],
  [365.25 * DAY, '1 year'],
  [3 * 365.25 * DAY, '3 years'],
  [10 * 365.25 * DAY, '10 years'],
];
/** The narrowest distance of two labels, in percent. */
const LABEL_ROOM = 19;

function scaleOf(ages: readonly number[]): Scale {
  const span = Math.max(MINUTE, ages.at(-1) ?? 0);
  const gaps = ages
    .slice(1)
    .map((age, index) => age - (ages[index] ?? 0))
    .sort((a, b) => a - b);
  const usual = Math.max(1_000, gaps[Math.floor(gaps.length / 4)] ?? span);
  const even = span / usual <= 150;
  const share = even
    ? (age: number): number => age / span
    : (age: number): number => Math.log1p(age / usual) / Math.log1p(span / usual);
  const at = (age: number): number => RIGHT - (RIGHT - LEFT) * Math.min(1, share(age));
  const ticks: Scale['ticks'] = [{ x: at(0).toFixed(2), label: 'now', end: true }];
  let last = at(0);
  for (const [age, label] of even ? evenSteps(span) : steps) {
    const x = at(age);
    if (age > span * 1.001 || last - x < LABEL_ROOM) continue;
    ticks.push({ x: x.toFixed(2), label, end: false });
    last = x;
  }
  return { at, ticks };
}

/** Multiples of the smallest step of which not more than six fit. */
function evenSteps(span: number): (readonly [number, string])[] {
  const units: readonly (readonly [ms: number, unit: string, multiples: readonly number[]])[] = [
    [MINUTE, 'min', [1, 5, 10, 20]],
    [HOUR, 'h', [1, 3, 6, 12]],
    [DAY, 'd', [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]],
  ];
  for (const [ms, unit, multiples] of units) {
    const multiple = multiples.find((candidate) => span / (candidate * ms) <= 6);
    if (multiple === undefined) continue;
    const amount = Math.floor(span / (multiple * ms) + 0.001);
    return Array.from({ length: amount }, (_, index) => {
      const count = (index + 1) * multiple;
      return [count * ms, `${count} ${unit}`] as const;
    });
  }
  return [];
}

function markText(point: JudgedPointView, timezone: string): string {
  const fate = fateOf(point);
  const what = {
    kept: `Kept: ${reasonsText(point.reasons)}`,
    later: `Goes ${formatTime(point.goes_at_epoch_ms, timezone)}`,
    soon: 'Goes with the next maintenance',
    deleting: 'Being removed',
  }[fate];
  const { state } = pointRow(point);
  const sizes = `${formatBytes(point.bytes)}, ${formatBytes(point.added_bytes)} of it added`;
  return `${formatTime(point.created_at_epoch_ms, timezone)}: ${state.word}${point.pinned ? ', pinned' : ''}. ${counted(point.files, 'file')}, ${sizes}. ${what}.`;
}

function summaryOf(points: readonly JudgedPointView[], oldest: JudgedPointView, timezone: string): string {
  const going = points.filter((point) => fateOf(point) === 'soon' || fateOf(point) === 'deleting').length;
  const since = formatDate(oldest.created_at_epoch_ms ?? 0, 'date', timezone);
  const goes = going === 0 ? '' : `, ${going} of them ${going === 1 ? 'goes' : 'go'}`;
  return `${counted(points.length, 'restore point')} since ${since}${goes}`;
}
