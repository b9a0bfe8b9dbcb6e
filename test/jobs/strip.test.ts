import { describe, expect, it } from '@jest/globals';
import { lastDays, stripOf } from '../../src/jobs/strip.ts';

const iso = (epochMs: number | undefined): string => new Date(epochMs ?? 0).toISOString();

describe('the last days', () => {
  it('begin at midnight of the zone, also on days of 23 and 25 hours', () => {
    const spring = lastDays(Date.UTC(2026, 2, 30, 10), 'Europe/Berlin', 3);
    expect(spring.dates).toEqual(['2026-03-28', '2026-03-29', '2026-03-30']);
    expect(spring.starts.map(iso)).toEqual([
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
    ]);
    const autumn = lastDays(Date.UTC(2026, 9, 26, 10), 'Europe/Berlin', 2);
    expect(autumn.starts.map(iso)).toEqual(['2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z']);
  });

  it('follow zones with odd offsets, and days on which midnight does not exist', () => {
    expect(iso(lastDays(Date.UTC(2026, 0, 5, 20), 'Asia/Kathmandu', 1).starts[0])).toBe('2026-01-05T18:15:00.000Z');
    const { dates, starts } = lastDays(Date.UTC(2026, 2, 8, 20), 'America/Havana', 1);
    expect(dates).toEqual(['2026-03-08']);
    expect(iso(starts[0])).toBe('2026-03-08T05:00:00.000Z');
  });

  it('are thirty, unless asked otherwise', () => {
    const { dates } = lastDays(Date.UTC(2026, 0, 30), 'UTC');
    expect([dates.length, dates[0], dates.at(-1)]).toEqual([30, '2026-01-01', '2026-01-30']);
  });
});

describe('a strip', () => {
  const calendar = lastDays(Date.UTC(2026, 0, 7, 12), 'UTC', 7);
  const count = (part: number, status: string, runs = 1) => ({ job_id: 1, part, status, runs });

  it('shows what was worst on each day, and counts everything', () => {
    const strip = stripOf(
      calendar,
      [
        count(1, 'success', 23),
        count(1, 'failed'),
        count(2, 'warning'),
        count(2, 'success'),
        count(3, 'success'),
        count(3, 'running'),
        count(4, 'cancelled'),
        count(5, 'success', 2),
        count(5, 'cancelled'),
      ],
      null,
    );
    expect(strip.map((day) => day.state)).toEqual(['failed', 'warning', 'running', 'skipped', 'good', 'idle', 'idle']);
    expect(strip[0]).toEqual({ date: '2026-01-01', state: 'failed', runs: { success: 23, failed: 1 } });
  });

  it('shows days without a good run as overdue since the promise was broken', () => {
    const strip = stripOf(calendar, [count(6, 'cancelled')], Date.UTC(2026, 0, 5, 3));
    expect(strip.map((day) => day.state)).toEqual(['idle', 'idle', 'idle', 'idle', 'overdue', 'overdue', 'overdue']);
  });
});
