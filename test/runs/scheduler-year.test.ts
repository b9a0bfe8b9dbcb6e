import { expect, it } from '@jest/globals';
import { fromDatabaseTime } from '../../src/database/times.ts';
import { runSchedulerOnce } from '../../src/runs/scheduler.ts';
import { scheduleColumns, type Schedule } from '../../src/schedule/schedule.ts';
import { nextSlot } from '../../src/schedule/slots.ts';
import { describeOnBoth } from '../database/both.ts';
import { insertJob } from '../database/rows.ts';
import { planJob } from './plan.ts';

const DAY = 86_400_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const END = START + 366 * DAY;

const schedules: readonly [Schedule, string][] = [
  [{ type: 'daily', time: '02:30' }, 'Europe/Berlin'],
  [{ type: 'daily', time: '02:10' }, 'Australia/Lord_Howe'],
  [{ type: 'daily', time: '01:30' }, 'America/New_York'],
  [{ type: 'weekly', time: '02:30', weekdays: [6, 7] }, 'Europe/Berlin'],
  [{ type: 'weekly', time: '00:00', weekdays: [1, 3, 5] }, 'Asia/Kolkata'],
  [{ type: 'cron', expression: '15 2 1,15 * *' }, 'UTC'],
  [{ type: 'cron', expression: '0 0 29 2 *' }, 'UTC'],
  [{ type: 'daily', time: '00:30' }, 'Africa/Cairo'],
];

// Slow: some 2,000 durable transactions on each database.
describeOnBoth('a year of schedules', (current) => {
  it('has every slot once and in its minute, on a scheduler that comes every few minutes', async () => {
    const { database } = current();
    const jobs = new Map<number, readonly [Schedule, string]>();
    for (const [schedule, timezone] of schedules) {
      const job = await insertJob(database, { ...scheduleColumns(schedule), timezone, start_jitter_seconds: 240 });
      jobs.set(job.id, [schedule, timezone]);
      await planJob(database, job, START);
    }
    let now = START;
    const records = { serviceState: () => Promise.resolve('active' as const), timezone: () => Promise.resolve(null) };
    while (now < END) {
      // Jumps to where something is due; between two looks lie up to five minutes, as with a crontab line.
      const row = (await database.knex('s3_cloudbackup_jobs').min({ next: 'next_run_at' }).first()) as { next: string };
      now = Math.max(now, fromDatabaseTime(row.next)) + ((now / 1_000) % 300) * 1_000;
      const report = await runSchedulerOnce({ database, records, clock: () => now });
      expect(report).toMatchObject({ failed: 0, skipped: 0, caughtUp: 0 });
      await database
        .knex('s3_cloudbackup_runs')
        .where('status', 'queued')
        .update({ status: 'success', active_key: null });
    }
    for (const [id, [schedule, timezone]] of jobs) {
      const rows = (await database
        .knex('s3_cloudbackup_runs')
        .where('job_id', id)
        .orderBy('slot_at')
        .select('slot_at', 'created_at')) as { slot_at: string; created_at: string }[];
      const slots: number[] = [];
      for (let slot = nextSlot(schedule, START, timezone); slot !== null && slot < END - DAY;) {
        slots.push(slot);
        slot = nextSlot(schedule, slot, timezone);
      }
      expect([id, rows.map((row) => fromDatabaseTime(row.slot_at)).filter((at) => at < END - DAY)]).toEqual([
        id,
        slots,
      ]);
      for (const row of rows) {
        const late = fromDatabaseTime(row.created_at) - fromDatabaseTime(row.slot_at);
        expect(late).toBeGreaterThanOrEqual(0);
        expect(late).toBeLessThan(10 * 60_000);
      }
    }
  }, 300_000);
});
