import { expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { ClientProofs } from '../../src/database/client-proofs.ts';
import type { Database } from '../../src/database/connect.ts';
import { listRunEvents } from '../../src/database/events.ts';
import {
  damagedFiles,
  damagedSince,
  type DrillEnd,
  dueProofs,
  lastCanary,
  lastCanaryQuery,
  lastProofQuery,
  proofsSince,
  queueValidationAfter,
  recordDrill,
  recordValidation,
} from '../../src/database/proofs.ts';
import { oldestRunFiles } from '../../src/database/prune.ts';
import { findJobForRun, queueRun } from '../../src/database/queue.ts';
import {
  ClientRunFiles,
  MAX_RUN_FILES,
  recordRunFiles,
  runFilesQuery,
  runFileTotalsQuery,
  type RunFile,
} from '../../src/database/run_files.ts';
import { fromDatabaseTime, toDatabaseTime } from '../../src/database/times.ts';
import type { ServiceState } from '../../src/host/port.ts';
import { runProofsOnce, type ProofsReport } from '../../src/runs/proofs.ts';
import { describeOnBoth } from '../database/both.ts';
import { expectUsesIndex } from '../database/explain.ts';
import { insertJob, insertJobs, insertRun, type TestJob } from '../database/rows.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const T0 = Date.parse('2026-05-04T02:00:00Z');

async function insertPoint(database: Database, job: TestJob, generation = 1): Promise<string> {
  const run = await insertRun(database, job, { status: 'success', created_at: toDatabaseTime(T0 - DAY) });
  const uuid = v7();
  await database.knex('s3_cloudbackup_restore_points').insert({
    ...{ uuid, client_id: job.clientId, job_id: job.id, run_id: run.id, run_uuid: run.uuid, engine: 'sync' },
    ...{ status: 'success', generation, claim_name: 'c1-00000000', dest_bucket_id: 1, dest_bucket: 'b' },
    ...{ dest_prefix: 'p/', created_at: toDatabaseTime(T0 - DAY) },
  });
  return uuid;
}

interface RunRow {
  id: number;
  uuid: string;
  kind: string;
  status: string;
  options_json: string | null;
  parent_run_uuid: string | null;
  active_key: string | null;
}

const runsOf = async (database: Database, job: TestJob, kind: string): Promise<RunRow[]> =>
  (await database.knex('s3_cloudbackup_runs').where({ job_id: job.id, kind }).orderBy('id')) as RunRow[];

const jobRow = async (database: Database, job: TestJob): Promise<Record<string, unknown>> =>
  (await database.knex('s3_cloudbackup_jobs').where('id', job.id).first()) as Record<string, unknown>;

describeOnBoth('what was found damaged', (current) => {
  const hours = (count: number): string => toDatabaseTime(T0 + count * HOUR);

  /** A point whose run went on from hour 0 to hour 4. */
  async function pointOf(database: Database, job: TestJob): Promise<string> {
    const uuid = await insertPoint(database, job);
    const times = { started_at: hours(0), finished_at: hours(4) };
    await database.knex('s3_cloudbackup_runs').where('job_id', job.id).update(times);
    await database
      .knex('s3_cloudbackup_restore_points')
      .where({ uuid })
      .update({ finished_at: hours(4) });
    return uuid;
  }

  async function proof(database: Database, job: TestJob, from: number, to: number, damaged?: string): Promise<void> {
    const status = damaged === undefined ? 'success' : 'failed';
    const times = { created_at: hours(from), finished_at: hours(to) };
    const run = await insertRun(database, job, { kind: 'drill', status, ...times });
    if (damaged === undefined) return;
    const file = { kind: 'differs', code: 'OBJECT_DIFFERS', path: damaged } as const;
    await recordRunFiles(database, database.knex, run.id, [file]);
  }

  it('counts from the beginning of the run that made the point, which could not know what was found beside it', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const pointUuid = await pointOf(database, job);
    await proof(database, job, -2, -1, 'known to the run');
    await proof(database, job, -1, 1, 'found while it went on');
    await proof(database, job, 5, 6, 'found since');
    const found = await damagedSince(database, { jobId: job.id, pointUuid });
    expect([...found].sort()).toEqual(['found since', 'found while it went on']);
  });

  it('is not forgotten however many restore tests look elsewhere afterwards', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const pointUuid = await pointOf(database, job);
    await proof(database, job, 5, 6, 'damaged');
    for (let day = 1; day <= 30; day += 1) await proof(database, job, 24 * day, 24 * day + 1);
    expect(await damagedSince(database, { jobId: job.id, pointUuid })).toEqual(new Set(['damaged']));
  });
});

