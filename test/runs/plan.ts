import type { Database } from '../../src/database/connect.ts';
import { findScheduledJob, timezoneOf } from '../../src/database/schedule.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { planFrom } from '../../src/schedule/plan.ts';
import { parseSchedule } from '../../src/schedule/schedule.ts';
import type { TestJob } from '../database/rows.ts';

/** Plans a job from `now` on, as saving it does. */
export async function planJob(database: Database, { uuid }: TestJob, now: number): Promise<number | null> {
  const job = await findScheduledJob(database.knex, uuid);
  if (job === null) throw new Error('no such job');
  const parsed = parseSchedule(job.schedule);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const plan = planFrom(parsed.schedule, now, timezoneOf(job, null), job);
  const text = (epochMs: number | null): string | null => (epochMs === null ? null : toDatabaseTime(epochMs));
  await database
    .knex('s3_cloudbackup_jobs')
    .where({ uuid })
    .update({ next_run_at: text(plan.nextRunAt), good_by: text(plan.goodBy) });
  return plan.nextRunAt;
}
