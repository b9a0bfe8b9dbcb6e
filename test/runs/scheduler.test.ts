import { expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import type { Database } from '../../src/database/connect.ts';
import { listRunEvents } from '../../src/database/events.ts';
import { requeueRun } from '../../src/database/leases.ts';
import { queueRun, findJobForRun, startRun } from '../../src/database/queue.ts';
import { dueJobs, expiredRuns, expireQueuedRuns, findScheduledJob } from '../../src/database/schedule.ts';
import { fromDatabaseTime, toDatabaseTime } from '../../src/database/times.ts';
import type { ServiceState } from '../../src/host/port.ts';
import { runSchedulerOnce, type SchedulerReport } from '../../src/runs/scheduler.ts';
import { describeOnBoth } from '../database/both.ts';
import { expectUsesIndex } from '../database/explain.ts';
import { insertJob, insertJobs, insertRun, type TestJob } from '../database/rows.ts';
import { planJob } from './plan.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T0 = Date.parse('2026-05-04T02:00:00Z');

interface Row {
  id: number;
  uuid: string;
  status: string;
  kind: string;
  slot_at: string | null;
  active_key: string | null;
  error_code: string | null;
  start_reason: string | null;
  trigger_type: string;
}

async function runs(database: Database, job: TestJob): Promise<(Row & { slot: string | null })[]> {
  const rows = (await database.knex('s3_cloudbackup_runs').where('job_id', job.id).orderBy('id')) as Row[];
  return rows.map((row) => ({ ...row, slot: row.slot_at?.slice(5, 16) ?? null }));
}

async function nextRunAt(database: Database, job: TestJob): Promise<string | null> {
  const found = await findScheduledJob(database.knex, job.uuid);
  return found?.nextRunAt ? toDatabaseTime(found.nextRunAt).slice(5, 16) : null;
}

async function endRun(database: Database, uuid: string): Promise<void> {
  await database.knex('s3_cloudbackup_runs').where({ uuid }).update({ status: 'success', active_key: null });
}

function records(state: (clientId: number) => ServiceState = () => 'active', timezone: string | null = null) {
  return {
    serviceState: (clientId: number) => Promise.resolve(state(clientId)),
    timezone: () => Promise.resolve(timezone),
  };
}

describeOnBoth('the scheduler', (current) => {
  const daily = { schedule_type: 'daily', schedule_time: '02:00', timezone: 'UTC' };
  const pass = async (now: number, with_ = records()): Promise<SchedulerReport> =>
    await runSchedulerOnce({ database: current().database, records: with_, clock: () => now, batch: 3 });
  const newJob = async (columns: Record<string, unknown> = {}, next = T0): Promise<TestJob> =>
    await insertJob(current().database, { ...daily, next_run_at: toDatabaseTime(next), ...columns });

  it('queues a run in its slot, once, and plans the next one', async () => {
    const { database } = current();
    const job = await newJob();
    expect(await pass(T0 - 1)).toMatchObject({ queued: 0 });
    expect(await pass(T0 + 5_000)).toMatchObject({ queued: 1, caughtUp: 0, skipped: 0 });
    expect(await pass(T0 + 6_000)).toMatchObject({ queued: 0, skipped: 0 });
    const [run, ...more] = await runs(database, job);
    expect(more).toEqual([]);
    expect(run).toMatchObject({
      status: 'queued',
      kind: 'backup',
      trigger_type: 'schedule',
      slot: '05-04 02:00',
      active_key: `backup:${job.uuid}`,
      start_reason: null,
    });
    expect(await nextRunAt(database, job)).toBe('05-05 02:00');
    expect((await listRunEvents(database, run?.id ?? 0)).map((one) => one.messageId)).toEqual(['BACKUP_QUEUED']);
  });

  it('serves more jobs than one query takes, several of them due in the same millisecond', async () => {
    const { database } = current();
    const jobs: TestJob[] = [];
    for (let index = 0; index < 11; index += 1) jobs.push(await newJob({}, index % 2 === 0 ? T0 : T0 + index));
    expect(await pass(T0 + MINUTE)).toMatchObject({ queued: 11, failed: 0 });
    for (const job of jobs) expect(await runs(database, job)).toHaveLength(1);
  });

  it('leaves a row for a slot that finds the backup before it still active, and mails nobody', async () => {
    const { database } = current();
    const job = await newJob();
    await pass(T0);
    await database.knex('s3_cloudbackup_runs').update({ status: 'running' });
    expect(await pass(T0 + 24 * HOUR)).toMatchObject({ queued: 0, skipped: 1 });
    const [first, second] = await runs(database, job);
    expect(second).toMatchObject({
      status: 'cancelled',
      error_code: 'ERR_SLOT_OVERLAP',
      start_reason: 'skipped',
      active_key: null,
      slot: '05-05 02:00',
    });
    expect(await listRunEvents(database, second?.id ?? 0)).toMatchObject([
      { messageId: 'SLOT_SKIPPED', code: 'ERR_SLOT_OVERLAP', params: { reason: 'overlap', run: first?.uuid } },
    ]);
    expect(await database.knex('s3_cloudbackup_outbox')).toEqual([]);
    await endRun(database, first?.uuid ?? '');
    expect(await pass(T0 + 48 * HOUR)).toMatchObject({ queued: 1 });
  });

  it('makes up for missed slots once, and says so', async () => {
    const { database } = current();
    const job = await newJob();
    expect(await pass(T0 + 3 * 24 * HOUR + HOUR)).toMatchObject({ queued: 1, caughtUp: 1, skipped: 0 });
    const [run, ...more] = await runs(database, job);
    expect(more).toEqual([]);
    expect(run).toMatchObject({ status: 'queued', slot: '05-07 02:00', start_reason: 'catch_up' });
    expect((await listRunEvents(database, run?.id ?? 0))[1]).toMatchObject({
      messageId: 'CATCH_UP',
      params: { missed: 4, first_slot_at: T0, slot_at: T0 + 72 * HOUR },
    });
    expect(await nextRunAt(database, job)).toBe('05-08 02:00');
  });

  it('with catching up off leaves one row for missed slots, and runs the one that is in time', async () => {
    const { database } = current();
    const late = await newJob({ catch_up: 0 });
    const punctual = await newJob({ catch_up: 0, schedule_type: 'hourly', schedule_json: '{"minute":0}' });
    expect(await pass(T0 + 5 * HOUR + 11 * MINUTE)).toMatchObject({ queued: 0, skipped: 2 });
    expect(await runs(database, late)).toMatchObject([
      { status: 'cancelled', error_code: 'ERR_SLOT_MISSED', slot: '05-04 02:00' },
    ]);
    expect(await runs(database, punctual)).toMatchObject([
      { status: 'cancelled', error_code: 'ERR_SLOT_MISSED', slot: '05-04 07:00' },
    ]);
    expect(await pass(T0 + 8 * HOUR + MINUTE)).toMatchObject({ queued: 1, caughtUp: 0, skipped: 1 });
    expect((await runs(database, punctual)).slice(1)).toMatchObject([
      { status: 'cancelled', error_code: 'ERR_SLOT_MISSED', slot: '05-04 09:00' },
      { status: 'queued', error_code: null, slot: '05-04 10:00', start_reason: null },
    ]);
  });

  it('starts no runs for suspended and terminated clients, and goes on when they are served again', async () => {
    const { database } = current();
    const job = await newJob({ client_id: 5 });
    await pass(
      T0,
      records(() => 'suspended'),
    );
    await pass(
      T0 + 24 * HOUR,
      records(() => 'terminated'),
    );
    expect(await runs(database, job)).toMatchObject([
      { status: 'cancelled', error_code: 'SERVICE_SUSPENDED', slot: '05-04 02:00' },
      { status: 'cancelled', error_code: 'SERVICE_SUSPENDED', slot: '05-05 02:00' },
    ]);
    await pass(T0 + 48 * HOUR);
    expect((await runs(database, job))[2]).toMatchObject({ status: 'queued', slot: '05-06 02:00', start_reason: null });
  });

  it('asks maintenance to make room and waits for it with the slot', async () => {
    const { database } = current();
    const job = await newJob();
    const maintenance = await insertRun(database, job, {
      kind: 'maintenance',
      status: 'running',
      active_key: `backup:${job.uuid}`,
    });
    expect(await pass(T0 + 1_000)).toMatchObject({ queued: 0, skipped: 0, waiting: 1 });
    expect(await pass(T0 + 61_000)).toMatchObject({ waiting: 1 });
    const [asked] = (await database.knex('s3_cloudbackup_runs').where({ id: maintenance.id })) as {
      yield_requested: number;
    }[];
    expect(Number(asked?.yield_requested)).toBe(1);
    expect((await listRunEvents(database, maintenance.id)).map((one) => one.messageId)).toEqual(['YIELD_REQUESTED']);
    await endRun(database, maintenance.uuid);
    expect(await pass(T0 + 121_000)).toMatchObject({ queued: 1 });
    expect((await runs(database, job)).at(-1)).toMatchObject({
      status: 'queued',
      slot: '05-04 02:00',
      start_reason: null,
    });
  });

  it('ends maintenance that is only queued, and takes its place', async () => {
    const { database } = current();
    const job = await newJob();
    await insertRun(database, job, { kind: 'validation', status: 'queued', active_key: `backup:${job.uuid}` });
    expect(await pass(T0)).toMatchObject({ queued: 1 });
    expect(await runs(database, job)).toMatchObject([
      { kind: 'validation', status: 'cancelled', active_key: null },
      { kind: 'backup', status: 'queued' },
    ]);
  });

  it('starts jobs with a random delay in their own minute and keeps their slots apart from it', async () => {
    const { database } = current();
    const job = await insertJob(database, { ...daily, start_jitter_seconds: 3_600 });
    const planned = await planJob(database, job, T0 - HOUR);
    const delay = (planned ?? 0) - T0;
    expect(delay).toBeGreaterThan(0);
    expect(delay).toBeLessThanOrEqual(HOUR);
    await pass(T0 + delay - 1);
    expect(await runs(database, job)).toEqual([]);
    await pass(T0 + delay);
    expect(await runs(database, job)).toMatchObject([{ slot: '05-04 02:00', start_reason: null }]);
    expect((await findScheduledJob(database.knex, job.uuid))?.nextRunAt).toBe(T0 + 24 * HOUR + delay);
  });

  it('follows the zone of the job, else of the client’s settings, else of the host', async () => {
    const { database } = current();
    await database.knex('s3_cloudbackup_settings').insert({
      client_id: 2,
      default_timezone: 'America/New_York',
      created_at: toDatabaseTime(T0),
      updated_at: toDatabaseTime(T0),
    });
    const own = await newJob({ client_id: 2, timezone: 'Asia/Kolkata' });
    const clients = await newJob({ client_id: 2, timezone: null });
    const hosts = await newJob({ client_id: 3, timezone: null });
    const broken = await newJob({ client_id: 3, timezone: 'Mars/Olympus' });
    await pass(
      T0,
      records(() => 'active', 'Europe/Berlin'),
    );
    expect(await nextRunAt(database, own)).toBe('05-04 20:30');
    expect(await nextRunAt(database, clients)).toBe('05-04 06:00');
    expect(await nextRunAt(database, hosts)).toBe('05-05 00:00');
    expect(await nextRunAt(database, broken)).toBe('05-05 00:00');
  });

  it('plans no more runs of a schedule that cannot be read, and says so', async () => {
    const { database } = current();
    const job = await newJob({ schedule_type: 'cron', schedule_cron: 'every day' });
    const byHand = await newJob({ schedule_type: 'manual' });
    expect(await pass(T0)).toMatchObject({ queued: 0, skipped: 1, failed: 0 });
    expect(await runs(database, job)).toMatchObject([{ status: 'cancelled', error_code: 'ERR_SCHEDULE_INVALID' }]);
    expect(await nextRunAt(database, job)).toBeNull();
    expect(await runs(database, byHand)).toEqual([]);
    expect(await nextRunAt(database, byHand)).toBeNull();
  });

  it('goes on with the others when the host cannot tell about one client', async () => {
    const { database } = current();
    const [lost, served] = [await newJob({ client_id: 1 }), await newJob({ client_id: 2 })];
    const flaky = records((clientId) => {
      if (clientId === 1) throw new Error('no answer');
      return 'active';
    });
    expect(await pass(T0, { ...flaky, serviceState: async (id) => await flaky.serviceState(id) })).toMatchObject({
      queued: 1,
      failed: 1,
    });
    expect(await runs(database, lost)).toEqual([]);
    expect(await runs(database, served)).toHaveLength(1);
    expect(await pass(T0 + MINUTE)).toMatchObject({ queued: 1, failed: 0 });
  });

  it('does nothing about jobs that are paused or deleted', async () => {
    const { database } = current();
    const paused = await newJob({ status: 'paused' });
    const deleted = await newJob({ status: 'deleted' });
    expect(await pass(T0 + HOUR)).toMatchObject({ queued: 0, skipped: 0 });
    expect(await runs(database, paused)).toEqual([]);
    expect(await runs(database, deleted)).toEqual([]);
  });

  it('fails runs that nobody took in time, with a notice, and frees the job for its next slot', async () => {
    const { database } = current();
    const job = await newJob();
    await pass(T0);
    expect(await pass(T0 + 24 * HOUR - MINUTE)).toMatchObject({ expired: 0 });
    expect(await pass(T0 + 24 * HOUR)).toMatchObject({ queued: 1, skipped: 0, expired: 1 });
    const [run] = await runs(database, job);
    expect(run).toMatchObject({ status: 'failed', error_code: 'ERR_QUEUE_EXPIRED', active_key: null });
    expect((await listRunEvents(database, run?.id ?? 0)).map((one) => one.messageId)).toEqual([
      'BACKUP_QUEUED',
      'QUEUE_EXPIRED',
      'COMPLETED_FAILED',
    ]);
    expect(await database.knex('s3_cloudbackup_outbox')).toMatchObject([
      { kind: 'run', dedupe_key: `run:${run?.uuid}:failed`, status: 'pending' },
    ]);
  });

  it('leaves runs that were taken in time, and put back after days of work, to be taken again', async () => {
    const { database } = current();
    const job = await newJob();
    await pass(T0);
    const [queued] = await runs(database, job);
    const lease = { runId: Number(queued?.id), runUuid: String(queued?.uuid), token: 'worker' };
    await database
      .knex('s3_cloudbackup_runs')
      .where('id', lease.runId)
      .update({
        status: 'running',
        lease_token: lease.token,
        // It was queued long ago, by the clock of the database.
        expires_at: database.now(-HOUR),
      });
    await database.transaction(async (trx) => await requeueRun(database, trx, lease, { usesAttempt: false }));
    expect(await expireQueuedRuns(database, Date.now())).toBe(0);
    expect((await runs(database, job))[0]).toMatchObject({ status: 'queued', error_code: null });
  });

  it('says of a run of an agent that is offline that it is the agent', async () => {
    const { database } = current();
    const agentUuid = v7();
    await database.knex('s3_cloudbackup_agents').insert({
      agent_uuid: agentUuid,
      client_id: 1,
      token_hash: 'x',
      device_id: 'd',
      hostname: 'nas',
      status: 'active',
      last_seen_at: toDatabaseTime(T0 - HOUR),
      created_at: toDatabaseTime(T0),
      updated_at: toDatabaseTime(T0),
    });
    const job = await newJob({ agent_uuid: agentUuid });
    await pass(T0);
    await pass(T0 + 25 * HOUR);
    expect((await runs(database, job))[0]).toMatchObject({ status: 'failed', error_code: 'ERR_AGENT_OFFLINE' });
  });
});

describeOnBoth('queueing', (current) => {
  it('lets one of many that start at the same moment win, and tells the others which run it is', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, async () => await startRun(database, { clientId: 1, jobUuid: job.uuid })),
    );
    const won = results.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    const [run] = await runs(database, job);
    for (const result of results) {
      if (result.status === 'rejected') {
        expect(result.reason).toMatchObject({
          code: 'ALREADY_RUNNING',
          details: { existing_run_id: run?.uuid, existing_run_status: 'queued', yielding: false },
        });
      }
    }
    expect(await runs(database, job)).toHaveLength(1);
  });

  it('refuses jobs that are paused, deleted, foreign or none', async () => {
    const { database } = current();
    const paused = await insertJob(database, { status: 'paused' });
    const deleted = await insertJob(database, { status: 'deleted' });
    const start = (clientId: number, jobUuid: string) => startRun(database, { clientId, jobUuid });
    await expect(start(1, paused.uuid)).rejects.toMatchObject({ code: 'JOB_PAUSED' });
    await expect(start(1, deleted.uuid)).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
    await expect(start(2, paused.uuid)).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
    await expect(start(1, v7())).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
  });

  it('by hand waits while maintenance makes room', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const maintenance = await insertRun(database, job, {
      kind: 'maintenance',
      status: 'running',
      active_key: `backup:${job.uuid}`,
    });
    await expect(startRun(database, { clientId: 1, jobUuid: job.uuid, waitMs: 0 })).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      details: { existing_run_kind: 'maintenance', yielding: true },
    });
    const starting = startRun(database, { clientId: 1, jobUuid: job.uuid });
    await endRun(database, maintenance.uuid);
    expect((await starting).runUuid).toHaveLength(36);
  });

  it('keeps what only this run may do, and tells it', async () => {
    const { database } = current();
    const job = await insertJob(database, { max_attempts: 7 });
    const { runId } = await startRun(database, { clientId: 1, jobUuid: job.uuid, options: { allow_empty: true } });
    expect(await database.knex('s3_cloudbackup_runs').where({ id: runId }).first()).toMatchObject({
      options_json: '{"allow_empty":true}',
      max_attempts: 7,
    });
    expect((await listRunEvents(database, runId)).map((one) => one.messageId)).toEqual(['BACKUP_QUEUED', 'RUN_ANYWAY']);
  });

  it('of restores goes on beside a backup', async () => {
    const { database } = current();
    const job = await insertJob(database);
    await startRun(database, { clientId: 1, jobUuid: job.uuid });
    const result = await database.transaction(async (trx) => {
      const found = await findJobForRun(trx, 1, job.uuid);
      if (found === null) throw new Error('no job');
      return await queueRun(trx, database, found, { kind: 'restore', trigger: 'manual', options: { target: 'x' } });
    });
    expect(result.outcome).toBe('queued');
    expect(await runs(database, job)).toMatchObject([{ kind: 'backup' }, { kind: 'restore', active_key: null }]);
  });

  it('gives a slot one run for ever', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const queue = async () =>
      await database.transaction(async (trx) => {
        const found = await findJobForRun(trx, 1, job.uuid);
        if (found === null) throw new Error('no job');
        return await queueRun(trx, database, found, { trigger: 'schedule', slotAt: T0 });
      });
    const first = await queue();
    expect(first.outcome).toBe('queued');
    if (first.outcome === 'queued') await endRun(database, first.runUuid);
    expect(await queue()).toEqual({ outcome: 'slot_taken' });
  });
});