describeOnBoth('the report of a run’s files', (current) => {
  const file = (path: string, kind: RunFile['kind'] = 'carried'): RunFile => ({ kind, code: 'FILE_VANISHED', path });

  it('is listed in pages, by kind and by text, to its own client only', async () => {
    const { database } = current();
    const run = await insertRun(database, await insertJob(database), { status: 'warning' });
    const other = await insertRun(database, await insertJob(database, { client_id: 2 }), { status: 'warning' });
    const files = [...Array.from({ length: 7 }, (_, i) => file(`Photos/${i}.jpg`)), file('ünï/Bad', 'failed')];
    expect(await recordRunFiles(database, database.knex, run.id, files)).toBe(8);
    await recordRunFiles(database, database.knex, other.id, [file('secret')]);
    const report = new ClientRunFiles(database, 1);
    const first = await report.list(run.uuid, { limit: 5 });
    expect(first.rows.map(({ path }) => path)).toEqual([0, 1, 2, 3, 4].map((i) => `Photos/${i}.jpg`));
    const second = await report.list(run.uuid, { limit: 5, after: first.next ?? 0 });
    expect(second).toMatchObject({ rows: [{}, {}, { path: 'ünï/Bad', kind: 'failed' }], next: null });
    expect(await report.list(run.uuid, { limit: 8 })).toMatchObject({ next: null });
    expect((await report.list(run.uuid, { limit: 9, kind: 'failed' })).rows).toHaveLength(1);
    expect((await report.list(run.uuid, { limit: 9, text: 'pHOTOS/3' })).rows).toMatchObject([
      { path: 'Photos/3.jpg' },
    ]);
    expect((await report.list(run.uuid, { limit: 9, text: '%' })).rows).toEqual([]);
    expect(await report.totals(run.uuid)).toEqual({ carried: 7, failed: 1 });
    await expect(report.list(other.uuid, { limit: 5 })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(report.totals(other.uuid)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  it('holds so many files and no more, tells how many there were, and is not doubled by a replay', async () => {
    const { database } = current();
    const run = await insertRun(database, await insertJob(database), { status: 'warning' });
    const files = Array.from({ length: MAX_RUN_FILES + 5 }, (_, i) => file(`f${i}`));
    const record = async (): Promise<number> =>
      await database.transaction(
        async (trx) => await recordRunFiles(database, trx, run.id, files, { carried: 123_456, skipped: 3, failed: 0 }),
      );
    expect(await record()).toBe(MAX_RUN_FILES);
    expect(await record()).toBe(0);
    const report = new ClientRunFiles(database, 1);
    expect(await report.totals(run.uuid)).toEqual({ carried: 123_456, skipped: 3 });
    let rows = 0;
    for (let after: number | null = 0; after !== null;) {
      const page: Awaited<ReturnType<typeof report.list>> = await report.list(run.uuid, { limit: 3_000, after });
      rows += page.rows.length;
      after = page.next;
    }
    expect(rows).toBe(MAX_RUN_FILES);
    const found = await report.list(run.uuid, { limit: 3, text: `F${MAX_RUN_FILES - 1}` });
    expect(found).toMatchObject({ rows: [{ path: `f${MAX_RUN_FILES - 1}` }], next: null });
    expect(await recordRunFiles(database, database.knex, run.id + 1, [])).toBe(0);
  });

  it('takes names that are no text', async () => {
    const { database } = current();
    const run = await insertRun(database, await insertJob(database), { status: 'warning' });
    await recordRunFiles(database, database.knex, run.id, [file('a\ud800b'), file('😀\n')]);
    const { rows } = await new ClientRunFiles(database, 1).list(run.uuid, { limit: 5 });
    expect(rows.map(({ path }) => path)).toEqual(['a\ufffdb', '😀\n']);
  });
});

describeOnBoth('proofs by schedule', (current) => {
  const pass = async (now: number, state: ServiceState = 'active'): Promise<ProofsReport> =>
    await runProofsOnce({
      database: current().database,
      records: { serviceState: () => Promise.resolve(state) },
      clock: () => now,
      batch: 2,
    });
  const due = async (columns: Record<string, unknown> = {}): Promise<TestJob> =>
    await insertJob(current().database, {
      ...{ drill_every_days: 7, drill_next_at: toDatabaseTime(T0) },
      ...{ validation_every_days: 30, validation_next_at: toDatabaseTime(T0) },
      ...columns,
    });

  it('are queued once each, a sample for the validation, and come again tomorrow until they have ended', async () => {
    const { database } = current();
    const jobs = [await due(), await due(), await due()];
    for (const job of jobs) await insertPoint(database, job);
    expect(await pass(T0 - 1)).toMatchObject({ validations: 0, drills: 0 });
    const passes = await Promise.all([pass(T0 + 1), pass(T0 + 1)]);
    expect(passes.reduce((sum, { drills }) => sum + drills, 0)).toBe(3);
    expect(passes.reduce((sum, { validations }) => sum + validations, 0)).toBe(3);
    for (const job of jobs) {
      expect(await runsOf(database, job, 'drill')).toMatchObject([{ status: 'queued', active_key: null }]);
      expect(await runsOf(database, job, 'validation')).toMatchObject([
        { status: 'queued', active_key: `backup:${job.uuid}`, options_json: '{"sample":1000}' },
      ]);
      expect(await jobRow(database, job)).toMatchObject({
        drill_next_at: toDatabaseTime(T0 + 1 + DAY),
        validation_next_at: toDatabaseTime(T0 + 1 + DAY),
        drill_overdue_since: null,
      });
    }
  });

  it('wait for a restore point, for the end of a backup, and for a suspended service to come back', async () => {
    const { database } = current();
    const empty = await due();
    expect(await pass(T0)).toMatchObject({ putOff: 2, drills: 0, validations: 0 });
    expect(await jobRow(database, empty)).toMatchObject({ drill_next_at: toDatabaseTime(T0 + DAY) });
    await insertPoint(database, empty);
    expect(await pass(T0 + DAY, 'suspended')).toMatchObject({ putOff: 2, drills: 0, validations: 0 });
    const backup = await insertRun(database, empty, { status: 'running' });
    expect(await pass(T0 + 2 * DAY)).toMatchObject({ drills: 1, validations: 0, putOff: 1 });
    expect(await jobRow(database, empty)).toMatchObject({
      validation_next_at: toDatabaseTime(T0 + 2 * DAY + HOUR / 4),
    });
    await database.knex('s3_cloudbackup_runs').where('id', backup.id).update({ status: 'success', active_key: null });
    expect(await pass(T0 + 2 * DAY + HOUR)).toMatchObject({ validations: 1 });
    expect(await pass(T0 + 2 * DAY + HOUR)).toEqual({ validations: 0, drills: 0, putOff: 0, overdue: 0, failed: 0 });
  });

  it('are left alone on paused jobs, and where they were switched off', async () => {
    const { database } = current();
    const paused = await due({ status: 'paused' });
    const off = await due({ drill_every_days: null, validation_every_days: null });
    await insertPoint(database, paused);
    await insertPoint(database, off);
    expect(await pass(T0)).toMatchObject({ drills: 0, validations: 0 });
    expect(await jobRow(database, off)).toMatchObject({ drill_next_at: null, validation_next_at: null });
  });

  it('make a restore test overdue when the one before was not good, until one is', async () => {
    const { database } = current();
    const job = await due({ validation_next_at: null });
    const point = await insertPoint(database, job);
    await pass(T0);
    const [first] = await runsOf(database, job, 'drill');
    await database.knex('s3_cloudbackup_runs').where('id', first?.id).update({ status: 'failed' });
    expect(await pass(T0 + DAY)).toMatchObject({ drills: 1, overdue: 1 });
    const [, second] = await runsOf(database, job, 'drill');
    expect(await jobRow(database, job)).toMatchObject({ drill_overdue_since: toDatabaseTime(T0) });
    expect((await listRunEvents(database, second?.id ?? 0)).map(({ messageId }) => messageId)).toEqual([
      'DRILL_QUEUED',
      'DRILL_OVERDUE',
    ]);
    // It still waits for a worker a day later: another one would help nobody.
    expect(await pass(T0 + 2 * DAY)).toMatchObject({ drills: 0, overdue: 1 });
    const end: DrillEnd = {
      run: { uuid: second?.uuid ?? '', jobId: job.id, clientId: job.clientId },
      ...{ pointUuid: point, status: 'failed', files: 2, exact: 1, sizeOnly: 0, problems: 1, bytes: 10 },
      ...{ durationMs: 1_500, canary: 'the canary' },
    };
    await database.transaction(async (trx) => await recordDrill(database, trx, end));
    expect(await jobRow(database, job)).toMatchObject({
      drill_last_status: 'failed',
      drill_overdue_since: toDatabaseTime(T0),
      drill_next_at: toDatabaseTime(T0 + 3 * DAY),
    });
    await database.transaction(
      async (trx) => await recordDrill(database, trx, { ...end, status: 'size_only', canary: null, problems: 0 }),
    );
    const after = await jobRow(database, job);
    expect(after).toMatchObject({ drill_last_status: 'size_only', drill_overdue_since: null });
    expect(fromDatabaseTime(String(after['drill_next_at']))).toBeGreaterThan(Date.now() + 6.9 * DAY);
    expect(await lastCanary(database, job.id)).toBe('the canary');
    const proofs = new ClientProofs(database, job.clientId);
    const drills = await proofs.listDrills({ jobId: job.id, limit: 5 });
    expect(drills).toMatchObject([{ status: 'size_only' }, { status: 'failed', duration_ms: 1_500, problems: 1 }]);
    expect(await proofs.listDrills({ before: drills[0]?.uuid, limit: 5 })).toMatchObject([{ status: 'failed' }]);
    expect(await new ClientProofs(database, job.clientId + 1).listDrills({ limit: 5 })).toEqual([]);
  });
});

describeOnBoth('the validation of a backup', (current) => {
  it('is queued with its commit where it was asked for, is seen at the backup’s run, and leaves its result there', async () => {
    const { database } = current();
    const job = await insertJob(database, { validation_mode: 'post_run', validation_every_days: 7 });
    const ended = { status: 'success', active_key: null };
    const run = await insertRun(database, job, { ...ended, validation_mode: 'post_run' });
    const plain = await insertRun(database, job, { ...ended, validation_mode: 'none' });
    const queue = async (one: { id: number; uuid: string }): Promise<void> =>
      await database.transaction(
        async (trx) => await queueValidationAfter(trx, database, { ...one, jobUuid: job.uuid, clientId: job.clientId }),
      );
    await queue(plain);
    expect(await runsOf(database, job, 'validation')).toEqual([]);
    await queue(run);
    const [validation] = await runsOf(database, job, 'validation');
    expect(validation).toMatchObject({
      status: 'queued',
      trigger_type: 'validation',
      parent_run_uuid: run.uuid,
      options_json: JSON.stringify({ run: run.uuid }),
    });
    const proofs = new ClientProofs(database, job.clientId);
    expect(await proofs.validationOf(run.uuid)).toEqual({ status: 'running', excerpt: null });
    expect(await proofs.validationOf(plain.uuid)).toEqual({ status: 'not_run', excerpt: null });
    expect(await new ClientProofs(database, 99).validationOf(run.uuid)).toBeNull();
    await database.transaction(
      async (trx) =>
        await recordValidation(database, trx, {
          run: { id: validation?.id ?? 0, jobId: job.id },
          ...{ parentRunUuid: run.uuid, status: 'failed', complete: true, excerpt: 'two files differ' },
        }),
    );
    await database.knex('s3_cloudbackup_runs').where('id', validation?.id).update(ended);
    expect(await proofs.validationOf(run.uuid)).toEqual({ status: 'failed', excerpt: 'two files differ' });
    const row = await jobRow(database, job);
    expect(row).toMatchObject({ validation_last_status: 'failed' });
    expect(fromDatabaseTime(String(row['validation_next_at']))).toBeGreaterThan(Date.now() + 6.9 * DAY);
    expect(await proofs.lastValidation(job.id)).toBe(validation?.uuid);
    expect(await new ClientProofs(database, 99).lastValidation(job.id)).toBeNull();
  });

  it('that was stopped before it found anything leaves no result, and comes again soon', async () => {
    const { database } = current();
    const job = await insertJob(database, { validation_every_days: 7, validation_last_status: 'success' });
    const run = await insertRun(database, job, { kind: 'validation', status: 'cancelled' });
    await database.transaction(
      async (trx) =>
        await recordValidation(database, trx, {
          run: { id: run.id, jobId: job.id },
          ...{ parentRunUuid: null, status: null, complete: false, excerpt: 'stopped' },
        }),
    );
    const state = await jobRow(database, job);
    expect(state).toMatchObject({ validation_last_status: 'success', validation_last_at: null });
    expect(fromDatabaseTime(String(state['validation_next_at']))).toBeLessThan(Date.now() + 2 * HOUR);
    expect(await new ClientProofs(database, job.clientId).lastValidation(job.id)).toBeNull();
  });

  it('makes room for a backup while it is queued', async () => {
    const { database } = current();
    const job = await insertJob(database, { validation_mode: 'post_run' });
    const validation = await insertRun(database, job, { kind: 'validation' });
    const started = await database.transaction(async (trx) => {
      const found = await findJobForRun(trx, job.clientId, job.uuid);
      if (found === null) throw new Error('no job');
      return await queueRun(trx, database, found, { trigger: 'manual' });
    });
    expect(started.outcome).toBe('queued');
    const [ended] = await runsOf(database, job, 'validation');
    expect(ended).toMatchObject({ id: validation.id, status: 'cancelled', active_key: null });
  });
});

describeOnBoth(
  'questions about proofs',
  (current) => {
    it('are answered by an index', async () => {
      const { database } = current();
      await insertJobs(database, 3_000, (i) => ({
        validation_next_at: toDatabaseTime(T0 + i * HOUR),
        drill_next_at: toDatabaseTime(T0 + i * HOUR),
      }));
      const job = await insertJob(database);
      const run = await insertRun(database, job, { status: 'success' });
      const jobs = (await database.knex('s3_cloudbackup_jobs').select('id', 'client_id', 'uuid')) as {
        id: number;
        client_id: number;
        uuid: string;
      }[];
      const time = toDatabaseTime(T0);
      await database.knex.batchInsert(
        's3_cloudbackup_drills',
        jobs.map(({ id, client_id }) => ({
          ...{
            uuid: v7(),
            client_id,
            job_id: id,
            run_uuid: v7(),
            status: 'success',
            started_at: time,
            finished_at: time,
          },
        })),
        200,
      );
      await database.knex.batchInsert(
        's3_cloudbackup_runs',
        jobs.map(({ id, client_id, uuid }) => ({
          ...{ uuid: v7(), job_id: id, job_uuid: uuid, client_id, kind: 'drill', status: 'success' },
          ...{ created_at: time, updated_at: time },
        })),
        200,
      );
      const rows = Array.from({ length: 3_000 }, (_, i) => ({
        ...{ run_id: run.id, kind: i % 2 === 0 ? 'failed' : 'carried', code: 'X', path: `p${i}` },
      }));
      await database.knex.batchInsert('s3_cloudbackup_run_files', rows, 200);
      const test = current();
      for (const name of ['validation', 'drill'] as const) {
        await expectUsesIndex(test, dueProofs(database, name, T0 + 5 * HOUR, null, 50));
        await expectUsesIndex(test, dueProofs(database, name, T0 + 5 * HOUR, { time, id: 3 }, 50));
      }
      await expectUsesIndex(test, lastProofQuery(database.knex, 'drill', job.id));
      await expectUsesIndex(test, lastCanaryQuery(database, job.id));
      await expectUsesIndex(test, proofsSince(database, job.id, time));
      await expectUsesIndex(test, damagedFiles(database, run.id));
      const proofs = new ClientProofs(database, 7);
      await expectUsesIndex(test, proofs.drillsQuery({ limit: 50 }));
      await expectUsesIndex(test, proofs.drillsQuery({ jobId: job.id, limit: 50, before: v7() }));
      await expectUsesIndex(test, proofs.lastValidationQuery(job.id));
      await expectUsesIndex(test, proofs.runningQuery(job.uuid, run.uuid));
      await expectUsesIndex(test, runFilesQuery(database, run.id, { limit: 50, after: 100 }));
      await expectUsesIndex(test, runFilesQuery(database, run.id, { limit: 50, kind: 'failed' }));
      await expectUsesIndex(test, oldestRunFiles(database, 1_000), { allowed: ['page'] });
      await expectUsesIndex(test, runFileTotalsQuery(database, run.id));
    }, 60_000);
  },
  { keepRows: true },
);
