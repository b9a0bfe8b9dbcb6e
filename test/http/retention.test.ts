import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeJob, makePoint, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
let job: string;
let points: string[];

beforeAll(async () => {
  portal = await openPortal();
});
afterAll(async () => await portal.close());

/** A job with five points, a day apart, each of which added ten bytes. */
beforeEach(async () => {
  job = await makeJob(portal);
  points = [];
  for (let age = 5; age > 0; age -= 1) {
    const { point } = await makePoint(portal, job);
    const createdAt = portal.database.now(-age * 86_400_000 + 60_000);
    await rows('restore_points').where('uuid', point).update({ created_at: createdAt, added_bytes: 10, bytes: 20 });
    points.push(point);
  }
  await rows('jobs').where('uuid', job).update({ stored_bytes: 50 });
});

const rows = (table: string) => portal.database.knex(`s3_cloudbackup_${table}`);
const ada = () => portal.as('ada');
const post = async (name: string, fields: Record<string, unknown>) =>
  (await ada().post(name, fields)).body as Record<string, unknown>;
const update = async (fields: Record<string, unknown>) =>
  await post('cloudbackup_update_job', { job_id: job, ...fields });
const read = async (): Promise<Record<string, unknown>> =>
  ((await ada().get('cloudbackup_get_job', { job_id: job })).body as { job: Record<string, unknown> }).job;
const audited = async (action: string): Promise<number> => (await rows('audit').where({ action })).length;

describe('the retention of a job', () => {
  it.each([
    [{ retention_mode: 'keep_last_n', retention_value: 0 }, 'retention_value'],
    [{ retention_mode: 'keep_last_n', retention_value: -3 }, 'retention_value'],
    [{ retention_mode: 'keep_last_n', retention_value: 2.5 }, 'retention_value'],
    [{ retention_mode: 'keep_last_n', retention_value: '1e9' }, 'retention_value'],
    [{ retention_mode: 'keep_days', retention_value: 10 ** 12 }, 'retention_value'],
    [{ retention_mode: 'keep_days' }, 'retention_value'],
    [{ retention_mode: 'forever' }, 'retention_mode'],
    [{ retention_value: 7 }, 'retention_mode'],
    [{ retention_json: '{"daily":7}' }, 'retention_mode'],
    [{ retention_mode: 'tiers', retention_json: '{"daily":0}' }, 'retention_json'],
    [{ retention_mode: 'tiers', retention_json: '{"daily":-1}' }, 'retention_json'],
    [{ retention_mode: 'tiers', retention_json: '{"dayly":1}' }, 'retention_json'],
    [{ retention_mode: 'tiers', retention_json: '[' }, 'retention_json'],
  ])('is refused as %j, and the field is named', async (fields, field) => {
    for (const name of ['cloudbackup_update_job', 'cloudbackup_preview_retention']) {
      const answer =
        name === 'cloudbackup_update_job'
          ? await ada().post(name, { job_id: job, ...fields })
          : await ada().get(name, { job_id: job, ...(fields as Record<string, string>) });
      expect([name, answer.status]).toEqual([name, 422]);
      expect(answer.body).toMatchObject({ code: 'INVALID_INPUT', fields: { [field]: expect.any(String) } });
    }
    expect(await read()).toMatchObject({ retention: { mode: 'none' }, retention_pending: null });
  });

  it('is stored in every form, from JSON and from a form', async () => {
    const made = await makeJob(portal, 'ada', {
      name: 'tiers',
      retention_mode: 'tiers',
      retention_json: '{"daily":"7","weekly":4}',
    });
    const stored = ((await ada().get('cloudbackup_get_job', { job_id: made })).body as { job: unknown }).job;
    expect(stored).toMatchObject({
      retention_mode: 'tiers',
      retention: { mode: 'tiers', hourly: 0, daily: 7, weekly: 4, monthly: 0, yearly: 0 },
    });
  });

  it('that keeps less waits for its cool-off, is undone by one click, and is not made to wait anew by saving again', async () => {
    await update({ retention_mode: 'keep_last_n', retention_value: '2' });
    const first = await read();
    expect(first).toMatchObject({
      retention: { mode: 'none' },
      retention_pending: { retention: { mode: 'keep_last_n', count: 2 } },
    });
    const actsAt = (first['retention_pending'] as { acts_at_epoch_ms: number }).acts_at_epoch_ms;
    expect(Math.abs(actsAt - Date.now() - 7 * 86_400_000)).toBeLessThan(60_000);
    await update({ retention_mode: 'keep_last_n', retention_value: 2, name: 'renamed' });
    expect((await read())['retention_pending']).toEqual(first['retention_pending']);
    expect(await post('cloudbackup_undo_retention', { job_id: job })).toMatchObject({ undone: true });
    expect(await post('cloudbackup_undo_retention', { job_id: job })).toMatchObject({ undone: false });
    expect(await read()).toMatchObject({ retention: { mode: 'none' }, retention_pending: null });
    expect(await audited('retention.undone')).toBe(1);
  });

  it('that keeps more acts at once, and so does one that lets no point of today go', async () => {
    await update({ retention_mode: 'keep_last_n', retention_value: 9 });
    expect(await read()).toMatchObject({ retention: { mode: 'keep_last_n', count: 9 }, retention_pending: null });
    await update({ retention_mode: 'keep_days', retention_value: 2 });
    expect((await read())['retention_pending']).not.toBeNull();
    await update({ retention_mode: 'keep_last_n', retention_value: 20 });
    expect(await read()).toMatchObject({ retention: { mode: 'keep_last_n', count: 20 }, retention_pending: null });
  });

  it('has a cool-off that the operator sets', async () => {
    await portal.database
      .knex('tbladdonmodules')
      .insert({ module: 'cloudstorage', setting: 'cloudbackup_retention_cooloff_days', value: '0' });
    await update({ retention_mode: 'keep_last_n', retention_value: 1 });
    await portal.database.knex('tbladdonmodules').where('setting', 'cloudbackup_retention_cooloff_days').delete();
    expect(await read()).toMatchObject({ retention: { mode: 'keep_last_n', count: 1 }, retention_pending: null });
  });
});

