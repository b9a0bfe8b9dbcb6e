import { expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fromDatabaseTime } from '../../src/database/times.ts';
import type { Schedule } from '../../src/schedule/schedule.ts';
import { scheduleColumns } from '../../src/schedule/schedule.ts';
import { nextSlot } from '../../src/schedule/slots.ts';
import { describeOnBoth, type TestDatabase } from '../database/both.ts';
import { insertJob, type TestJob } from '../database/rows.ts';
import { planJob } from './plan.ts';

const HOUR = 3_600_000;
/** A weekend on which clocks go back in Europe. */
const START = Date.parse('2026-10-24T18:00:00Z');
const END = START + 30 * HOUR;
const ZONES = ['Europe/Berlin', 'UTC', 'Asia/Kolkata', 'America/New_York'];

const schedules: readonly Schedule[] = [
  { type: 'hourly', minute: 0 },
  { type: 'hourly', minute: 30 },
  { type: 'daily', time: '02:30' },
  { type: 'cron', expression: '*/20 * * * *' },
  { type: 'weekly', time: '00:00', weekdays: [1, 7] },
];

interface RunRow {
  job_id: number;
  slot_at: string;
  status: string;
  start_reason: string | null;
  params_json: string | null;
}

/** Times our clock. */
const SPEED = 8_000;

// Slow: real processes work on a clock that runs 8,000 times as fast, and are killed in between.
describeOnBoth('several scheduler processes', (current) => {
  const script = fileURLToPath(new URL('./scheduler.process.ts', import.meta.url));
  const makeJobs = async (): Promise<Map<number, { job: TestJob; schedule: Schedule; timezone: string }>> => {
    const { database } = current();
    const jobs = new Map<number, { job: TestJob; schedule: Schedule; timezone: string }>();
    for (const [index, schedule] of schedules.entries()) {
      for (const timezone of ZONES) {
        const job = await insertJob(database, { ...scheduleColumns(schedule), timezone, client_id: index });
        await planJob(database, job, START);
        jobs.set(job.id, { job, schedule, timezone });
      }
    }
    return jobs;
  };
  const start = (test: TestDatabase, beganAt: number) =>
    spawn(
      process.execPath,
      [script, JSON.stringify(test.settings), String(START), String(END), String(SPEED), String(beganAt)],
      { env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'ignore', 'inherit'] },
    );

  /** Each slot has its own row or lies within a stretch that a row accounts for; nothing else has a row. */
  const expectEverySlotOnce = async (
    jobs: Map<number, { job: TestJob; schedule: Schedule; timezone: string }>,
  ): Promise<void> => {
    const { database } = current();
    const rows = (await database
      .knex('s3_cloudbackup_runs as r')
      .leftJoin('s3_cloudbackup_run_events as e', (on) => {
        void on.on('e.run_id', 'r.id').andOnIn('e.message_id', ['CATCH_UP', 'SLOT_SKIPPED']);
      })
      .where('r.kind', 'backup')
      .orderBy('r.slot_at')
      .select('r.job_id', 'r.slot_at', 'r.status', 'r.start_reason', 'e.params_json')) as RunRow[];
    for (const [id, { schedule, timezone }] of jobs) {
      const slots: number[] = [];
      for (let slot = nextSlot(schedule, START, timezone); slot !== null && slot <= END;) {
        slots.push(slot);
        slot = nextSlot(schedule, slot, timezone);
      }
      const accounted: number[] = [];
      for (const row of rows.filter((candidate) => Number(candidate.job_id) === id)) {
        const at = fromDatabaseTime(row.slot_at);
        const told = row.params_json === null ? null : (JSON.parse(row.params_json) as { first_slot_at: number });
        accounted.push(...slots.filter((slot) => slot >= (told?.first_slot_at ?? at) && slot <= at));
      }
      expect([id, accounted]).toEqual([id, slots]);
    }
  };

  it('give every slot exactly one row between them', async () => {
    const jobs = await makeJobs();
    const beganAt = Date.now() + 2_000;
    const processes = Array.from({ length: 3 }, () => start(current(), beganAt));
    for (const [code] of await Promise.all(processes.map(async (child) => await once(child, 'exit')))) {
      expect(code).toBe(0);
    }
    await expectEverySlotOnce(jobs);
  }, 180_000);

  it('neither lose nor double a slot when they are killed at any point', async () => {
    const jobs = await makeJobs();
    const beganAt = Date.now() + 1_000;
    const finished = beganAt + (END - START) / SPEED;
    const exits: Promise<unknown>[] = [];
    while (Date.now() < finished) {
      const child = start(current(), beganAt);
      exits.push(once(child, 'exit'));
      // Two live at a time; each is killed somewhere in its work.
      void delay(2_500 + Math.random() * 2_000).then(() => child.kill('SIGKILL'));
      await delay(1_800);
    }
    await Promise.all(exits);
    const last = start(current(), beganAt);
    await once(last, 'exit');
    await expectEverySlotOnce(jobs);
  }, 180_000);
});
