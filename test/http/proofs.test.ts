import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { listAudit } from '../../src/database/audit.ts';
import { recordDrill } from '../../src/database/proofs.ts';
import { recordRunFiles, type RunFile } from '../../src/database/run_files.ts';
import { csvLine } from '../../src/http/csv.ts';
import { emptyTables } from '../database/both.ts';
import { makeJob, makePoint, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
beforeAll(async () => {
  portal = await openPortal();
});
beforeEach(async () => await emptyTables(portal.database));
afterAll(async () => await portal.close());

const ada = () => portal.as('ada');
const DAY = 86_400_000;

async function row(table: string, uuid: string): Promise<Record<string, unknown>> {
  return (await portal.database.knex(table).where({ uuid }).first('*')) as Record<string, unknown>;
}

async function failedDrill(jobUuid: string, run: string, point: string): Promise<void> {
  const { database } = portal;
  const job = await row('s3_cloudbackup_jobs', jobUuid);
  await database.transaction(
    async (trx) =>
      await recordDrill(database, trx, {
        run: { uuid: run, jobId: Number(job['id']), clientId: Number(job['client_id']) },
        ...{ pointUuid: point, status: 'failed', files: 12, exact: 11, sizeOnly: 0, problems: 1 },
        ...{ bytes: 4096, durationMs: 1200, canary: 'canary.txt' },
      }),
  );
}

async function report(run: string, files: readonly RunFile[]): Promise<void> {
  const { id } = await row('s3_cloudbackup_runs', run);
  await recordRunFiles(portal.database, portal.database.knex, Number(id), files);
}

describe('starting a validation or a restore test', () => {
  it('queues a run of its kind, once at a time, and writes the audit log', async () => {
    const job = await makeJob(portal);
    const { point } = await makePoint(portal, job);
    const validation = await ada().post('cloudbackup_start_validation', { job_id: job, point_id: point });
    expect(validation.body).toMatchObject({ status: 'success', message: 'The validation is queued.' });
    const { run_id: runId } = validation.body as { run_id: string };
    expect(await row('s3_cloudbackup_runs', runId)).toMatchObject({
      ...{ kind: 'validation', status: 'queued', trigger_type: 'manual', active_key: `backup:${job}` },
      options_json: JSON.stringify({ point }),
    });
    const again = await ada().post('cloudbackup_start_validation', { job_id: job });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({
      ...{ code: 'ALREADY_RUNNING', existing_run_id: runId, existing_run_kind: 'validation' },
    });
    const drill = await ada().post('cloudbackup_start_drill', { job_id: job });
    expect(drill.body).toMatchObject({ status: 'success' });
    expect((await ada().post('cloudbackup_start_drill', { job_id: job })).body).toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    const { entries } = await listAudit(portal.database);
    expect(entries.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['validation.started', 'drill.started']),
    );
  });

  it('is refused where there is nothing to prove, for another job’s point, and while the service is suspended', async () => {
    const job = await makeJob(portal);
    for (const name of ['cloudbackup_start_validation', 'cloudbackup_start_drill']) {
      const answer = await ada().post(name, { job_id: job });
      expect(answer.status).toBe(404);
      expect(answer.body).toMatchObject({ code: 'POINT_NOT_FOUND' });
      expect((answer.body as { message: string }).message).toContain('Run a backup first');
    }
    const second = await makeJob(portal, 'ada', { name: 'second' });
    const { point } = await makePoint(portal, second);
    await makePoint(portal, job);
    const foreign = await ada().post('cloudbackup_start_validation', { job_id: job, point_id: point });
    expect(foreign.body).toMatchObject({ code: 'POINT_NOT_FOUND' });
    const idle = await makeJob(portal, 'edsger');
    await makePoint(portal, idle);
    for (const name of ['cloudbackup_start_validation', 'cloudbackup_start_drill']) {
      const answer = await portal.as('edsger').post(name, { job_id: idle });
      expect(answer.body).toMatchObject({ code: 'SERVICE_SUSPENDED' });
    }
    expect(await portal.database.knex('s3_cloudbackup_runs').where('status', 'queued')).toEqual([]);
  });
});