describe('the preview', () => {
  const preview = async (fields: Record<string, string | number> = {}) =>
    (await ada().get('cloudbackup_preview_retention', { job_id: job, ...fields })).body as Record<string, unknown> & {
      points: { point_id: string; keep: boolean; reasons: string[] }[];
    };

  it('tells which points go, what comes back at least, what is kept and why, and changes nothing', async () => {
    const before = JSON.stringify(await rows('jobs').where('uuid', job));
    const answer = await preview({ retention_mode: 'keep_last_n', retention_value: 2 });
    expect(answer).toMatchObject({
      kept: 2,
      removed: 3,
      freed_bytes_at_least: 20,
      stored_bytes: 50,
      frozen: false,
      note: null,
    });
    expect(answer.points.map((point) => [point.point_id, point.keep])).toEqual(
      [...points].reverse().map((id, index) => [id, index < 2]),
    );
    expect(answer.points[0]?.reasons).toEqual(['newest', 'last_good', 'count']);
    expect(answer['acts_at_epoch_ms']).toBeGreaterThan(Date.now() + 6 * 86_400_000);
    expect(JSON.stringify(await rows('jobs').where('uuid', job))).toBe(before);
  });

  it('without a retention is about what waits, else about what is in force', async () => {
    expect(await preview()).toMatchObject({ retention: { mode: 'none' }, removed: 0, acts_at: null });
    await update({ retention_mode: 'keep_last_n', retention_value: 3 });
    expect(await preview()).toMatchObject({ retention: { mode: 'keep_last_n', count: 3 }, removed: 2 });
  });

  it('says when room comes back later than points go, and that nothing goes while retention is frozen', async () => {
    await portal.database.knex('s3_buckets').where('name', 'ada-backups').update({ object_lock_enabled: '1' });
    await rows('jobs').where('uuid', job).update({ frozen_at: portal.database.now() });
    const answer = await preview({ retention_mode: 'keep_last_n', retention_value: 1 });
    await portal.database.knex('s3_buckets').where('name', 'ada-backups').update({ object_lock_enabled: '0' });
    expect(answer).toMatchObject({ frozen: true, note: expect.stringMatching(/releases it.*lock/) });
  });
});

