/**
 * Wall clocks of IANA time zones. A "wall" number is a reading of the clock on the wall, written as if it were UTC: it has no
 * zone, may not exist on a day when the clock goes forward, and may stand for two instants when it goes back.
 */

const DAY = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** True for a zone that this machine's tables know. */
export function isTimezone(name: string): boolean {
  try {
    format(name);
    return true;
  } catch {
    return false;
  }
}

/** The first of the given zones that exists; UTC when none does. */
export function firstTimezone(...candidates: readonly (string | null | undefined)[]): string {
  for (const name of candidates) if (name && isTimezone(name)) return name;
  return 'UTC';
}

/** Throws RangeError for a zone that does not exist. */
function format(timezone: string): Intl.DateTimeFormat {
  let found = formats.get(timezone);
  if (found === undefined) {
    found = new Intl.DateTimeFormat('en-US', {
      timeZone: timezone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formats.set(timezone, found);
  }
  return found;
}

/** Asks the tables of this machine; everything else here goes through the days' cache. */
function readOffset(epochMs: number, timezone: string): number {
  const second = Math.floor(epochMs / 1_000) * 1_000;
  const parts = /^(\d+)\/(\d+)\/(\d+), (\d+):(\d+):(\d+)$/.exec(format(timezone).format(second));
  if (parts === null) throw new RangeError(`unreadable date in ${timezone}`);
  const [, month, day, year, hour, minute, s] = parts.map(Number);
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, s) - second;
}

interface Change {
  /** The first instant with the new offset. */
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

interface Day {
  readonly offset: number;
  /** The clock is put forward or back within this UTC day. */
  readonly change: Change | null;
}

const days = new Map<string, Map<number, Day>>();
const MOST_DAYS = 4_000;

function day(number: number, timezone: string): Day {
  let known = days.get(timezone);
  if (known === undefined || known.size > MOST_DAYS) {
    known = new Map();
    days.set(timezone, known);
  }
  let found = known.get(number);
  if (found === undefined) {
    const before = readOffset(number * DAY, timezone);
    const after = readOffset((number + 1) * DAY, timezone);
    found = { offset: before, change: before === after ? null : findChange(number * DAY, before, after, timezone) };
    known.set(number, found);
  }
  return found;
}

function findChange(start: number, before: number, after: number, timezone: string): Change {
  let low = start;
  let high = start + DAY;
  while (high - low > 1_000) {
    const middle = Math.floor((low + high) / 2_000) * 1_000;
    if (readOffset(middle, timezone) === before) low = middle;
    else high = middle;
  }
  return { at: high, before, after };
}

/** Local time minus UTC, in milliseconds. */
export function offsetAt(epochMs: number, timezone: string): number {
  const { offset, change } = day(Math.floor(epochMs / DAY), timezone);
  return change !== null && epochMs >= change.at ? change.after : offset;
}

export function wallAt(epochMs: number, timezone: string): number {
  return epochMs + offsetAt(epochMs, timezone);
}

/** Changes of the clock within a day or so of an instant. */
export function changesAround(epochMs: number, timezone: string): Change[] {
  const middle = Math.floor(epochMs / DAY);
  return [middle - 1, middle, middle + 1]
    .map((number) => day(number, timezone).change)
    .filter((change) => change !== null);
}

export interface Reading {
  /** When the clock shows it: none, one, or two instants in order. */
  readonly instants: readonly number[];
  /** It is skipped: `at` is the first instant after the gap, `from` and `to` are the gap on the clock. */
  readonly gap: { readonly at: number; readonly from: number; readonly to: number } | null;
}

/** The instants at which the clock on the wall shows `wall`. */
export function readWall(wall: number, timezone: string): Reading {
  const changes = changesAround(wall, timezone);
  if (changes.length === 0) return { instants: [wall - offsetAt(wall, timezone)], gap: null };
  const offsets = new Set(changes.flatMap((change) => [change.before, change.after]));
  const instants = [...offsets]
    .map((offset) => wall - offset)
    .filter((instant) => wallAt(instant, timezone) === wall)
    .sort((a, b) => a - b);
  if (instants.length > 0) return { instants, gap: null };
  const skipping = changes.find(({ at, before, after }) => at + before <= wall && wall < at + after);
  if (skipping === undefined) throw new RangeError(`no instant for a local time in ${timezone}`);
  const { at, before, after } = skipping;
  // Some changes of the nineteenth century lie within a minute.
  return { instants: [], gap: { at: Math.ceil(at / 60_000) * 60_000, from: at + before, to: at + after } };
}
