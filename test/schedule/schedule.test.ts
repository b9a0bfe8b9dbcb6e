import { describe, expect, it } from '@jest/globals';
import { describeSchedule } from '../../src/schedule/describe.ts';
import { goodPointDue, judgeOverdue } from '../../src/schedule/overdue.ts';
import { cronProblem, parseSchedule, scheduleColumns, type Schedule } from '../../src/schedule/schedule.ts';
import { isTimezone, readWall } from '../../src/schedule/zone.ts';

describe('the schedule of a job’s row', () => {
  it.each<[string, Parameters<typeof parseSchedule>[0], Schedule]>([
    ['nothing at all', {}, { type: 'manual' }],
    [
      'a TIME column with seconds',
      { schedule_type: 'daily', schedule_time: '02:30:00' },
      { type: 'daily', time: '02:30' },
    ],
    ['a time of one digit', { schedule_type: 'daily', schedule_time: '2:30' }, { type: 'daily', time: '02:30' }],
    ['hourly without a minute', { schedule_type: 'hourly' }, { type: 'hourly', minute: 0 }],
    ['hourly by its time', { schedule_type: 'hourly', schedule_time: '00:15' }, { type: 'hourly', minute: 15 }],
    ['hourly by JSON', { schedule_json: '{"type":"hourly","minute":"7"}' }, { type: 'hourly', minute: 7 }],
    [
      'one weekday in its column',
      { schedule_type: 'weekly', schedule_time: '18:00', schedule_weekday: 3 },
      { type: 'weekly', time: '18:00', weekdays: [3] },
    ],
    [
      'several weekdays in JSON',
      {
        schedule_type: 'weekly',
        schedule_time: '18:00',
        schedule_weekday: 7,
        schedule_json: { weekdays: [7, 1, '7'] },
      },
      { type: 'weekly', time: '18:00', weekdays: [1, 7] },
    ],
    ['cron', { schedule_type: 'cron', schedule_cron: ' 0  2 * * 1-5 ' }, { type: 'cron', expression: '0 2 * * 1-5' }],
    ['JSON that is none', { schedule_json: '{' }, { type: 'manual' }],
  ])('is read from %s', (_title, columns, schedule) => {
    expect(parseSchedule(columns)).toEqual({ ok: true, schedule });
  });

  it.each([
    ['no time', { schedule_type: 'daily' }, 'schedule_time'],
    ['a time that is none', { schedule_type: 'daily', schedule_time: '24:00' }, 'schedule_time'],
    ['no weekday', { schedule_type: 'weekly', schedule_time: '10:00' }, 'schedule_weekdays'],
    [
      'an eighth weekday',
      { schedule_type: 'weekly', schedule_time: '10:00', schedule_weekday: 8 },
      'schedule_weekdays',
    ],
    ['minute 60', { schedule_type: 'hourly', schedule_json: { minute: 60 } }, 'schedule_minute'],
    ['a type that is none', { schedule_type: 'yearly' }, 'schedule_type'],
    ['six fields', { schedule_type: 'cron', schedule_cron: '0 0 2 * * *' }, 'schedule_cron'],
  ])('with %s names the field', (_title, columns, field) => {
    expect(parseSchedule(columns)).toMatchObject({ ok: false, problems: [{ field }] });
  });

  it('is the same after it was stored', () => {
    const schedules: Schedule[] = [
      { type: 'manual' },
      { type: 'hourly', minute: 0 },
      { type: 'hourly', minute: 59 },
      { type: 'daily', time: '00:00' },
      { type: 'weekly', time: '23:59', weekdays: [1, 3, 7] },
      { type: 'cron', expression: '*/5 0-6 1,15 * MON' },
    ];
    for (const schedule of schedules) expect(parseSchedule(scheduleColumns(schedule))).toEqual({ ok: true, schedule });
  });

  it.each([
    '60 * * * *',
    '* 24 * * *',
    '0 0 31 2 *',
    '@daily',
    '* * * *',
    '0 0 L * *',
    '0 0 * * 5#2',
    '0 0 ? * *',
    '* * * * * *',
    'a b c d e',
    '*/0 * * * *',
    '5-1 * * * *',
    '* * W * *',
    '',
  ])('refuses the cron expression "%s"', (text) => {
    expect(cronProblem(text)).not.toBeNull();
  });

  it.each([
    '* * * * *',
    '*/5 * * * *',
    '0 0 29 2 *',
    '0 22 * * 1-5',
    '0 0 1,15 * sun',
    '5 4 * jan-mar 0,7',
    '0 0 * * 7',
  ])('takes the cron expression "%s"', (text) => {
    expect(cronProblem(text)).toBeNull();
  });

  it('is told in words', () => {
    expect(describeSchedule({ type: 'manual' })).toBe('Only by hand');
    expect(describeSchedule({ type: 'hourly', minute: 0 })).toBe('Every hour, on the hour');
    expect(describeSchedule({ type: 'hourly', minute: 15 })).toBe('Every hour, 15 minutes past');
    expect(describeSchedule({ type: 'daily', time: '02:30' })).toBe('Every day at 02:30');
    expect(describeSchedule({ type: 'weekly', time: '02:30', weekdays: [1, 2, 3, 4, 5] })).toBe(
      'Monday to Friday at 02:30',
    );
    expect(describeSchedule({ type: 'weekly', time: '02:30', weekdays: [1, 3, 6] })).toBe(
      'Mondays, Wednesdays and Saturdays at 02:30',
    );
    expect(describeSchedule({ type: 'weekly', time: '02:30', weekdays: [2] })).toBe('Tuesdays at 02:30');
    expect(describeSchedule({ type: 'cron', expression: '0 2 * * *' })).toBe('Cron: 0 2 * * *');
  });
});

