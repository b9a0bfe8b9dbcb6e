import { describe, expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { beginDeletingData, dropNeverWritten, endDeletingData } from '../../src/database/job-data.ts';
import { ClientJobs } from '../../src/database/jobs.ts';
import { findDueMaintenance, hastenMaintenance, moveMaintenanceOn } from '../../src/database/maintenance.ts';
import { ClientPoints } from '../../src/database/points.ts';
import { ClientPrefixes } from '../../src/database/prefixes.ts';
import { holdPoint, livePoints, releaseHolds } from '../../src/database/restore-points.ts';
import { confirmPoints, finishPoint, markPoints, planNow, unmarkPoints } from '../../src/database/retention.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { describeOnBoth } from './both.ts';
import { expectUsesIndex } from './explain.ts';
import { insertPointOf, jobRow, ownMaintenance, statesOf } from './retention-rows.ts';
import { insertJob, insertJobs, insertRun, type TestJob } from './rows.ts';

const KEEP_TWO = { retention_mode: 'keep_last_n', retention_value: 2 } as const;
const HOUR = 3_600_000;

describeOnBoth('retention in the database', (current) => {
  const database = () => current().database;
  const jobs = () => database().knex('s3_cloudbackup_jobs');

  /** A job with four points of which two go. */
  async function scene(columns: Readonly<Record<string, unknown>> = KEEP_TWO) {
    const job = await insertJob(database(), { stored_bytes: 40, ...columns });
    const points: string[] = [];
    for (const generation of [1, 2, 3, 4]) points.push(await insertPointOf(database(), job, generation));
    const lease = await ownMaintenance(database(), job);
    return { job, points, lease, oldest: points.slice(0, 2) };
  }

  const plan = async (job: TestJob) => await planNow(database(), database().knex, job.id, null);
  const mark = async (s: Awaited<ReturnType<typeof scene>>, uuids = s.oldest) =>
    await markPoints(database(), s.lease, s.job.id, uuids);
  const confirm = async (s: Awaited<ReturnType<typeof scene>>, uuids = s.oldest) =>
    await confirmPoints(database(), s.lease, s.job.id, uuids, null);

  describe('points', () => {
    it('are marked, confirmed and finished once, and the job holds less, never less than nothing', async () => {
      const s = await scene();
      expect((await plan(s.job)).remove).toEqual(s.oldest);
      expect(await mark(s)).toHaveLength(2);
      expect(await mark(s)).toHaveLength(2);
      expect(
        await holdPoint(database(), { pointId: await firstId(s.oldest[0]), runUuid: v7(), purpose: 'base', ttlMs: 1 }),
      ).toBeNull();
      expect((await confirm(s)).sort()).toEqual([...s.oldest].sort());
      expect(await confirm(s)).toHaveLength(2);
      const audited = await database().knex('s3_cloudbackup_audit').where('action', 'points.deleted');
      expect(audited).toHaveLength(1);
      await finishPoint(database(), s.lease, s.job.id, s.oldest[0] ?? '', 15);
      await finishPoint(database(), s.lease, s.job.id, s.oldest[0] ?? '', 15);
      expect((await jobRow(database(), s.job))['stored_bytes']).toBe(25);
      await finishPoint(database(), s.lease, s.job.id, s.oldest[1] ?? '', 1_000);
      expect((await jobRow(database(), s.job))['stored_bytes']).toBe(0);
      expect(await statesOf(database(), s.job)).toEqual(['pruned', 'pruned', 'kept', 'kept']);
    });

    it('stay where somebody holds or pinned them, and come back where the plan says so', async () => {
      const s = await scene();
      const hold = await holdPoint(database(), {
        pointId: await firstId(s.oldest[0]),
        runUuid: v7(),
        purpose: 'restore',
        ttlMs: 60_000,
      });
      expect(await mark(s)).toEqual([s.oldest[1]]);
      await database().transaction((trx) => new ClientPoints(database(), 1).pin(trx, s.oldest[1] ?? '', 'ada'));
      expect(await confirm(s)).toEqual([]);
      expect((await plan(s.job)).unmark).toEqual([s.oldest[1]]);
      await unmarkPoints(database(), s.lease, s.job.id, s.oldest);
      expect(await statesOf(database(), s.job)).toEqual(['kept', 'kept', 'kept', 'kept']);
      await database().transaction((trx) => releaseHolds(trx, [hold ?? '']));
      expect(await mark(s)).toEqual([s.oldest[0]]);
    });

    it('are not confirmed by a plan that has become old: retention raised, frozen, or the job deleted meanwhile', async () => {
      for (const change of [
        { retention_value: 3 },
        { retention_mode: 'none', retention_value: null },
        { frozen_at: '2026-01-01 00:00:00.000' },
        { status: 'deleted', data_state: 'grace', data_delete_at: '2126-01-01 00:00:00.000' },
      ]) {
        const s = await scene();
        await mark(s);
        await jobs().where('id', s.job.id).update(change);
        const confirmed = await confirm(s);
        expect(confirmed).toEqual(change.retention_value === 3 ? [s.oldest[0]] : []);
        expect((await plan(s.job)).unmark).toEqual(change.retention_value === 3 ? [s.oldest[1]] : s.oldest);
      }
    });

    it('are changed by nobody who has lost the run', async () => {
      const s = await scene();
      await mark(s);
      await ownMaintenance(database(), s.job);
      const lost = { code: 'ERR_LEASE_LOST' };
      await expect(mark(s)).rejects.toMatchObject(lost);
      await expect(confirm(s)).rejects.toMatchObject(lost);
      await expect(unmarkPoints(database(), s.lease, s.job.id, s.oldest)).rejects.toMatchObject(lost);
      await expect(finishPoint(database(), s.lease, s.job.id, s.oldest[0] ?? '', 1)).rejects.toMatchObject(lost);
      expect(await statesOf(database(), s.job)).toEqual(['marked', 'marked', 'kept', 'kept']);
    });

    it('all go with the data of the job, pinned ones too, but none that a restore still holds', async () => {
      const s = await scene({
        ...KEEP_TWO,
        status: 'deleted',
        data_state: 'deleting',
        frozen_at: '2026-01-01 00:00:00.000',
      });
      await database()
        .knex('s3_cloudbackup_restore_points')
        .where('uuid', s.points[3])
        .update({ pinned_at: '2026-01-01 00:00:00.000' });
      await database().knex('s3_cloudbackup_restore_points').where('uuid', s.points[2]).update({ holds: 1 });
      expect((await plan(s.job)).remove).toEqual(s.points);
      await mark(s, s.points);
      await confirm(s, s.points);
      expect(await statesOf(database(), s.job)).toEqual(['deleting', 'deleting', 'kept', 'deleting']);
    });

    it('with a retention that cannot be read, all stay', async () => {
      const s = await scene({ retention_mode: 'keep_last_n', retention_value: 0 });
      expect((await plan(s.job)).remove).toEqual([]);
    });
  });

  describe('races', () => {
    it('a hold and a mark: one of them, never both', async () => {
      for (let round = 0; round < 5; round += 1) {
        const s = await scene();
        const pointId = await firstId(s.oldest[0]);
        const [hold] = await Promise.all([
          holdPoint(database(), { pointId, runUuid: v7(), purpose: 'restore', ttlMs: 60_000 }),
          mark(s),
        ]);
        const state = (await statesOf(database(), s.job))[0];
        expect(state).toBe(hold === null ? 'marked' : 'kept');
      }
    });

    it('a pin and a confirmation: what is pinned is not deleted, what is being deleted is not pinned', async () => {
      for (let round = 0; round < 5; round += 1) {
        const s = await scene();
        await mark(s);
        const points = new ClientPoints(database(), 1);
        const [pinned] = await Promise.all([
          database()
            .transaction((trx) => points.pin(trx, s.oldest[0] ?? '', 'ada'))
            .then(
              () => true,
              () => false,
            ),
          confirm(s),
        ]);
        expect((await statesOf(database(), s.job))[0]).toBe(pinned ? 'marked' : 'deleting');
      }
    });

    it('two pruners: one of them has the run, the other changes nothing', async () => {
      const s = await scene();
      const second = await ownMaintenance(database(), s.job);
      const results = await Promise.allSettled([
        mark(s),
        markPoints(database(), second, s.job.id, s.oldest),
        confirm(s),
        confirmPoints(database(), second, s.job.id, s.oldest, null),
      ]);
      expect(results[0]?.status).toBe('rejected');
      expect(results[1]?.status).toBe('fulfilled');
      expect(results[2]?.status).toBe('rejected');
      await confirmPoints(database(), second, s.job.id, s.oldest, null);
      await Promise.all([1, 2].map(async () => await finishPoint(database(), second, s.job.id, s.oldest[0] ?? '', 10)));
      expect((await jobRow(database(), s.job))['stored_bytes']).toBe(30);
      expect((await livePoints(database(), s.job.id)).map((point) => point.state)).toEqual([
        'deleting',
        'kept',
        'kept',
      ]);
    });

    it('undo and the end of the grace: either all is back, or all goes', async () => {
      for (let round = 0; round < 5; round += 1) {
        const s = await scene({ status: 'deleted', data_state: 'grace', data_delete_at: '2026-01-01 00:00:00.000' });
        const clientJobs = new ClientJobs(database(), 1);
        const [back, becomes] = await Promise.all([
          database().transaction((trx) => clientJobs.bringBack(trx, s.job.uuid)),
          beginDeletingData(database(), s.lease, s.job.id),
        ]);
        const row = await jobRow(database(), s.job);
        expect([row['data_state'], row['status']]).toEqual(back ? ['kept', 'paused'] : ['deleting', 'deleted']);
        expect(becomes).toBe(row['data_state']);
      }
    });
  });

  describe('the data of a deleted job', () => {
    const zombieMs = 75_000;

    it('is safe until its grace is over, and cannot be brought back afterwards', async () => {
      const s = await scene({ status: 'deleted', data_state: 'grace', data_delete_at: '2126-01-01 00:00:00.000' });
      expect(await beginDeletingData(database(), s.lease, s.job.id)).toBe('grace');
      await jobs().where('id', s.job.id).update({ data_delete_at: '2026-01-01 00:00:00.000' });
      expect(await beginDeletingData(database(), s.lease, s.job.id)).toBe('deleting');
      expect(await database().transaction((trx) => new ClientJobs(database(), 1).bringBack(trx, s.job.uuid))).toBe(
        false,
      );
    });

    it('is gone, with prefix and keys, after an empty listing that no late worker can have missed', async () => {
      const job = await insertJob(database(), { status: 'deleted', data_state: 'deleting' });
      const place = { bucketId: 1, bucketName: 'backup', prefix: `e3-${job.uuid}/` };
      const prefixes = new ClientPrefixes(database(), 1);
      await database().transaction((trx) => prefixes.take(trx, place, { kind: 'job', uuid: job.uuid }));
      const key = {
        client_id: 1,
        owner_uuid: job.uuid,
        purpose: 'crypt',
        value_enc: 'x',
        created_at: '2026-01-01 00:00:00.000',
      };
      await database()
        .knex('s3_cloudbackup_keys')
        .insert({ uuid: v7(), ...key });
      const point = await insertPointOf(database(), job, 1);
      const lease = await ownMaintenance(database(), job);
      const listedAt = '2026-06-01 12:00:00.000';
      const end = async () => await endDeletingData(database(), { lease, job, listedAt, zombieMs });

      expect(await end()).toBe('too_early');
      await database().knex('s3_cloudbackup_restore_points').where('uuid', point).update({ state: 'pruned' });
      const late = await insertRun(database(), job, {
        status: 'failed',
        claim: 1,
        finished_at: toDatabaseTime(Date.UTC(2026, 5, 1, 12) - zombieMs + 1),
      });
      expect(await end()).toBe('too_early');
      await database()
        .knex('s3_cloudbackup_runs')
        .where('id', late.id)
        .update({ finished_at: toDatabaseTime(Date.UTC(2026, 5, 1, 12) - zombieMs) });
      expect(await end()).toBe('gone');
      expect(await jobRow(database(), job)).toMatchObject({
        data_state: 'gone',
        maintenance_at: null,
        stored_bytes: 0,
      });
      expect(await database().knex('s3_cloudbackup_keys').where('owner_uuid', job.uuid)).toEqual([]);
      const other = await insertJob(database());
      await database().transaction((trx) => prefixes.take(trx, place, { kind: 'job', uuid: other.uuid }));
    });

    it('needs no worker when no run was ever claimed', async () => {
      const gone = { status: 'deleted', data_state: 'grace', data_delete_at: '2026-01-01 00:00:00.000' };
      const [never, once] = [await insertJob(database(), gone), await insertJob(database(), gone)];
      await insertRun(database(), never, { status: 'cancelled' });
      await insertRun(database(), once, { status: 'failed', claim: 1 });
      const drop = async (job: TestJob) =>
        await database().transaction((trx) => dropNeverWritten(database(), trx, job.id));
      expect(await drop(once)).toBe(false);
      expect(await drop(never)).toBe(true);
      expect((await jobRow(database(), never))['data_state']).toBe('gone');
    });
  });

  it('due maintenance is taken once, by whoever comes first', async () => {
    const job = await insertJob(database(), { maintenance_at: '2026-01-01 00:00:00.000' });
    await insertJob(database(), { maintenance_at: '2026-01-01 00:00:00.000', agent_uuid: v7() });
    await insertJob(database(), { maintenance_at: null });
    const now = Date.UTC(2026, 5, 1);
    const due = await findDueMaintenance(database(), 'kept', now, null, 10);
    expect(due.map((one) => one.uuid)).toEqual([job.uuid]);
    const taken = await Promise.all(
      [1, 2, 3].map(async () => await database().transaction((trx) => moveMaintenanceOn(trx, due[0]!, now + HOUR))),
    );
    expect(taken.filter(Boolean)).toHaveLength(1);
    await hastenMaintenance(database(), database().knex, job.id, -1);
    expect((await jobRow(database(), job))['maintenance_at']).toBe(toDatabaseTime(now + HOUR));
  });

  // Fills tables with thousands of rows, so it takes a while.
  it('asks nothing that an index does not answer', async () => {
    await insertJobs(database(), 3_000, (index) => ({
      maintenance_at: toDatabaseTime(Date.UTC(2026, 5, 1) + index),
      ...(index % 3 === 0 ? { status: 'deleted', data_state: 'gone' } : { status: 'active', data_state: 'kept' }),
    }));
    const rows = (await jobs().select('id', 'uuid', 'client_id')) as { id: number; uuid: string; client_id: number }[];
    await database().knex.batchInsert(
      's3_cloudbackup_runs',
      rows.map((row) => ({
        uuid: v7(),
        job_id: row.id,
        job_uuid: row.uuid,
        client_id: row.client_id,
        status: 'success',
        claim: 1,
        finished_at: '2026-01-01 00:00:00.000',
        created_at: '2026-01-01 00:00:00.000',
        updated_at: '2026-01-01 00:00:00.000',
      })),
      200,
    );
    const runs = (await database().knex('s3_cloudbackup_runs').select('id', 'uuid', 'job_id', 'client_id')) as {
      id: number;
      uuid: string;
      job_id: number;
      client_id: number;
    }[];
    await database().knex.batchInsert(
      's3_cloudbackup_restore_points',
      runs.map((run) => ({
        uuid: v7(),
        client_id: run.client_id,
        job_id: run.job_id,
        run_id: run.id,
        run_uuid: run.uuid,
        engine: 'sync',
        status: 'success',
        generation: 1,
        dest_bucket_id: 1,
        dest_bucket: 'b',
        dest_prefix: 'p/',
        created_at: '2026-01-01 00:00:00.000',
      })),
      200,
    );
    const seen = new Map<string, readonly unknown[]>();
    const listen = (query: { sql: string; bindings: readonly unknown[] }): void => {
      if (/^(select|update|delete)/i.test(query.sql.trim())) seen.set(query.sql, query.bindings);
    };
    const s = await scene();
    database().knex.on('query', listen);
    await mark(s);
    await unmarkPoints(database(), s.lease, s.job.id, s.oldest);
    await mark(s);
    await confirm(s);
    await finishPoint(database(), s.lease, s.job.id, s.oldest[0] ?? '', 1);
    await findDueMaintenance(database(), 'kept', Date.UTC(2026, 0, 1), { maintenanceAt: 1, id: 1 }, 10);
    await beginDeletingData(database(), s.lease, s.job.id);
    await endDeletingData(database(), { lease: s.lease, job: s.job, listedAt: '2026-01-01 00:00:00.000', zombieMs: 1 });
    await database().transaction((trx) => dropNeverWritten(database(), trx, s.job.id));
    await new ClientPoints(database(), 1).live(s.job.id, 100);
    const clientJobs = new ClientJobs(database(), 1);
    await clientJobs.listDeleted({ limit: 10, after: s.job.uuid });
    await database().transaction((trx) => clientJobs.markDeleted(trx, s.job.uuid, { graceMs: 1 }));
    await database().transaction((trx) => clientJobs.bringBack(trx, s.job.uuid));
    database().knex.removeListener('query', listen);
    const problems: string[] = [];
    for (const [sql, bindings] of seen) {
      if (!/\bfrom\b|\bupdate\b/i.test(sql)) continue;
      await expectUsesIndex(
        current(),
        { sql, bindings },
        { allowed: ['s3_cloudbackup_gates', 's3_cloudbackup_audit', 's3_cloudbackup_settings'] },
      ).catch((error: unknown) => problems.push(String(error)));
    }
    expect(seen.size).toBeGreaterThan(12);
    expect(problems).toEqual([]);
  }, 120_000);

  async function firstId(uuid: string | undefined): Promise<number> {
    const row = (await database()
      .knex('s3_cloudbackup_restore_points')
      .where('uuid', uuid ?? '')
      .first('id')) as { id: number };
    return Number(row.id);
  }
});