describe('pins', () => {
  it('keep a point until they are taken off, and are in the audit log once each', async () => {
    const [oldest] = points;
    const pinnedBefore = await audited('point.pinned');
    for (let twice = 0; twice < 2; twice += 1)
      expect(await post('cloudbackup_pin_point', { point_id: oldest })).toMatchObject({ pinned: true });
    const answer = (
      await ada().get('cloudbackup_preview_retention', {
        job_id: job,
        retention_mode: 'keep_last_n',
        retention_value: 1,
      })
    ).body as { points: { point_id: string; reasons: string[] }[] };
    expect(answer.points.find((point) => point.point_id === oldest)?.reasons).toEqual(['pinned']);
    expect(await post('cloudbackup_unpin_point', { point_id: oldest })).toMatchObject({ pinned: false });
    expect(await audited('point.pinned')).toBe(pinnedBefore + 1);
  });

  it('cannot save what is being deleted', async () => {
    await rows('restore_points').where('uuid', points[0]).update({ state: 'deleting' });
    expect(await post('cloudbackup_pin_point', { point_id: points[0] })).toMatchObject({ code: 'POINT_NOT_FOUND' });
    await rows('restore_points').where('uuid', points[1]).update({ state: 'marked' });
    expect(await post('cloudbackup_pin_point', { point_id: points[1] })).toMatchObject({ pinned: true });
  });
});

describe('deleting a job', () => {
  it('with its data: it goes after the grace, is listed until then, and comes back paused', async () => {
    const answer = await post('cloudbackup_delete_job', { job_id: job, data: 'delete' });
    expect(Math.abs(Number(answer['data_delete_at_epoch_ms']) - Date.now() - 14 * 86_400_000)).toBeLessThan(60_000);
    expect((await ada().get('cloudbackup_get_job', { job_id: job })).status).toBe(404);
    const listed = (await ada().get('cloudbackup_list_deleted_jobs')).body as { jobs: unknown[] };
    expect(listed.jobs[0]).toMatchObject({ job_id: job, data_state: 'grace', stored_bytes: 50 });
    expect(await post('cloudbackup_undelete_data', { job_id: job })).toMatchObject({ job_id: job });
    expect(await read()).toMatchObject({ status: 'paused', stored_bytes: 50, next_run_at: null });
    expect(await update({ status: 'active' })).toMatchObject({ status: 'success' });
    expect(await read()).toMatchObject({ status: 'active', next_run_at: expect.any(String) });
    expect(await audited('job.undeleted')).toBe(1);
  });

  it('with its data kept: it can be brought back, and the data can still be given up', async () => {
    expect(await post('cloudbackup_delete_job', { job_id: job })).toMatchObject({ data_delete_at: null });
    expect(await post('cloudbackup_delete_job', { job_id: job })).toMatchObject({ code: 'JOB_NOT_FOUND' });
    expect(await post('cloudbackup_delete_job', { job_id: job, data: 'delete' })).toMatchObject({
      data_delete_at: expect.any(String),
    });
    await rows('jobs').where('uuid', job).update({ data_state: 'deleting' });
    expect(await post('cloudbackup_undelete_data', { job_id: job })).toMatchObject({ code: 'DATA_BEING_DELETED' });
    await rows('jobs').where('uuid', job).update({ data_state: 'gone' });
    expect(await post('cloudbackup_undelete_data', { job_id: job })).toMatchObject({ code: 'JOB_NOT_FOUND' });
  });

  it('is refused as something else, and while a backup is queued, but not for maintenance', async () => {
    expect(await post('cloudbackup_delete_job', { job_id: job, data: 'now' })).toMatchObject({ code: 'INVALID_INPUT' });
    await post('cloudbackup_start_run', { job_id: job });
    expect(await post('cloudbackup_delete_job', { job_id: job, data: 'delete' })).toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    await rows('runs').where({ job_uuid: job, status: 'queued' }).update({ kind: 'maintenance' });
    expect(await post('cloudbackup_delete_job', { job_id: job, data: 'delete' })).toMatchObject({ status: 'success' });
  });
});