describe('how a job is checked', () => {
  it('is set with the job, and changed without putting off what is planned', async () => {
    const job = await makeJob(portal, 'ada', {
      ...{ validation_mode: 'post_run', validation_every_days: '30', drill_every_days: 7 },
    });
    const made = await row('s3_cloudbackup_jobs', job);
    expect(made).toMatchObject({ validation_mode: 'post_run', validation_every_days: 30, drill_every_days: 7 });
    expect(made['drill_next_at']).not.toBeNull();
    const view = await ada().get('cloudbackup_get_job', { job_id: job });
    expect((view.body as { job: object }).job).toMatchObject({
      ...{ validation_mode: 'post_run', validation_every_days: 30, drill_every_days: 7 },
    });
    await ada().post('cloudbackup_update_job', { job_id: job, name: 'x', drill_every_days: 7 });
    expect((await row('s3_cloudbackup_jobs', job))['drill_next_at']).toBe(made['drill_next_at']);
    await portal.database.knex('s3_cloudbackup_jobs').update({ drill_overdue_since: '2026-01-01 00:00:00.000' });
    await ada().post('cloudbackup_update_job', {
      ...{ job_id: job, validation_mode: 'none', drill_every_days: '0', validation_every_days: '' },
    });
    expect(await row('s3_cloudbackup_jobs', job)).toMatchObject({
      ...{ validation_mode: 'none', validation_every_days: null, validation_next_at: null },
      ...{ drill_every_days: null, drill_next_at: null, drill_overdue_since: null },
    });
  });

  it('counts from the last one when it is made more rare', async () => {
    const job = await makeJob(portal, 'ada', { drill_every_days: 1 });
    const { run, point } = await makePoint(portal, job);
    await failedDrill(job, run, point);
    await ada().post('cloudbackup_update_job', { job_id: job, drill_every_days: 90 });
    const next = Date.parse(`${String((await row('s3_cloudbackup_jobs', job))['drill_next_at']).replace(' ', 'T')}Z`);
    expect(next).toBeGreaterThan(Date.now() + 89 * DAY);
  });

  it.each([
    [{ validation_mode: 'sometimes' }, 'validation_mode'],
    [{ validation_every_days: -1 }, 'validation_every_days'],
    [{ drill_every_days: 1.5 }, 'drill_every_days'],
    [{ drill_every_days: 1_000_000 }, 'drill_every_days'],
    [{ drill_every_days: 'often' }, 'drill_every_days'],
  ])('refuses %j', async (given, field) => {
    const job = await makeJob(portal);
    const answer = await ada().post('cloudbackup_update_job', { job_id: job, ...given });
    expect(answer.status).toBe(422);
    expect(Object.keys((answer.body as { fields: object }).fields)).toEqual([field]);
  });
});

describe('the records of restore tests', () => {
  it('are listed with the newest first, and shown on the job’s page with what is overdue', async () => {
    const job = await makeJob(portal, 'ada', { drill_every_days: 7 });
    const { run, point } = await makePoint(portal, job);
    await failedDrill(job, run, point);
    const listed = await ada().get('cloudbackup_list_drills', { job_id: job });
    expect(listed.body).toMatchObject({
      ...{ status: 'success', next: null },
      drills: [{ status: 'failed', run_id: run, point_id: point, files: 12, problems: 1, canary_path: 'canary.txt' }],
    });
    expect((await portal.as('grace').get('cloudbackup_list_drills')).body).toMatchObject({ drills: [] });
    await portal.database.knex('s3_cloudbackup_jobs').update({ drill_overdue_since: '2026-01-01 00:00:00.000' });
    const { text } = await ada().page(`/jobs/${job}`);
    expect(text).toContain('1 file missing or different');
    expect(text).toContain('Overdue since');
    expect(text).toContain('The last restore test did not pass');
    const view = await ada().get('cloudbackup_get_job', { job_id: job });
    expect((view.body as { job: object }).job).toMatchObject({
      ...{ drill_last_status: 'failed', drill_overdue_since: '2026-01-01T00:00:00.000Z' },
    });
    expect(text).toContain('cloudbackup_start_drill');
    expect(text).toContain('Every week');
    const form = await ada().page(`/jobs/${job}/edit`);
    expect(form.text).toMatch(/name="drill_every_days"[\s\S]*?value="7" selected/);
  });
});