describeOnBoth(
  'the scheduler’s queries',
  (current) => {
    it('use an index', async () => {
      const test = current();
      const { database } = test;
      const now = fromDatabaseTime(await database.readClock());
      await insertJobs(database, 5_000, (index) => ({
        next_run_at: toDatabaseTime(now + (index - 20) * MINUTE),
        status: index % 3 === 0 ? 'paused' : 'active',
      }));
      const job = await insertJob(database);
      await database.knex.batchInsert(
        's3_cloudbackup_runs',
        Array.from({ length: 4_000 }, (_, index) => ({
          uuid: v7(),
          job_id: job.id,
          job_uuid: job.uuid,
          client_id: 1,
          status: index < 30 ? 'queued' : 'success',
          expires_at: toDatabaseTime(now),
          created_at: toDatabaseTime(now),
          updated_at: toDatabaseTime(now),
        })),
        200,
      );
      await expectUsesIndex(test, dueJobs(database, now, null, 200));
      await expectUsesIndex(test, dueJobs(database, now, { time: toDatabaseTime(now - MINUTE), id: 7 }, 200));
      await expectUsesIndex(test, expiredRuns(database, now).limit(200).select('id'));
      await expectUsesIndex(
        test,
        database.knex('s3_cloudbackup_runs').where('active_key', `backup:${job.uuid}`).select('id'),
      );
    });
  },
  { keepRows: true },
);
