import { describe, expect, it } from '@jest/globals';
import type { ServiceState } from '../../src/host/port.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { pendingText } from '../../src/database/retention-rows.ts';
import { runMaintenanceOnce, type MaintenanceReport } from '../../src/runs/maintenance.ts';
import { describeOnBoth } from '../database/both.ts';
import { jobRow } from '../database/retention-rows.ts';
import { insertJob, insertRun, type TestJob } from '../database/rows.ts';

const PAST = '2026-01-01 00:00:00.000';
const FUTURE = '2126-01-01 00:00:00.000';

describeOnBoth('the retention cron', (current) => {
  const database = () => current().database;
  /** @param graceDays of a host that says how long the data of terminated services stays */
  const pass = async (state: ServiceState = 'active', graceDays?: number | null): Promise<MaintenanceReport> =>
    await runMaintenanceOnce({
      database: database(),
      records: {
        serviceState: () => Promise.resolve(state),
        timezone: () => Promise.resolve('Europe/Berlin'),
        ...(graceDays === undefined ? {} : { terminatedGraceDays: () => Promise.resolve(graceDays) }),
      },
      batch: 2,
    });
  const runsOf = async (job: TestJob): Promise<Record<string, unknown>[]> =>
    (await database().knex('s3_cloudbackup_runs').where({ job_id: job.id, kind: 'maintenance' })) as Record<
      string,
      unknown
    >[];

  it('queues one run for each job that is due, however many of it run at once, and again a day later', async () => {
    const due = [];
    for (let count = 0; count < 5; count += 1) due.push(await insertJob(database(), { maintenance_at: PAST }));
    const later = await insertJob(database(), { maintenance_at: FUTURE });
    const reports = await Promise.all([pass(), pass(), pass()]);
    expect(reports.reduce((sum, report) => sum + report.queued, 0)).toBe(5);
    for (const job of due) {
      const runs = await runsOf(job);
      expect(runs).toHaveLength(1);
      expect(runs[0]).toMatchObject({
        status: 'queued',
        trigger_type: 'schedule',
        options_json: '{"timezone":"Europe/Berlin"}',
      });
      expect(String((await jobRow(database(), job))['maintenance_at']) > new Date().toISOString().slice(0, 10)).toBe(
        true,
      );
    }
    expect(await runsOf(later)).toEqual([]);
    expect(await pass()).toMatchObject({ queued: 0, failed: 0 });
  });

  it('queues nothing for a suspended service, and for a terminated one only what deletes data', async () => {
    const job = await insertJob(database(), { maintenance_at: PAST });
    const gone = { status: 'deleted', data_state: 'deleting', maintenance_at: PAST };
    const going = await insertJob(database(), gone);
    expect(await pass('suspended')).toMatchObject({ queued: 0, waiting: 2 });
    await database().knex('s3_cloudbackup_jobs').update({ maintenance_at: PAST });
    expect(await pass('terminated')).toMatchObject({ queued: 1, waiting: 1 });
    expect([await runsOf(job), (await runsOf(going)).length]).toEqual([[], 1]);
  });

  describe('of a terminated service', () => {
    const due = async (): Promise<void> => {
      await database().knex('s3_cloudbackup_jobs').update({ maintenance_at: PAST });
    };
    const actions = async (): Promise<string[]> =>
      ((await database().knex('s3_cloudbackup_audit').orderBy('id').select('action')) as { action: string }[]).map(
        (row) => row.action,
      );
    const insertWithRun = async (columns: Record<string, unknown> = {}): Promise<TestJob> => {
      const job = await insertJob(database(), { maintenance_at: PAST, ...columns });
      await insertRun(database(), job, { status: 'success', claim: 1 });
      return job;
    };

    it('begins the host’s grace once, tells when it ends, and takes all back when the service comes back', async () => {
      const paused = await insertWithRun({ status: 'paused' });
      const kept = await insertWithRun({ status: 'deleted', deleted_at: PAST });
      const given = await insertWithRun({ status: 'deleted', data_state: 'grace', data_delete_at: FUTURE });
      expect(await pass('terminated', 30)).toMatchObject({ ending: 2, waiting: 1, queued: 0 });
      const began = await jobRow(database(), paused);
      const days = (Date.parse(`${String(began['data_delete_at']).replace(' ', 'T')}Z`) - Date.now()) / 86_400_000;
      expect(began).toMatchObject({ status: 'paused', data_state: 'ending' });
      expect(days).toBeGreaterThan(29.9);
      expect(days).toBeLessThan(30.1);
      await due();
      expect(await pass('terminated', 30)).toMatchObject({ ending: 0, waiting: 3, queued: 0 });
      expect(await jobRow(database(), paused)).toMatchObject({ data_delete_at: began['data_delete_at'] });
      await due();
      // Suspended is not terminated.
      expect(await pass('suspended', 30)).toMatchObject({ stays: 2 });
      expect(await jobRow(database(), paused)).toMatchObject({
        status: 'paused',
        data_state: 'kept',
        data_delete_at: null,
      });
      expect(await jobRow(database(), kept)).toMatchObject({ status: 'deleted', data_state: 'kept' });
      expect(await jobRow(database(), given)).toMatchObject({ data_state: 'grace', data_delete_at: FUTURE });
      expect(await actions()).toEqual(['job.data_ending', 'job.data_ending', 'job.data_stays', 'job.data_stays']);
    });

    it('moves the date with a grace that the host lengthens, never to an earlier one, and tells the customer once', async () => {
      const job = await insertWithRun();
      await pass('terminated', 30);
      const first = await jobRow(database(), job);
      await due();
      await pass('terminated', 10);
      expect((await jobRow(database(), job))['data_delete_at']).toBe(first['data_delete_at']);
      // The first date has come, but the host gives more time by now.
      const since = Date.now() - 31 * 86_400_000;
      await database()
        .knex('s3_cloudbackup_jobs')
        .where('id', job.id)
        .update({ data_ending_since: toDatabaseTime(since), data_delete_at: toDatabaseTime(since + 30 * 86_400_000) });
      await due();
      expect(await pass('terminated', 90)).toMatchObject({ queued: 0, waiting: 1 });
      expect(await jobRow(database(), job)).toMatchObject({
        data_state: 'ending',
        data_delete_at: toDatabaseTime(since + 90 * 86_400_000),
      });
      const notices = await database().knex('s3_cloudbackup_outbox').where({ job_id: job.id, kind: 'ending' });
      expect(notices).toHaveLength(1);
    });

    it('deletes the data when the grace is over, but not under a restore', async () => {
      const over = { data_state: 'ending', data_delete_at: PAST, retention_acts_at: FUTURE };
      const job = await insertWithRun(over);
      const never = await insertJob(database(), { ...over, maintenance_at: PAST });
      const restoring = await insertWithRun(over);
      await insertRun(database(), restoring, { kind: 'restore', status: 'running', active_key: null });
      expect(await pass('terminated', 30)).toMatchObject({ queued: 1, dropped: 1, waiting: 1 });
      expect(await jobRow(database(), job)).toMatchObject({ status: 'deleted', data_state: 'grace' });
      expect(await runsOf(job)).toHaveLength(1);
      expect(await jobRow(database(), never)).toMatchObject({ status: 'deleted', data_state: 'gone' });
      expect(await jobRow(database(), restoring)).toMatchObject({ status: 'active', data_state: 'ending' });
      expect(await actions()).toEqual(expect.arrayContaining(['job.deleted', 'job.deleted', 'job.data_deleted']));
    });

    it('keeps the data for good where the host says so, or says nothing', async () => {
      const job = await insertWithRun();
      const ending = await insertWithRun({ data_state: 'ending', data_delete_at: PAST });
      expect(await pass('terminated')).toMatchObject({ ending: 0, stays: 1, queued: 0 });
      await due();
      expect(await pass('terminated', null)).toMatchObject({ ending: 0, stays: 0, queued: 0 });
      expect([await runsOf(job), await runsOf(ending)]).toEqual([[], []]);
    });

    it('gives each job one end, however many passes run at once', async () => {
      const jobs = [];
      for (let count = 0; count < 5; count += 1) {
        jobs.push(await insertWithRun({ data_state: 'ending', data_delete_at: PAST }));
      }
      await Promise.all([pass('terminated', 1), pass('terminated', 1), pass('terminated', 1)]);
      for (const job of jobs) expect(await runsOf(job)).toHaveLength(1);
      expect((await actions()).filter((action) => action === 'job.deleted')).toHaveLength(5);
    });
  });

  it('brings a retention into force when its cool-off is over, not before, and audits it', async () => {
    const pending = pendingText({ mode: 'keep_days', days: 3 });
    const over = await insertJob(database(), {
      maintenance_at: PAST,
      retention_mode: 'none',
      retention_pending_json: pending,
      retention_acts_at: PAST,
    });
    const waiting = await insertJob(database(), {
      maintenance_at: PAST,
      retention_pending_json: pending,
      retention_acts_at: FUTURE,
    });
    expect(await pass()).toMatchObject({ queued: 2, applied: 1 });
    expect(await jobRow(database(), over)).toMatchObject({
      retention_mode: 'keep_days',
      retention_value: 3,
      retention_pending_json: null,
      retention_acts_at: null,
    });
    expect(await jobRow(database(), waiting)).toMatchObject({
      retention_mode: 'none',
      retention_pending_json: pending,
    });
    const audit = await database().knex('s3_cloudbackup_audit').where('action', 'retention.applied');
    expect(audit).toHaveLength(1);
  });

  it('lets a deleted job be until its grace is over', async () => {
    const grace = { status: 'deleted', data_state: 'grace', maintenance_at: PAST };
    const early = await insertJob(database(), { ...grace, data_delete_at: FUTURE });
    const over = await insertJob(database(), { ...grace, data_delete_at: PAST });
    await insertRun(database(), over, { status: 'success', claim: 1 });
    const never = await insertJob(database(), { ...grace, data_delete_at: PAST });
    expect(await pass()).toMatchObject({ queued: 1, dropped: 1, waiting: 1 });
    expect((await jobRow(database(), early))['maintenance_at']).toBe(FUTURE);
    expect(await runsOf(early)).toEqual([]);
    expect(await runsOf(over)).toHaveLength(1);
    expect((await jobRow(database(), never))['data_state']).toBe('gone');
  });

  it('waits while a backup runs, and asks it for nothing', async () => {
    const job = await insertJob(database(), { maintenance_at: PAST });
    const backup = await insertRun(database(), job, { status: 'running' });
    expect(await pass()).toMatchObject({ queued: 0, waiting: 1 });
    const run = (await database().knex('s3_cloudbackup_runs').where('id', backup.id).first('*')) as Record<
      string,
      unknown
    >;
    expect(run['yield_requested']).toBe(0);
    const next = String((await jobRow(database(), job))['maintenance_at']);
    expect(next < new Date(Date.now() + 3_600_000).toISOString().replace('T', ' ')).toBe(true);
  });
});
