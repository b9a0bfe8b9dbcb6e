import { expect, it } from '@jest/globals';
import { brokenPromises, forgottenOverdue } from '../../src/database/overdue.ts';
import { findScheduledJob } from '../../src/database/schedule.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import type { ServiceState } from '../../src/host/port.ts';
import { sendNotices } from '../../src/notify/send.ts';
import { watchOverdue } from '../../src/runs/overdue.ts';
import { describeOnBoth } from '../database/both.ts';
import { expectUsesIndex } from '../database/explain.ts';
import { insertJob, insertJobs, type TestJob } from '../database/rows.ts';
import { planJob } from './plan.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The slot of a daily job at 02:00 UTC. */
const T0 = Date.parse('2026-05-04T02:00:00Z');

describeOnBoth('overdue', (current) => {
  const dailyJob = async (columns: Record<string, unknown> = {}): Promise<TestJob> => {
    const { database } = current();
    const job = await insertJob(database, {
      schedule_type: 'daily',
      schedule_time: '02:00',
      timezone: 'UTC',
      overdue_grace_seconds: 3_600,
      ...columns,
    });
    await planJob(database, job, T0 - HOUR);
    return job;
  };
  const watch = async (now: number, state: ServiceState = 'active') =>
    await watchOverdue({
      database: current().database,
      records: { serviceState: () => Promise.resolve(state), timezone: () => Promise.resolve(null) },
      clock: () => now,
      batch: 2,
    });
  /** What the commit of a good point writes. */
  const goodPoint = async (job: TestJob, at: number): Promise<void> => {
    await current()
      .database.knex('s3_cloudbackup_jobs')
      .where({ id: job.id })
      .update({ last_good_at: toDatabaseTime(at), overdue_since: null });
  };
  const state = async (job: TestJob) => {
    const found = await findScheduledJob(current().database.knex, job.uuid);
    return { since: found?.overdueSince ?? null, goodBy: found?.goodBy ?? null };
  };
  const notices = async (): Promise<string[]> =>
    ((await current().database.knex('s3_cloudbackup_outbox').orderBy('id')) as { dedupe_key: string }[]).map(
      (row) => row.dedupe_key,
    );

  it('begins once when no good point came by the slot and its grace, and ends by itself', async () => {
    const job = await dailyJob();
    expect(await watch(T0 + HOUR - 1)).toEqual({ begun: 0, met: 0 });
    expect(await watch(T0 + HOUR)).toEqual({ begun: 1, met: 0 });
    expect(await watch(T0 + HOUR + MINUTE)).toEqual({ begun: 0, met: 0 });
    expect(await watch(T0 + 3 * DAY)).toEqual({ begun: 0, met: 0 });
    expect(await state(job)).toMatchObject({ since: T0 + HOUR });
    expect(await notices()).toEqual([`overdue:${job.uuid}:${T0 + HOUR}`]);
    await goodPoint(job, T0 + 3 * DAY + MINUTE);
    expect(await watch(T0 + 3 * DAY + 2 * MINUTE)).toEqual({ begun: 0, met: 1 });
    expect(await state(job)).toEqual({ since: null, goodBy: T0 + 4 * DAY + HOUR });
    expect(await watch(T0 + 4 * DAY + HOUR)).toEqual({ begun: 1, met: 0 });
    expect(await notices()).toHaveLength(2);
  });

  it('does not begin while good points come', async () => {
    const job = await dailyJob();
    for (let day = 0; day < 5; day += 1) {
      await goodPoint(job, T0 + day * DAY + 20 * MINUTE);
      expect(await watch(T0 + day * DAY + HOUR)).toEqual({ begun: 0, met: 1 });
      expect(await watch(T0 + day * DAY + 2 * HOUR)).toEqual({ begun: 0, met: 0 });
    }
    expect(await notices()).toEqual([]);
  });

  it('is not met by a point from before its slot', async () => {
    const job = await dailyJob();
    await goodPoint(job, T0 - MINUTE);
    expect(await watch(T0 + HOUR)).toEqual({ begun: 1, met: 0 });
  });

  it('is found for many jobs at once, by two watchers at the same time, with one notice each', async () => {
    for (let count = 0; count < 7; count += 1) await dailyJob();
    const [one, other] = await Promise.all([watch(T0 + HOUR), watch(T0 + HOUR)]);
    expect((one?.begun ?? 0) + (other?.begun ?? 0)).toBe(7);
    expect(await notices()).toHaveLength(7);
  });

  it('is nothing for jobs by hand, paused and deleted ones, and clients that are not served', async () => {
    await dailyJob({ schedule_type: 'manual' });
    await dailyJob({ status: 'paused' });
    const suspended = await dailyJob();
    expect(await watch(T0 + HOUR, 'suspended')).toEqual({ begun: 0, met: 1 });
    expect(await state(suspended)).toEqual({ since: null, goodBy: T0 + DAY + HOUR });
  });

  it('ends when the job is paused, or runs by hand from then on', async () => {
    const { database } = current();
    const paused = await dailyJob();
    const manual = await dailyJob();
    await watch(T0 + HOUR);
    await database.knex('s3_cloudbackup_jobs').where({ id: paused.id }).update({ status: 'paused' });
    await database
      .knex('s3_cloudbackup_jobs')
      .where({ id: manual.id })
      .update({ schedule_type: 'manual', next_run_at: null, good_by: null });
    await watch(T0 + HOUR + MINUTE);
    expect((await state(paused)).since).toBeNull();
    expect((await state(manual)).since).toBeNull();
  });

  it('stays, without a second notice, when the job gets another schedule, until a good point comes', async () => {
    const { database } = current();
    const job = await dailyJob();
    await watch(T0 + HOUR);
    await database.knex('s3_cloudbackup_jobs').where({ id: job.id }).update({ schedule_time: '12:00' });
    await planJob(database, job, T0 + 2 * HOUR);
    await watch(T0 + 30 * HOUR);
    expect((await state(job)).since).toBe(T0 + HOUR);
    expect(await notices()).toHaveLength(1);
    await goodPoint(job, T0 + 31 * HOUR);
    expect(await watch(T0 + 32 * HOUR)).toEqual({ begun: 0, met: 1 });
    expect(await state(job)).toEqual({ since: null, goodBy: T0 + 35 * HOUR });
  });

  it('becomes a mail, unless a good point came before it was sent', async () => {
    const { database } = current();
    const late = await dailyJob({ name: 'Late' });
    const healed = await dailyJob({ name: 'Healed' });
    await watch(T0 + HOUR);
    await goodPoint(healed, T0 + 2 * HOUR);
    await database.knex('s3_cloudbackup_outbox').update({ not_before: toDatabaseTime(0) });
    const mails: Record<string, string>[] = [];
    const report = await sendNotices({
      database,
      host: {
        settings: () => Promise.resolve(new Map([['cloudbackup_email_template', '1']])),
        client: (id) => Promise.resolve({ id, email: 'a@example.test', firstName: 'A', lastName: 'B' }),
        timezone: () => Promise.resolve(null),
        sendEmail: ({ mergeVars }) => Promise.resolve(void mails.push({ ...mergeVars })),
      },
    });
    expect(report).toEqual({ sent: 1, suppressed: 1, failed: 0 });
    expect(mails).toMatchObject([
      {
        job_name: 'Late',
        job_id: late.uuid,
        run_id: '',
        run_status: 'Overdue',
        overdue_since: 'May 4, 2026, 03:00 UTC',
        error_summary: 'There is no restore point yet, although one is due.',
      },
    ]);
  });

  it('is found by an index', async () => {
    const test = current();
    const { database } = test;
    await insertJobs(database, 5_000, (index) => ({
      good_by: toDatabaseTime(T0 + (index - 20) * MINUTE),
      status: index % 3 === 0 ? 'paused' : 'active',
      overdue_since: index < 20 ? toDatabaseTime(T0) : null,
    }));
    await expectUsesIndex(test, forgottenOverdue(database).select('id'));
    await expectUsesIndex(test, brokenPromises(database, T0, null, 200));
    await expectUsesIndex(test, brokenPromises(database, T0, { time: toDatabaseTime(T0 - MINUTE), id: 3 }, 200));
  });
});
