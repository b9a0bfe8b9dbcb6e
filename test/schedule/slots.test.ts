import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Schedule } from '../../src/schedule/schedule.ts';
import { dueSlots, MOST_COUNTED, nextSlot, nextSlots, startJitterMs } from '../../src/schedule/slots.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const daily = (time: string): Schedule => ({ type: 'daily', time });
const hourly = (minute: number): Schedule => ({ type: 'hourly', minute });
const weekly = (time: string, ...weekdays: number[]): Schedule => ({ type: 'weekly', time, weekdays });
const cron = (expression: string): Schedule => ({ type: 'cron', expression });

/** From an instant, the next slots as UTC, `MM-DDTHH:MM`. */
function slots(schedule: Schedule, timezone: string, from: string, count: number): string[] {
  return nextSlots(schedule, Date.parse(from), timezone, count).map((at) => new Date(at).toISOString().slice(5, 16));
}

const cases: readonly [string, Schedule, string, string, readonly string[]][] = [
  [
    'runs daily on the local clock',
    daily('02:30'),
    'Asia/Kolkata',
    '2026-03-01T00:00Z',
    ['03-01T21:00', '03-02T21:00'],
  ],
  ['runs daily in UTC', daily('00:00'), 'UTC', '2026-02-27T12:00Z', ['02-28T00:00', '03-01T00:00']],
  [
    'moves a time that does not exist to the next valid minute (Berlin, spring)',
    daily('02:30'),
    'Europe/Berlin',
    '2026-03-28T00:00Z',
    ['03-28T01:30', '03-29T01:00', '03-30T00:30'],
  ],
  [
    'runs a time that occurs twice once (Berlin, autumn)',
    daily('02:30'),
    'Europe/Berlin',
    '2026-10-24T00:00Z',
    ['10-24T00:30', '10-25T00:30', '10-26T01:30'],
  ],
  [
    'moves a time that does not exist (New York, spring)',
    daily('02:00'),
    'America/New_York',
    '2026-03-07T08:00Z',
    ['03-08T07:00', '03-09T06:00'],
  ],
  [
    'runs a time that occurs twice once (New York, autumn)',
    daily('01:00'),
    'America/New_York',
    '2026-10-31T06:00Z',
    ['11-01T05:00', '11-02T06:00'],
  ],
  [
    'moves a time that does not exist by half an hour (Lord Howe, spring)',
    daily('02:10'),
    'Australia/Lord_Howe',
    '2026-10-03T00:00Z',
    ['10-03T15:30', '10-04T15:10'],
  ],
  [
    'runs a time that occurs twice within the hour once (Lord Howe, autumn)',
    daily('01:40'),
    'Australia/Lord_Howe',
    '2026-04-04T00:00Z',
    ['04-04T14:40', '04-05T15:10'],
  ],
  [
    'moves a midnight that does not exist (Sao Paulo 2017)',
    daily('00:00'),
    'America/Sao_Paulo',
    '2017-10-14T12:00Z',
    ['10-15T03:00', '10-16T02:00'],
  ],
  [
    'runs a midnight hour that occurs twice once (Sao Paulo 2018)',
    daily('23:30'),
    'America/Sao_Paulo',
    '2018-02-16T12:00Z',
    ['02-17T01:30', '02-18T01:30', '02-19T02:30'],
  ],
  [
    'moves the times of a day that does not exist to the next midnight (Apia 2011)',
    daily('10:00'),
    'Pacific/Apia',
    '2011-12-28T22:00Z',
    ['12-29T20:00', '12-30T10:00', '12-30T20:00'],
  ],
  [
    'runs every hour that passes, also those shown twice (Berlin, autumn)',
    hourly(30),
    'Europe/Berlin',
    '2026-10-24T23:00Z',
    ['10-24T23:30', '10-25T00:30', '10-25T01:30', '10-25T02:30'],
  ],
  [
    'misses nothing when an hour is skipped (Berlin, spring)',
    hourly(30),
    'Europe/Berlin',
    '2026-03-29T00:00Z',
    ['03-29T00:30', '03-29T01:30', '03-29T02:30'],
  ],
  [
    'runs an hour of ninety minutes once (Lord Howe, autumn)',
    hourly(45),
    'Australia/Lord_Howe',
    '2026-04-04T14:00Z',
    ['04-04T14:45', '04-04T16:15', '04-04T17:15'],
  ],
  [
    'runs an hour that begins in the gap at its first minute (Lord Howe, spring)',
    hourly(15),
    'Australia/Lord_Howe',
    '2026-10-03T14:00Z',
    ['10-03T14:45', '10-03T15:30', '10-03T16:15'],
  ],
  [
    'runs weekly on several weekdays',
    weekly('18:00', 1, 5, 7),
    'Europe/Berlin',
    '2026-07-03T00:00Z',
    ['07-03T16:00', '07-05T16:00', '07-06T16:00', '07-10T16:00'],
  ],
  [
    'moves a weekly time that does not exist, and keeps its weekday',
    weekly('02:30', 7),
    'Europe/Berlin',
    '2026-03-22T02:00Z',
    ['03-29T01:00', '04-05T00:30'],
  ],
  [
    'runs cron by day of month or day of week',
    cron('0 6 13 * 5'),
    'UTC',
    '2026-02-01T00:00Z',
    ['02-06T06:00', '02-13T06:00', '02-20T06:00', '02-27T06:00', '03-06T06:00', '03-13T06:00'],
  ],
  ['runs cron with 7 as Sunday', cron('0 6 * * 7'), 'UTC', '2026-02-01T07:00Z', ['02-08T06:00', '02-15T06:00']],
  ['runs cron with names', cron('0 6 * JAN MON-TUE'), 'UTC', '2026-01-01T00:00Z', ['01-05T06:00', '01-06T06:00']],
  [
    'collapses several cron times that do not exist into one run',
    cron('*/15 2 * * *'),
    'Europe/Berlin',
    '2026-03-28T12:00Z',
    ['03-29T01:00', '03-30T00:00', '03-30T00:15'],
  ],
  [
    'runs cron times of a fixed hour that occurs twice once',
    cron('*/30 2 * * *'),
    'Europe/Berlin',
    '2026-10-24T12:00Z',
    ['10-25T00:00', '10-25T00:30', '10-26T01:00'],
  ],
  [
    'runs cron of every hour as the hours pass',
    cron('0,30 * * * *'),
    'Europe/Berlin',
    '2026-10-25T00:00Z',
    ['10-25T00:30', '10-25T01:00', '10-25T01:30', '10-25T02:00'],
  ],
  ['runs on the 29th of February', cron('0 0 29 2 *'), 'UTC', '2026-01-01T00:00Z', ['02-29T00:00']],
];

