import { expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { beginDeletingData } from '../../src/database/job-data.ts';
import { applyPending, findDueMaintenance } from '../../src/database/maintenance.ts';
import { holdPoint, livePoints, renewHolds } from '../../src/database/restore-points.ts';
import { planNow } from '../../src/database/retention.ts';
import type { IndexedPoint, ReindexPlan } from '../../src/layout/reindex.ts';
import { describeOnBoth } from './both.ts';
import { reindex } from './reindexing.ts';
import { insertPointOf, ownMaintenance, statesOf } from './retention-rows.ts';
import { insertJob, insertRun, type TestJob } from './rows.ts';

describeOnBoth('points after a reindex', (current) => {
  /** The point of this run, as its manifest in the bucket tells it. */
  function found(job: TestJob, run: string): IndexedPoint {
    const place = { run, claim: 'c1-00000000', generation: 3 };
    const counts = { files: 5, bytes: 50, stored: 5, carried: 0, failed: 0 };
    const manifest = {
      ...{ format: 1 as const, job: job.uuid, ...place, parent: null, created_at: '2026-05-04T02:00:00.123Z' },
      ...{ source_type: 'sftp', complete: true, frozen: false, ...counts, chunks: [], key_id: '00000000', mac: '' },
    };
    return { manifest, sha256: 'a'.repeat(64), key: 'manifests/x.json', state: 'kept', known: null };
  }

  it('are those that the bucket holds, also where one had been given up', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const uuid = await insertPointOf(database, job, 3);
    const [point] = await livePoints(database, job.id);
    await reindex(current().database, job, { lost: [uuid] });
    expect(await statesOf(database, job)).toEqual(['pruned']);
    await reindex(current().database, job, { points: [found(job, point?.runUuid ?? '')] });
    expect(await livePoints(database, job.id)).toMatchObject([
      { uuid, state: 'kept', runUuid: point?.runUuid, generation: 3, manifestSha256: 'a'.repeat(64), complete: true },
    ]);
  });

  it('are held by nobody who held them before they were given up', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const uuids = [await insertPointOf(database, job, 1), await insertPointOf(database, job, 2)];
    const tokens: string[] = [];
    for (const { id } of await livePoints(database, job.id)) {
      const token = await holdPoint(database, { pointId: id, runUuid: v7(), purpose: 'restore', ttlMs: 60_000 });
      if (token !== null) tokens.push(token);
    }
    expect(await renewHolds(database, tokens, 60_000)).toBe(2);
    await reindex(current().database, job, { lost: uuids.slice(0, 1), deleting: uuids.slice(1) });
    // The restores that read them are told with their next heartbeat.
    expect(await renewHolds(database, tokens, 60_000)).toBe(0);
    expect(await statesOf(database, job)).toEqual(['pruned', 'deleting']);
  });

  it('are restored by nobody who began in another time: a copy of the database may hold restores that are long over', async () => {
    const { database } = current();
    const job = await insertJob(database);
    const other = await insertJob(database);
    const waiting = await insertRun(database, job, { kind: 'restore', status: 'queued' });
    const silent = { kind: 'restore', status: 'running', lease_token: 'x', lease_expires_at: database.now(-60_000) };
    const lost = await insertRun(database, job, silent);
    const alive = await insertRun(database, job, { ...silent, lease_expires_at: database.now(60_000) });
    const elsewhere = await insertRun(database, other, silent);
    await reindex(current().database, job, {});
    const status = async (run: { id: number }): Promise<unknown> =>
      ((await database.knex('s3_cloudbackup_runs').where('id', run.id).first('status')) as { status: string }).status;
    expect([await status(waiting), await status(lost)]).toEqual(['cancelled', 'failed']);
    expect([await status(alive), await status(elsewhere)]).toEqual(['running', 'running']);
  });

  it('do not go at once because the database is a copy from before somebody brought their job back', async () => {
    const { database } = current();
    const over = { status: 'deleted', data_state: 'grace', data_delete_at: database.now(-86_400_000) };
    const job = await insertJob(database, over);
    await insertPointOf(database, job, 1);
    await reindex(current().database, job, {});
    const lease = await ownMaintenance(database, job);
    expect(await beginDeletingData(database, lease, job.id)).toBe('grace');
    expect(await statesOf(database, job)).toEqual(['kept']);
  });

  it('go by the retention of an older copy only after a cool-off, in which somebody can change it', async () => {
    const { database } = current();
    const job = await insertJob(database, { retention_mode: 'keep_last_n', retention_value: 1 });
    for (const generation of [1, 2, 3]) await insertPointOf(database, job, generation);
    const going = async (): Promise<number> => (await planNow(database, database.knex, job.id, null)).remove.length;
    expect(await going()).toBe(2);
    await reindex(current().database, job, {});
    expect(await going()).toBe(2);
    const forget = async (): Promise<Partial<ReindexPlan>> => {
      const { uuid } = await insertRun(database, job, { status: 'success', claim: 1 });
      return { points: [found(job, uuid)] };
    };
    await reindex(current().database, job, await forget());
    expect(await going()).toBe(0);
    const row = database.knex('s3_cloudbackup_jobs').where('id', job.id);
    await row.clone().update({ retention_acts_at: '2999-01-01 00:00:00.000' });
    await reindex(current().database, job, await forget());
    expect(await row.clone().first('retention_acts_at')).toEqual({ retention_acts_at: '2999-01-01 00:00:00.000' });
    await row.clone().update({ retention_acts_at: null });
    await reindex(current().database, job, await forget());
    const [due] = await findDueMaintenance(database, 'kept', Date.now() + 8 * 86_400_000, null, 10);
    expect(due?.pendingActsAt).toBeGreaterThan(Date.now() + 6 * 86_400_000);
    await database.transaction(async (trx) => due && (await applyPending(database, trx, due)));
    expect(await going()).toBe(5);
  });
});
