import { describe, expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { AllRuns } from '../../src/database/admin.ts';
import { ClientCommands } from '../../src/database/commands.ts';
import { ClientJobs } from '../../src/database/jobs.ts';
import { ClientPoints } from '../../src/database/points.ts';
import { ClientPrefixes } from '../../src/database/prefixes.ts';
import { ClientRuns } from '../../src/database/runs.ts';
import { ClientSettings } from '../../src/database/settings.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import { describeOnBoth } from './both.ts';
import { expectUsesIndex } from './explain.ts';
import { insertJob, insertJobs, insertRun } from './rows.ts';

const DAY = 86_400_000;

describeOnBoth('the rows of a client', (current) => {
  const database = () => current().database;

  async function insertPoint(job: { id: number; uuid: string; clientId: number }, generation: number): Promise<string> {
    const run = await insertRun(database(), job, { status: 'success' });
    const uuid = v7();
    await database()
      .knex('s3_cloudbackup_restore_points')
      .insert({
        uuid,
        client_id: job.clientId,
        job_id: job.id,
        run_id: run.id,
        run_uuid: run.uuid,
        engine: 'sync',
        status: 'success',
        generation,
        dest_bucket_id: 1,
        dest_bucket: 'b',
        dest_prefix: 'p/',
        created_at: toDatabaseTime(Date.UTC(2026, 0, generation)),
      });
    return uuid;
  }

  describe('jobs', () => {
    it('come back as they were written: times, flags, numbers, texts of any language', async () => {
      const jobs = new ClientJobs(database(), 7);
      const uuid = v7();
      const nextRunAt = Date.UTC(2026, 2, 29, 1, 30, 0, 123);
      await database().transaction(async (trx) => {
        await jobs.insert(trx, {
          uuid,
          s3_user_id: 3,
          name: '写真 😀 – "Łódź"',
          source_type: 'sftp',
          source_config_enc: 'v2:…',
          dest_bucket_id: 2 ** 40,
          dest_bucket_name: 'bucket',
          dest_prefix: 'a/b/',
          next_run_at: nextRunAt,
          catch_up: false,
          notify_on_success: true,
          notify_on_failure: null,
        });
      });
      expect(await jobs.get(uuid)).toMatchObject({
        uuid,
        name: '写真 😀 – "Łódź"',
        dest_bucket_id: 2 ** 40,
        next_run_at: nextRunAt,
        catch_up: false,
        notify_on_success: true,
        notify_on_warning: null,
        notify_on_failure: null,
        max_attempts: 3,
        layout_fixed: false,
        frozen_at: null,
      });
    });

    it('are deleted and moved only while no run speaks against it', async () => {
      const mine = await insertJob(database(), { client_id: 7 });
      const jobs = new ClientJobs(database(), 7);
      const place = { dest_bucket_id: 9, dest_bucket_name: 'n', dest_prefix: 'x/', s3_user_id: 1 };
      const inTransaction = <T>(
        work: Parameters<typeof jobs.markDeleted>[0] extends infer Trx ? (trx: Trx) => Promise<T> : never,
      ) => database().transaction((trx) => work(trx));
      expect(await inTransaction((trx) => jobs.moveIfNeverRun(trx, mine.uuid, place))).toBe(true);
      const run = await insertRun(database(), mine);
      expect((await jobs.get(mine.uuid)).layout_fixed).toBe(true);
      expect(await inTransaction((trx) => jobs.moveIfNeverRun(trx, mine.uuid, place))).toBe(false);
      expect(await inTransaction((trx) => jobs.markDeleted(trx, mine.uuid))).toBe(false);
      await database().transaction((trx) => new ClientRuns(database(), 7).cancel(trx, run.uuid, { force: false }));
      expect(await inTransaction((trx) => jobs.markDeleted(trx, mine.uuid))).toBe(true);
      expect(await jobs.find(mine.uuid)).toBeNull();
      expect(await jobs.rowId(mine.uuid)).toBe(mine.id);
    });

    it('have their runs counted by day and status', async () => {
      const mine = await insertJob(database(), { client_id: 7 });
      const start = Date.UTC(2026, 0, 10);
      for (const [day, status] of [
        [0, 'success'],
        [0, 'success'],
        [1, 'failed'],
        [2, 'success'],
        [-1, 'failed'],
      ] as const) {
        const created_at = toDatabaseTime(start + day * DAY + 3600_000);
        await insertRun(database(), mine, { status, created_at });
      }
      await insertRun(database(), mine, { status: 'failed', kind: 'restore', created_at: toDatabaseTime(start) });
      const bounds = [start, start + DAY, start + 2 * DAY];
      const counts = await new ClientJobs(database(), 7).countRuns([mine.id], bounds);
      const sorted = [...counts].sort((one, other) => one.part - other.part);
      expect(sorted).toEqual([
        { job_id: mine.id, part: 1, status: 'success', runs: 2 },
        { job_id: mine.id, part: 2, status: 'failed', runs: 1 },
        { job_id: mine.id, part: 3, status: 'success', runs: 1 },
      ]);
    });

    it('know their newest run that was not skipped', async () => {
      const [one, two] = [await insertJob(database()), await insertJob(database())];
      await insertRun(database(), one, { status: 'failed', created_at: '2026-01-01 00:00:00.000' });
      const last = await insertRun(database(), one, { status: 'success', created_at: '2026-01-02 00:00:00.000' });
      await insertRun(database(), one, {
        status: 'cancelled',
        error_code: 'ERR_SLOT_OVERLAP',
        created_at: '2026-01-03 00:00:00.000',
      });
      await insertRun(database(), one, { kind: 'restore', status: 'failed', created_at: '2026-01-04 00:00:00.000' });
      const latest = await new ClientRuns(database(), 1).latest([one.id, two.id]);
      expect([...latest].map(([id, run]) => [id, run.uuid])).toEqual([[one.id, last.uuid]]);
    });
  });

  describe('folders', () => {
    const place = (prefix: string, bucketId = 1) => ({ bucketId, bucketName: `b${bucketId}`, prefix });

    it('go to one owner each, whoever comes at the same time', async () => {
      const take = (prefix: string, client: number) =>
        database().transaction((trx) =>
          new ClientPrefixes(database(), client).take(trx, place(prefix), { kind: 'job', uuid: v7() }),
        );
      const wanted = ['a/', 'a/b/', 'a/', 'a/b/c/', 'A/', 'ab/', 'a/b/', '\u00e9/', 'e\u0301/'];
      const results = await Promise.allSettled(wanted.map((prefix, index) => take(prefix, index % 3)));
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'PREFIX_TAKEN' });
      }
      const taken = (await database().knex('s3_cloudbackup_prefixes').pluck('prefix')) as string[];
      expect(taken).toEqual(expect.arrayContaining(['A/', 'ab/', '\u00e9/', 'e\u0301/']));
      expect(taken.filter((prefix) => prefix.startsWith('a/'))).toHaveLength(1);
      await database().transaction((trx) =>
        new ClientPrefixes(database(), 1).take(trx, place('a/', 2), { kind: 'job', uuid: v7() }),
      );
    });

    it('of repositories without a slash at the end count too', async () => {
      await database()
        .knex('s3_cloudbackup_prefixes')
        .insert({
          prefix_sha256: '0'.repeat(64),
          bucket_id: 1,
          bucket_name: 'b1',
          prefix: 'agent-1',
          owner_kind: 'repository',
          owner_uuid: v7(),
          client_id: 1,
          taken_at: toDatabaseTime(0),
        });
      const take = (prefix: string) =>
        database().transaction((trx) =>
          new ClientPrefixes(database(), 1).take(trx, place(prefix), { kind: 'job', uuid: v7() }),
        );
      await expect(take('agent-1/x/')).rejects.toMatchObject({ code: 'PREFIX_TAKEN' });
      await take('agent-10/');
    });
  });

  describe('points', () => {
    it('are listed from the newest generation, kept ones only, page by page', async () => {
      const mine = await insertJob(database(), { client_id: 7 });
      const uuids: string[] = [];
      for (const generation of [1, 2, 3, 4]) uuids.push(await insertPoint(mine, generation));
      await database().knex('s3_cloudbackup_restore_points').where('uuid', uuids[2]).update({ state: 'marked' });
      const points = new ClientPoints(database(), 7);
      const listed = async (before?: string) =>
        (await points.list({ jobId: mine.id, before, limit: 2 })).map((point) => point.uuid);
      expect(await listed()).toEqual([uuids[3], uuids[1]]);
      expect(await listed(uuids[1])).toEqual([uuids[0]]);
      expect(await points.get(uuids[0] ?? '')).toMatchObject({ job_uuid: mine.uuid, created_at: Date.UTC(2026, 0, 1) });
      await expect(points.get(uuids[2] ?? '')).rejects.toMatchObject({ code: 'POINT_NOT_FOUND' });
      await expect(new ClientPoints(database(), 8).get(uuids[0] ?? '')).rejects.toMatchObject({
        code: 'POINT_NOT_FOUND',
      });
    });
  });

  describe('settings and commands', () => {
    it('have defaults, and are changed one by one', async () => {
      const settings = new ClientSettings(database(), 7);
      const defaults = await settings.get();
      expect(defaults).toMatchObject({ default_notify_on_success: false, default_notify_on_failure: true });
      await database().transaction((trx) => settings.update(trx, { default_notify_on_success: true }));
      await database().transaction((trx) => settings.update(trx, { default_timezone: 'Asia/Tokyo' }));
      expect(await settings.get()).toEqual({
        ...defaults,
        default_notify_on_success: true,
        default_timezone: 'Asia/Tokyo',
      });
      expect(await new ClientSettings(database(), 8).get()).toEqual(defaults);
    });

    it('of another client are as if they were not there', async () => {
      const uuid = v7();
      const mine = new ClientCommands(database(), 7);
      await mine.leave({ uuid, type: 'test_connection', payloadEnc: 'sealed', expiresInMs: 10_000 });
      expect(await mine.answer(uuid)).toEqual({ status: 'pending', result: {} });
      const others = new ClientCommands(database(), 8);
      await expect(others.answer(uuid)).rejects.toMatchObject({ code: 'COMMAND_NOT_FOUND' });
      await others.abandon(uuid);
      expect((await mine.answer(uuid)).status).toBe('pending');
      await mine.abandon(uuid);
      expect((await mine.answer(uuid)).status).toBe('expired');
    });
  });
});