describe('the pages', () => {
  it.each([
    '+275760-09-13T00:00',
    '+275760-09-13T00:00:00Z',
    '-271821-04-20T00:00',
    '99999999999999',
    '2025-02-31T25:00',
  ])('take the newest point where %j is asked for as a moment', async (moment) => {
    const page = await ada().page(`/jobs/${job}/restore?moment=${encodeURIComponent(moment)}`);
    expect(page.status).toBe(200);
    expect(page.text).toContain(points.at(-1));
  });

  it('show the points on a time line, each as a link, with what becomes of the chosen one', async () => {
    await rows('jobs').where('uuid', job).update({ retention_mode: 'keep_last_n', retention_value: 2 });
    await post('cloudbackup_pin_point', { point_id: points[0] });
    const page = (await ada().page(`/jobs/${job}?point=${points[1]}`)).text;
    expect(page.match(/data-point="/g)).toHaveLength(5);
    expect(page.match(/class="pin"/g)).toHaveLength(1);
    expect(page).toMatch(/5 restore points since .*, 2 of them go/);
    expect(page).toContain('Retention gives it up');
    expect(page).not.toMatch(/ style="/);
    await rows('jobs').where('uuid', job).update({ frozen_at: portal.database.now() });
    const frozen = (await ada().page(`/jobs/${job}?point=${points[1]}`)).text;
    expect(frozen).toContain('Kept: retention is stopped until it is released.');
    expect(frozen).toContain('/api/cloudbackup_release_brake');
    expect(frozen).not.toContain('fate-soon');
  });

  it('show what waits, with its undo, and the preview beside the form', async () => {
    await update({ retention_mode: 'keep_last_n', retention_value: 2 });
    const page = (await ada().page(`/jobs/${job}`)).text;
    expect(page).toContain('Fewer restore points will be kept');
    expect(page).toContain('/api/cloudbackup_undo_retention');
    const form = (await ada().page(`/jobs/${job}/edit`)).text;
    expect(form).toMatch(/value="keep_last_n" checked/);
    const part = (
      await ada().page(`/jobs/retention-preview?job_id=${job}&retention_mode=keep_last_n&retention_value=1`)
    ).text;
    expect(part).toContain('4 of 5 restore points go');
    expect((await ada().page('/jobs/retention-preview?retention_mode=keep_days&retention_value=0')).text).toContain(
      'must be a whole number',
    );
  });

  it('ask about the data before a job goes, and list what is still there', async () => {
    expect((await ada().page(`/jobs/${job}/delete`)).text).toContain('Delete them after 14 days');
    const run = await rows('runs').where('job_uuid', job).pluck('uuid');
    expect((await ada().page(`/runs/${run[0]}`)).text).toContain('Run again');
    await post('cloudbackup_delete_job', { job_id: job, data: 'delete' });
    const page = (await ada().page('/jobs/deleted')).text;
    expect(page).toContain(job);
    expect(page).toContain('Bring back');
    expect((await ada().page('/jobs')).text).toContain('/jobs/deleted');
    // Its runs and points are still shown elsewhere, and lead to the job; to run it again is not offered.
    expect((await ada().page(`/runs/${run[0]}`)).text).not.toContain('Run again');
    const old = await ada().page(`/jobs/${job}`);
    expect([old.status, old.headers['location']]).toEqual([303, '/backup/jobs/deleted']);
    expect((await portal.as('grace').page(`/jobs/${job}`)).status).toBe(404);
    expect(page).toContain(`/jobs/${job}/restore"`);
    expect((await ada().page(`/jobs/${job}/restore`)).status).toBe(200);
  });
});