describe('a reading of the clock', () => {
  it('is one instant, two, or none and a gap', () => {
    expect(readWall(Date.UTC(2026, 5, 1, 12), 'Europe/Berlin').instants).toEqual([Date.UTC(2026, 5, 1, 10)]);
    expect(readWall(Date.UTC(2026, 9, 25, 2, 30), 'Europe/Berlin').instants).toEqual([
      Date.UTC(2026, 9, 25, 0, 30),
      Date.UTC(2026, 9, 25, 1, 30),
    ]);
    expect(readWall(Date.UTC(2026, 2, 29, 2, 30), 'Europe/Berlin')).toEqual({
      instants: [],
      gap: { at: Date.UTC(2026, 2, 29, 1), from: Date.UTC(2026, 2, 29, 2), to: Date.UTC(2026, 2, 29, 3) },
    });
  });

  it('is refused for zones that do not exist', () => {
    expect(isTimezone('Europe/Berlin')).toBe(true);
    expect(isTimezone('Mars/Olympus')).toBe(false);
  });
});

describe('overdue', () => {
  const HOUR = 3_600_000;
  const daily: Schedule = { type: 'daily', time: '00:00' };
  const delay = { jitterMs: 0, graceMs: HOUR };

  it('is promised for the first slot after the last good point, with grace', () => {
    expect(goodPointDue(daily, 5, 'UTC', delay)).toBe(25 * HOUR);
    expect(goodPointDue({ type: 'manual' }, 5, 'UTC', delay)).toBeNull();
  });

  it('begins when the deadline passes without a good point, once, and is met by one that comes late', () => {
    const state = { goodBy: 25 * HOUR, allowanceMs: HOUR, lastGoodAt: 5, overdueSince: null };
    expect(judgeOverdue(state, 25 * HOUR - 1)).toBe('waiting');
    expect(judgeOverdue(state, 25 * HOUR)).toBe('begin');
    expect(judgeOverdue({ ...state, overdueSince: 25 * HOUR }, 26 * HOUR)).toBe('overdue');
    expect(judgeOverdue({ ...state, overdueSince: 25 * HOUR, lastGoodAt: 27 * HOUR }, 28 * HOUR)).toBe('met');
    expect(judgeOverdue({ ...state, lastGoodAt: 24 * HOUR }, 26 * HOUR)).toBe('met');
    expect(judgeOverdue({ ...state, goodBy: null }, 99 * HOUR)).toBe('waiting');
  });
});