describe('the report of a run’s files', () => {
  const files: RunFile[] = [
    { kind: 'failed', code: 'ERR_PERMISSION', path: 'private/<b>.txt' },
    { kind: 'carried', code: 'FILE_CHANGED_MEANWHILE', path: '=cmd|calc' },
    { kind: 'skipped', code: 'SYMLINK', path: 'link, "quoted"' },
  ];

  it('is listed, filtered, and counted', async () => {
    const { run } = await makePoint(portal, await makeJob(portal));
    await report(run, files);
    const all = await ada().get('cloudbackup_list_run_files', { run_id: run });
    expect(all.body).toMatchObject({
      files: [{ kind: 'failed', reason: 'access to it was refused' }, { kind: 'carried' }, { kind: 'skipped' }],
      ...{ totals: { failed: 1, carried: 1, skipped: 1 }, next: null },
    });
    const some = await ada().get('cloudbackup_list_run_files', { run_id: run, kind: 'skipped', text: 'LINK' });
    expect((some.body as { files: object[] }).files).toMatchObject([{ path: 'link, "quoted"' }]);
    expect((await ada().get('cloudbackup_list_run_files', { run_id: run, kind: 'total' })).status).toBe(422);
  });

  it('is shown on the run’s page, where its names are text and nothing else', async () => {
    const { run } = await makePoint(portal, await makeJob(portal));
    expect((await ada().page(`/runs/${run}`)).text).not.toContain('Files to look at');
    await report(run, files);
    const { text } = await ada().page(`/runs/${run}`);
    expect(text).toContain('Files to look at');
    expect(text).toContain('private/&lt;b&gt;.txt');
    const filtered = (await ada().page(`/runs/${run}?kind=carried&text=cmd`)).text;
    expect(filtered).toContain('it changed while it was copied');
    expect(filtered).not.toContain('private/');
    expect(filtered).toContain(`cloudbackup_download_run_files?run_id=${run}&amp;kind=carried&amp;text=cmd`);
    expect((await ada().page(`/runs/${run}?text=nowhere`)).text).toContain('No file of this report');
  });

  it('is downloaded as a table in which nothing calculates', async () => {
    const { run } = await makePoint(portal, await makeJob(portal));
    await report(run, files);
    const answer = await ada().get('cloudbackup_download_run_files', { run_id: run });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toContain('text/csv');
    expect(answer.headers['content-disposition']).toContain(`run-${run}-files.csv`);
    expect(answer.text.replace('\ufeff', '').split('\r\n')).toEqual([
      'kind,reason,code,path',
      'failed,access to it was refused,ERR_PERMISSION,private/<b>.txt',
      `carried,it changed while it was copied,FILE_CHANGED_MEANWHILE,"'=cmd|calc"`,
      'skipped,"it is a link, and what it leads to is backed up under its own name or does not exist",SYMLINK,"link, ""quoted"""',
      '',
    ]);
    const one = await ada().get('cloudbackup_download_run_files', { run_id: run, kind: 'failed' });
    expect(one.text.split('\r\n')).toHaveLength(3);
    expect((await portal.as('grace').get('cloudbackup_download_run_files', { run_id: run })).status).toBe(404);
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', ' =1', '\t=1', '\r=1', '|x'])('a cell %j is made a text', (cell) => {
    expect(csvLine([cell])).toBe(`"'${cell}"\r\n`);
  });
});

describe('the page of a backup', () => {
  it('shows how its validation ended and what it found', async () => {
    const { run } = await makePoint(portal, await makeJob(portal));
    const runs = portal.database.knex('s3_cloudbackup_runs').where('uuid', run);
    await runs.update({ validation_status: 'failed', validation_log_excerpt: 'a <b>.txt: its object is gone' });
    const { text } = await ada().page(`/runs/${run}`);
    expect(text).toContain('Differences');
    expect(text).toContain('a &lt;b&gt;.txt: its object is gone');
    const progress = await ada().get('cloudbackup_progress', { run_id: run });
    expect(progress.body).toMatchObject({ run: { validation_status: 'failed' } });
  });
});

describe('a run that failed because its source was empty', () => {
  it('offers to run anyway once', async () => {
    const job = await makeJob(portal);
    const { run } = await makePoint(portal, job);
    await portal.database.knex('s3_cloudbackup_restore_points').delete();
    await portal.database
      .knex('s3_cloudbackup_runs')
      .where('uuid', run)
      .update({ status: 'failed', error_code: 'ERR_SOURCE_EMPTY' });
    const { text } = await ada().page(`/runs/${run}`);
    expect(text).toContain('Run anyway once');
    expect(text).toContain('name="allow_empty" value="1"');
  });
});
