import { expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { listAudit } from '../../src/database/audit.ts';
import { ClientJobs } from '../../src/database/jobs.ts';
import { ClientKeys, findKeys, takeInKeys } from '../../src/database/keys.ts';
import type { WrappedKeys } from '../../src/layout/crypt-keys.ts';
import { describeOnBoth } from './both.ts';
import { expectUsesIndex } from './explain.ts';
import { insertJob, insertJobs, insertRun } from './rows.ts';

describeOnBoth('the keys of encrypted jobs', (current) => {
  const database = () => current().database;
  const wrapped = (): WrappedKeys => ({ key: v7(), version: 1, value: 'v2:0123abcd:AAAA' });

  it('are made once for a job, and read by its client only', async () => {
    const job = await insertJob(database(), { client_id: 7 });
    const keys = new ClientKeys(database(), 7);
    const first = wrapped();
    await database().transaction((trx) => keys.ensure(trx, job.uuid, () => first));
    await database().transaction((trx) => keys.ensure(trx, job.uuid, wrapped));
    expect(await keys.get(job.uuid)).toEqual({ ...first, kitDownloadedAt: null });
    expect(await findKeys(database().knex, job.uuid)).toEqual({ ...first, kitDownloadedAt: null });
    const stranger = new ClientKeys(database(), 8);
    await expect(stranger.get(job.uuid)).rejects.toMatchObject({ code: 'ERR_CRYPT_KEYS_MISSING' });
    await database().transaction((trx) => stranger.kitDownloaded(trx, job.uuid));
    expect((await keys.get(job.uuid)).kitDownloadedAt).toBeNull();
  });

  it('remember the first download of the kit, and their job shows it', async () => {
    const job = await insertJob(database(), { client_id: 7, encryption_enabled: 1 });
    const keys = new ClientKeys(database(), 7);
    const jobs = new ClientJobs(database(), 7);
    await database().transaction((trx) => keys.ensure(trx, job.uuid, wrapped));
    expect((await jobs.get(job.uuid)).kit_downloaded_at).toBeNull();
    await database().transaction((trx) => keys.kitDownloaded(trx, job.uuid));
    const first = (await jobs.get(job.uuid)).kit_downloaded_at;
    expect(first).toEqual(expect.any(Number));
    await database().transaction((trx) => keys.kitDownloaded(trx, job.uuid));
    expect((await jobs.get(job.uuid)).kit_downloaded_at).toBe(first);
  });

  it('that lie in the bucket are taken in where the database has none, and never replace others', async () => {
    const job = await insertJob(database(), { client_id: 7 });
    const found = wrapped();
    expect(await takeInKeys(database(), job, found)).toBe(true);
    expect(await takeInKeys(database(), job, found)).toBe(true);
    expect(await findKeys(database().knex, job.uuid)).toMatchObject(found);
    expect((await new ClientJobs(database(), 7).get(job.uuid)).encryption_enabled).toBe(true);
    await insertRun(database(), job, { status: 'success', claim: 1 });
    expect(await takeInKeys(database(), job, wrapped())).toBe(false);
    const other = await insertJob(database(), { client_id: 7 });
    expect(await takeInKeys(database(), other, found)).toBe(false);
    expect((await new ClientJobs(database(), 7).get(other.uuid)).encryption_enabled).toBe(false);
  });

  it('that lie in the bucket replace those of a job that has never written with its own', async () => {
    const job = await insertJob(database(), { client_id: 7, encryption_enabled: 1 });
    const keys = new ClientKeys(database(), 7);
    const made = wrapped();
    await database().transaction((trx) => keys.ensure(trx, job.uuid, () => made));
    await database().transaction((trx) => keys.kitDownloaded(trx, job.uuid));
    await insertRun(database(), job, { status: 'cancelled' });
    await insertRun(database(), job, { status: 'success', kind: 'maintenance', claim: 1 });
    const refused = { status: 'failed', claim: 1, error_code: 'ERR_CRYPT_KEYS_OTHER' };
    await insertRun(database(), job, refused);
    const found = wrapped();
    expect(await takeInKeys(database(), job, found)).toBe(true);
    expect(await takeInKeys(database(), job, found)).toBe(true);
    expect(await keys.get(job.uuid)).toEqual({ ...found, kitDownloadedAt: null });
    const audited = (await listAudit(database(), { clientId: 7 })).entries.filter(
      ({ targetId }) => targetId === job.uuid,
    );
    expect(audited).toMatchObject([{ action: 'job.keys_replaced', clientId: 7 }]);
    expect(JSON.parse(audited[0]?.paramsJson ?? '')).toEqual({ from: made.key, to: found.key, kit_downloaded: true });

    // Somebody else's row has the uuid: what the job had is still there.
    const other = await insertJob(database(), { client_id: 7, encryption_enabled: 1 });
    const others = wrapped();
    await database().transaction((trx) => keys.ensure(trx, other.uuid, () => others));
    expect(await takeInKeys(database(), other, found)).toBe(false);
    expect(await keys.get(other.uuid)).toMatchObject(others);
  });

  it.each([
    ['a run that was claimed', { status: 'failed', claim: 1, error_code: 'ERR_DEST_NETWORK' }, null],
    ['a run that was claimed twice', { status: 'failed', claim: 2, error_code: 'ERR_CRYPT_KEYS_OTHER' }, null],
    ['a run under way', { status: 'running', claim: 1 }, null],
    ['a live point', { status: 'success' }, { state: 'marked' }],
  ])('that lie in the bucket never replace those of a job that has %s', async (_, run, point) => {
    const job = await insertJob(database(), { client_id: 7, encryption_enabled: 1 });
    const own = wrapped();
    const keys = new ClientKeys(database(), 7);
    await database().transaction((trx) => keys.ensure(trx, job.uuid, () => own));
    const { id, uuid } = await insertRun(database(), job, run);
    if (point !== null) {
      await database()
        .knex('s3_cloudbackup_restore_points')
        .insert({
          ...{
            uuid: v7(),
            client_id: 7,
            job_id: job.id,
            run_id: id,
            run_uuid: uuid,
            engine: 'sync',
            status: 'success',
          },
          ...{ generation: 1, dest_bucket_id: 1, dest_bucket: 'b', dest_prefix: 'p/' },
          ...{ created_at: '2026-01-01 00:00:00.000', ...point },
        });
    }
    expect(await takeInKeys(database(), job, wrapped())).toBe(false);
    expect(await keys.get(job.uuid)).toMatchObject(own);
  });

  it('are found by an index, also for a list of jobs', async () => {
    await insertJobs(database(), 3_000);
    const rows = Array.from({ length: 3_000 }, () => ({
      uuid: v7(),
      client_id: 1,
      owner_uuid: v7(),
      purpose: 'crypt',
      value_enc: 'x',
      created_at: '2026-01-01 00:00:00.000',
    }));
    await database().knex.batchInsert('s3_cloudbackup_keys', rows, 200);
    await expectUsesIndex(current(), new ClientJobs(database(), 1).listQuery({ limit: 50 }));
  });
});
