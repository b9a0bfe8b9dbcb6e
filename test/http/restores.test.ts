import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { RunView } from '../../src/protocol/run.ts';
import { emptyTables } from '../database/both.ts';
import { jobFields, makeJob, makePoint, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
beforeAll(async () => {
  portal = await openPortal();
});
beforeEach(async () => await emptyTables(portal.database));
afterAll(async () => await portal.close());

const ada = () => portal.as('ada');

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function start(fields: Record<string, unknown>): Promise<Answer> {
  const { status, body } = await ada().post('cloudbackup_start_restore', fields);
  return { status, body: body as Record<string, unknown> };
}

const here = (prefix = 'restored'): Record<string, unknown> => ({
  dest_bucket_id: portal.bucketId('ada-backups'),
  dest_prefix: prefix,
});

async function optionsOf({ body }: Answer): Promise<unknown> {
  const row = (await portal.database
    .knex('s3_cloudbackup_runs')
    .where({ uuid: String(body['run_id']) })
    .first('options_json')) as { options_json: string };
  return JSON.parse(row.options_json);
}

async function restoreRuns(): Promise<number> {
  return (await portal.database.knex('s3_cloudbackup_runs').where({ kind: 'restore' }).select('id')).length;
}

describe('asking for a restore', () => {
  it('takes the older parameters: a point, one folder, a place', async () => {
    const { point } = await makePoint(portal, await makeJob(portal));
    const answer = await start({ restore_point_id: point, folder: '/photos/2026/', ...here() });
    expect(answer).toMatchObject({ status: 200, body: { status: 'success' } });
    expect(answer.body['run_id']).toBe(answer.body['restore_run_id']);
    expect(await optionsOf(answer)).toEqual({
      point,
      paths: ['photos/2026'],
      overwrite: 'never',
      dry_run: false,
      target: { kind: 'bucket', bucket_id: portal.bucketId('ada-backups'), bucket: 'ada-backups', prefix: 'restored/' },
    });
  });

  it.each<[string, unknown, string[]]>([
    ['a JSON list', '["a","b/c"]', ['a', 'b/c']],
    ['a list', ['a', 'b/c/'], ['a', 'b/c']],
    ['one path', 'a', ['a']],
    ['a path that looks like a list', '[draft] plan.txt', ['[draft] plan.txt']],
    ['the same twice', ['a', 'a/'], ['a']],
    ['everything', ['', 'a'], []],
    ['nothing', [], []],
    [
      'odd names',
      ['-rf', '*', 'a:b', '%2e%2e', "it's", '雪', 'back\\slash'],
      ['-rf', '*', 'a:b', '%2e%2e', "it's", '雪', 'back\\slash'],
    ],
  ])('takes paths as %s', async (_what, paths, expected) => {
    const { point } = await makePoint(portal, await makeJob(portal));
    const answer = await start({ point_id: point, paths, ...here() });
    expect(await optionsOf(answer)).toMatchObject({ paths: expected });
  });

  it.each<[string, Record<string, unknown>]>([
    ['paths', { paths: ['../etc/passwd'] }],
    ['paths', { paths: ['a/../../b'] }],
    ['paths', { paths: ['/etc/passwd'] }],
    ['paths', { paths: ['./a'] }],
    ['paths', { paths: ['a//b'] }],
    ['paths', { paths: ['a', '..'] }],
    ['paths', { folder: '../a' }],
    ['paths.0', { paths: ['a\nb'] }],
    ['paths.1', { paths: ['a', 'b\u0000'] }],
    ['paths.0', { paths: ['\u2028'] }],
    ['paths.0', { paths: ['x'.repeat(1025)] }],
    ['paths.0', { paths: ['\ud800'] }],
    ['paths', { paths: [7] }],
    ['selected_paths.0', { selected_paths: '["a\\u0007"]' }],
    ['paths', { paths: Array.from({ length: 10_001 }, (_, i) => String(i)) }],
    ['overwrite', { overwrite: 'sometimes' }],
    ['target', { target: 'elsewhere' }],
    ['dry_run', { dry_run: 'perhaps' }],
    ['dest_prefix', { dest_prefix: '' }],
    ['dest_prefix', { dest_prefix: '///' }],
    ['dest_prefix', { dest_prefix: 'a\nb' }],
    ['dest_prefix', { dest_prefix: 'a\rRCLONE_CONFIG_X=1' }],
    ['dest_bucket_id', { dest_bucket_id: -1 }],
  ])('refuses what no point or place is called: %s of %j', async (field, fields) => {
    const { point } = await makePoint(portal, await makeJob(portal));
    const answer = await start({ point_id: point, ...here(), ...fields });
    expect(answer).toMatchObject({ status: 422, body: { code: 'INVALID_INPUT' } });
    expect(JSON.stringify(answer.body)).toContain(field);
    expect(await restoreRuns()).toBe(0);
  });

  it.each(['../up', 'a/../../b', './a', 'a//b', 'back\\slash', 'x'.repeat(401)])(
    'refuses the folder %j to restore into',
    async (prefix) => {
      const { point } = await makePoint(portal, await makeJob(portal));
      expect(await start({ point_id: point, ...here(prefix) })).toMatchObject({ status: 422 });
      expect(await restoreRuns()).toBe(0);
    },
  );

  it('needs a point, or a job and a moment', async () => {
    const job = await makeJob(portal);
    await makePoint(portal, job);
    for (const fields of [{}, { job_id: job }, { moment: Date.now() }])
      expect(await start({ ...fields, ...here() })).toMatchObject({ status: 422, body: { code: 'INVALID_INPUT' } });
    for (const moment of ['yesterday', '-1', '1e99', '9'.repeat(16), ''])
      expect(await start({ job_id: job, moment, ...here() })).toMatchObject({ status: 422 });
  });

  it('takes the newest point that is not later than the moment', async () => {
    const job = await makeJob(portal);
    const points: string[] = [];
    for (const at of ['2026-01-01 02:00:00.000', '2026-01-02 02:00:00.000', '2026-01-03 02:00:00.000']) {
      const { point } = await makePoint(portal, job);
      points.push(point);
      await portal.database.knex('s3_cloudbackup_restore_points').where({ uuid: point }).update({ created_at: at });
    }
    const at = async (moment: unknown): Promise<unknown> => {
      const answer = await start({ job_id: job, moment, target: 'source', dry_run: 1 });
      if (answer.status !== 200) return answer.body['code'];
      await portal.database.knex('s3_cloudbackup_runs').where({ kind: 'restore' }).update({ status: 'success' });
      return ((await optionsOf(answer)) as { point: string }).point;
    };
    expect(await at(Date.parse('2026-01-02T02:00:00Z'))).toBe(points[1]);
    expect(await at('2026-01-02T01:59:59.999Z')).toBe(points[0]);
    expect(await at(String(Date.now() + 1e9))).toBe(points[2]);
    await portal.database
      .knex('s3_cloudbackup_restore_points')
      .where({ uuid: points[2] ?? '' })
      .update({ state: 'marked' });
    expect(await at('2026-06-01')).toBe(points[1]);
    expect(await at('2025-12-31T00:00:00Z')).toBe('POINT_NOT_FOUND');
  });

  it('never goes into a job’s folder, above or inside it, nor where another restore writes', async () => {
    const { point } = await makePoint(portal, await makeJob(portal, 'ada', { dest_prefix: 'jobs/one' }));
    for (const prefix of ['jobs/one', 'jobs', 'jobs/one/run_x/deep'])
      expect(await start({ point_id: point, ...here(prefix), overwrite: 'always' })).toMatchObject({
        status: 422,
        body: { code: 'ERR_RESTORE_TARGET' },
      });
    expect((await start({ point_id: point, ...here('jobs/one-more') })).status).toBe(200);
    expect(await start({ point_id: point, ...here('jobs/one-more/deep') })).toMatchObject({ status: 422 });
  });

  it('goes back to the source only by saying so, one at a time', async () => {
    await portal.database
      .knex('tbladdonmodules')
      .where({ setting: 's3_endpoint' })
      .update({ value: 'https://storage.example.test' });
    const { source_config: config } = jobFields(portal) as { source_config: Record<string, unknown> };
    const own = { ...config, endpoint: 'https://storage.example.test', bucket: 'ada-second-backups' };
    const job = await makeJob(portal, 'ada', { source_config: own, source_path: 'site' });
    const { point } = await makePoint(portal, job);
    const second = { dest_bucket_id: portal.bucketId('ada-second-backups') };
    for (const prefix of ['site', 'site/deep'])
      expect(await start({ point_id: point, ...second, dest_prefix: prefix })).toMatchObject({
        status: 422,
        body: { code: 'ERR_RESTORE_TARGET' },
      });
    const answer = await start({ point_id: point, target: 'source', overwrite: 'if_newer', dry_run: true });
    expect(await optionsOf(answer)).toMatchObject({
      overwrite: 'if_newer',
      dry_run: true,
      target: { kind: 'source', summary: 'storage.example.test/ada-second-backups/site' },
    });
    expect(await start({ point_id: point, target: 'source' })).toMatchObject({ body: { code: 'ERR_RESTORE_TARGET' } });
    const row = (await portal.database.knex('s3_cloudbackup_runs').where({ kind: 'restore' }).first('*')) as object;
    expect(JSON.stringify(row)).not.toContain('very secret');
  });

  it('is written down, and can be seen, without what another customer could learn from', async () => {
    const job = await makeJob(portal);
    const { point } = await makePoint(portal, job);
    const paths = Array.from({ length: 300 }, (_, i) => `folder/${i}`);
    const { body } = await start({ point_id: point, paths, ...here(), overwrite: 'always' });
    const entry = (await portal.database.knex('s3_cloudbackup_audit').orderBy('id', 'desc').first('*')) as {
      params_json: string;
    };
    expect(entry).toMatchObject({ action: 'restore.started', actor_kind: 'client', target_id: body['run_id'] });
    expect(JSON.parse(entry.params_json)).toMatchObject({ point, overwrite: 'always', path_count: 300 });
    const listed = await ada().get('cloudbackup_list_runs', { job_id: job });
    const [run] = (listed.body as { runs: RunView[] }).runs;
    expect(run?.restore).toMatchObject({
      point_id: point,
      path_count: 300,
      target: 'bucket',
      target_text: 'ada-backups/restored/',
      overwrite: 'always',
      counts: null,
    });
    expect(run?.restore?.paths).toHaveLength(20);
    const page = await ada().page(`/runs/${String(body['run_id'])}`);
    expect(page.text).toContain('ada-backups/restored/');
    expect(page.text).toContain('and 280 more');
  });

  it('works for a job that is deleted, and for a suspended customer', async () => {
    const job = await makeJob(portal);
    const { point } = await makePoint(portal, job);
    await ada().post('cloudbackup_delete_job', { job_id: job });
    expect((await start({ point_id: point, ...here() })).status).toBe(200);
    expect((await start({ point_id: point, target: 'source' })).status).toBe(200);
    const { point: theirs } = await makePoint(portal, await makeJob(portal, 'edsger'));
    const suspended = await portal
      .as('edsger')
      .post('cloudbackup_start_restore', { point_id: theirs, target: 'source' });
    expect(suspended.status).toBe(200);
  });
});

describe('the list of snapshots', () => {
  it('names the points of a job, page by page, and no restores', async () => {
    const job = await makeJob(portal);
    const points: string[] = [];
    for (let i = 0; i < 3; i += 1) points.unshift((await makePoint(portal, job)).point);
    await start({ point_id: points[0], ...here() });
    const first = (await ada().get('cloudbackup_list_snapshots', { job_id: job, limit: 2 })).body as {
      snapshots: Record<string, unknown>[];
      next: string;
    };
    expect(first.snapshots.map((one) => one['point_id'])).toEqual(points.slice(0, 2));
    expect(first.snapshots[0]).toMatchObject({
      manifest_id: points[0],
      size_bytes: 300,
      size_human: '300 Bytes',
      file_count: 3,
      status: 'success',
      complete: true,
      pinned: false,
    });
    const rest = await ada().get('cloudbackup_list_snapshots', { job_id: job, cursor: first.next });
    expect(rest.body).toMatchObject({ snapshots: [{ point_id: points[2] }], next: null });
  });
});