describeOnBoth(
  'queries over many rows',
  (current) => {
    it('use an index, every one', async () => {
      const test = current();
      const { knex } = test.database;
      await insertJobs(test.database, 4_000);
      const jobs = (await knex('s3_cloudbackup_jobs').select('id', 'uuid', 'client_id as clientId')) as {
        id: number;
        uuid: string;
        clientId: number;
      }[];
      const statuses = ['success', 'success', 'success', 'failed', 'warning'];
      const rows = Array.from({ length: 12_000 }, (_, index) => {
        const job = jobs[index % jobs.length] ?? { id: 0, uuid: '', clientId: 0 };
        return {
          uuid: v7(),
          job_id: job.id,
          job_uuid: job.uuid,
          client_id: job.clientId,
          status: statuses[index % statuses.length] ?? '',
          created_at: toDatabaseTime(Date.UTC(2026, 0, 1) + index * 60_000),
          updated_at: toDatabaseTime(0),
        };
      });
      await knex.batchInsert('s3_cloudbackup_runs', rows, 200);
      const runRows = (await knex('s3_cloudbackup_runs').select('id', 'uuid', 'job_id', 'client_id').limit(4000)) as {
        id: number;
        uuid: string;
        job_id: number;
        client_id: number;
      }[];
      const points = runRows.map((run, index) => ({
        uuid: v7(),
        client_id: run.client_id,
        job_id: run.job_id,
        run_id: run.id,
        run_uuid: run.uuid,
        engine: 'sync',
        status: 'success',
        generation: index,
        dest_bucket_id: 1,
        dest_bucket: 'b',
        dest_prefix: 'p/',
        created_at: toDatabaseTime(0),
      }));
      await knex.batchInsert('s3_cloudbackup_restore_points', points, 200);

      const clientJobs = new ClientJobs(test.database, 5);
      const clientRuns = new ClientRuns(test.database, 5);
      const clientPoints = new ClientPoints(test.database, 5);
      const all = new AllRuns(test.database);
      const [job] = jobs;
      const run = runRows[100];
      const ids = jobs.slice(0, 50).map((one) => one.id);
      const bounds = Array.from({ length: 30 }, (_, index) => Date.UTC(2026, 0, 1 + index));
      const queries = {
        jobs: clientJobs.listQuery({ limit: 51 }),
        'jobs, second page': clientJobs.listQuery({ after: job?.uuid ?? '', limit: 51 }),
        'strips of 50 jobs': clientJobs.countRunsQuery(ids, bounds),
        'last runs of 50 jobs': clientRuns.latestQuery(ids),
        progress: clientRuns.getQuery(run?.uuid ?? ''),
        'runs of a client': clientRuns.listQuery({ limit: 51 }),
        'runs of a client, second page': clientRuns.listQuery({ before: run?.uuid ?? '', limit: 51 }),
        'runs of a job': clientRuns.listQuery({ jobId: job?.id ?? 0, limit: 51 }),
        points: clientPoints.listQuery({ jobId: job?.id ?? 0, limit: 51 }),
        'points, second page': clientPoints.listQuery({
          jobId: job?.id ?? 0,
          before: points[9]?.uuid ?? '',
          limit: 51,
        }),
        'point of a moment': clientPoints.atMomentQuery(job?.id ?? 0, Date.UTC(2026, 0, 1)),
        'restores into the source of a job': new ClientPrefixes(test.database, 5).sourceRestoresQuery(
          knex,
          job?.id ?? 0,
        ),
        'an answer': new ClientCommands(test.database, 5).answerQuery(v7()),
        'all runs': all.listQuery({ limit: 51 }),
        'all runs, second page': all.listQuery({ before: run?.uuid ?? '', limit: 51 }),
        'all runs of a client': all.listQuery({ clientId: 5, limit: 51 }),
        'all failed runs': all.listQuery({ status: 'failed', limit: 51 }),
      };
      const problems: string[] = [];
      for (const [name, query] of Object.entries(queries)) {
        // `page` is the page itself: fifty-one numbers.
        await expectUsesIndex(test, query, { allowed: ['page'] }).catch((error: unknown) =>
          problems.push(`${name}: ${String(error)}`),
        );
      }
      expect(problems).toEqual([]);
    }, 120_000);
  },
  { keepRows: true },
);