describe('a schedule', () => {
  it.each(cases)('%s', (_title, schedule, timezone, from, expected) => {
    expect(slots(schedule, timezone, from, expected.length)).toEqual(expected);
  });

  it('by hand has no slots', () => {
    expect(nextSlot({ type: 'manual' }, 0, 'UTC')).toBeNull();
    expect(nextSlots({ type: 'manual' }, 0, 'UTC', 3)).toEqual([]);
  });

  it('counts what is due and finds the last slot, also after years', () => {
    const first = Date.parse('2020-01-01T00:00Z');
    expect(dueSlots(daily('00:00'), first, first + 3 * DAY + 5, 'UTC')).toEqual({ last: first + 3 * DAY, count: 4 });
    expect(dueSlots(daily('00:00'), first, first, 'UTC')).toEqual({ last: first, count: 1 });
    expect(dueSlots(cron('* * * * *'), first, first + 365 * DAY + 1, 'UTC')).toEqual({
      last: first + 365 * DAY,
      count: MOST_COUNTED,
    });
    expect(dueSlots(hourly(0), first, first + 2_000 * DAY + 61 * MINUTE, 'UTC').last).toBe(first + 2_000 * DAY + HOUR);
  });
});

describe('the start of a job', () => {
  it('is delayed by the same time in every run, spread over the whole allowance', () => {
    const delays = Array.from({ length: 2_000 }, (_, index) => startJitterMs(`job-${index}`, 600));
    expect(startJitterMs('job-7', 600)).toBe(delays[7]);
    expect(Math.min(...delays)).toBeLessThan(10_000);
    expect(Math.max(...delays)).toBeGreaterThan(590_000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(600_000);
    expect(startJitterMs('job-7', 0)).toBe(0);
  });
});

const read = new Map<string, { at: number; wall: number }[]>();

/** What the clock shows, minute by minute, straight from the platform: slow and without any rule. */
function labels(timezone: string, from: number, to: number): { at: number; wall: number }[] {
  const known = read.get(`${timezone} ${from}`);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'short' });
  const all: { at: number; wall: number }[] = [];
  for (let at = from; at < to; at += MINUTE)
    all.push({ at, wall: Date.parse(`${format.format(at).replace(' ', 'T')}Z`) });
  read.set(`${timezone} ${from}`, all);
  return all;
}

