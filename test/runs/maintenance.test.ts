import { expect, it } from '@jest/globals';
import type { ServiceState } from '../../src/host/port.ts';
import { pendingText } from '../../src/database/retention-rows.ts';
import { runMaintenanceOnce, type MaintenanceReport } from '../../src/runs/maintenance.ts';
import { describeOnBoth } from '../database/both.ts';
import { jobRow } from '../database/retention-rows.ts';
import { insertJob, insertRun, type TestJob } from '../database/rows.ts';

const PAST = '2026-01-01 00:00:00.000';
const FUTURE = '2126-01-01 00:00:00.000';

describeOnBoth('the retention cron', (current) => {
  const database = () => current().database;
  const pass = async (state: ServiceState = 'active'): Promise<MaintenanceReport> =>
    await runMaintenanceOnce({
      database: database(),
      records: { serviceState: () => Promise.resolve(state), timezone: () => Promise.resolve('Europe/Berlin') },
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