/** Slots within a window, by the words of the rule. */
function expectedSlots(
  timezone: string,
  from: number,
  to: number,
  named: (wall: number) => boolean,
  everyHour: boolean,
): number[] {
  const minutes = labels(timezone, from - 2 * DAY, to);
  const shown = new Map<number, number>();
  const found = new Set<number>();
  let previous = minutes[0];
  for (const minute of minutes) {
    const skippedFrom = previous === undefined ? minute.wall : previous.wall + MINUTE;
    for (let wall = skippedFrom; wall < minute.wall; wall += MINUTE) {
      const hour = Math.floor(wall / HOUR) * HOUR;
      if (named(wall) && !(everyHour && skippedFrom <= hour && hour + HOUR <= minute.wall)) found.add(minute.at);
    }
    const before = shown.get(minute.wall);
    const again = before !== undefined && !(everyHour && minute.at - before >= HOUR);
    if (named(minute.wall) && !again) found.add(minute.at);
    if (before === undefined) shown.set(minute.wall, minute.at);
    previous = minute;
  }
  return [...found].filter((at) => at >= from).sort((a, b) => a - b);
}

/** Days on which clocks change, and plain ones. */
const windows: readonly [string, string][] = [
  ['Europe/Berlin', '2026-03-28T12:00Z'],
  ['Europe/Berlin', '2026-10-24T12:00Z'],
  ['America/New_York', '2026-03-07T18:00Z'],
  ['America/New_York', '2026-10-31T18:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T03:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T03:00Z'],
  ['America/Sao_Paulo', '2017-10-14T14:00Z'],
  ['America/Sao_Paulo', '2018-02-17T12:00Z'],
  ['America/St_Johns', '2010-03-13T14:00Z'],
  ['Antarctica/Troll', '2026-03-28T12:00Z'],
  ['Antarctica/Troll', '2026-10-24T12:00Z'],
  ['Africa/Casablanca', '2026-02-14T12:00Z'],
  ['Africa/Cairo', '2026-04-23T12:00Z'],
  ['Asia/Kolkata', '2026-05-05T05:00Z'],
  ['Pacific/Chatham', '2026-09-26T02:00Z'],
  ['UTC', '2026-02-28T00:00Z'],
];

const two = (value: number): string => String(value).padStart(2, '0');
const minuteOf = (wall: number): number => Math.floor(wall / MINUTE) % 60;
const hourOf = (wall: number): number => Math.floor(wall / HOUR) % 24;

interface Sample {
  readonly schedule: Schedule;
  readonly named: (wall: number) => boolean;
  readonly everyHour: boolean;
}

const samples: fc.Arbitrary<Sample> = fc.oneof(
  fc.nat(59).map((minute) => ({
    schedule: hourly(minute),
    named: (wall: number) => minuteOf(wall) === minute,
    everyHour: true,
  })),
  fc.tuple(fc.nat(23), fc.nat(59)).map(([hour, minute]) => ({
    schedule: daily(`${two(hour)}:${two(minute)}`),
    named: (wall: number) => hourOf(wall) === hour && minuteOf(wall) === minute,
    everyHour: false,
  })),
  fc.tuple(fc.uniqueArray(fc.nat(59), { minLength: 1, maxLength: 4 }), fc.nat(23)).map(([minutes, hour]) => ({
    schedule: cron(`${minutes.join(',')} ${hour} * * *`),
    named: (wall: number) => hourOf(wall) === hour && minutes.includes(minuteOf(wall)),
    everyHour: false,
  })),
  fc.uniqueArray(fc.nat(59), { minLength: 1, maxLength: 4 }).map((minutes) => ({
    schedule: cron(`${minutes.join(',')} * * * *`),
    named: (wall: number) => minutes.includes(minuteOf(wall)),
    everyHour: true,
  })),
);

describe('slots of any schedule', () => {
  it('are those that the rule names on the platform’s own clock: none missing, none twice', () => {
    fc.assert(
      fc.property(fc.constantFrom(...windows), samples, ([timezone, start], sample) => {
        const from = Date.parse(start);
        const to = from + 36 * HOUR;
        const expected = expectedSlots(timezone, from, to, sample.named, sample.everyHour);
        const found: number[] = [];
        for (let at = nextSlot(sample.schedule, from - 1, timezone); at !== null && at < to;) {
          found.push(at);
          at = nextSlot(sample.schedule, at, timezone);
        }
        expect(found).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  it('follow each other whatever instant is asked for', () => {
    const anyZone = fc.constantFrom(...new Set(windows.map(([timezone]) => timezone)));
    const anyInstant = fc.integer({ min: Date.UTC(2005, 0, 1), max: Date.UTC(2035, 0, 1) });
    fc.assert(
      fc.property(anyZone, samples, anyInstant, (timezone, { schedule }, after) => {
        const next = nextSlot(schedule, after, timezone) ?? 0;
        expect(next).toBeGreaterThan(after);
        // Asked from anywhere between, the answer is the same slot.
        const between = after + Math.floor((next - after) / 2);
        expect(nextSlot(schedule, between, timezone)).toBe(next);
        expect(nextSlot(schedule, next - 1, timezone)).toBe(next);
        expect(nextSlot(schedule, next, timezone)).toBeGreaterThan(next);
      }),
      { numRuns: 400 },
    );
  });
});
