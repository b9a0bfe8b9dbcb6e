import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { claimRuns } from '../../src/database/claims.ts';
import { saveProgress } from '../../src/database/leases.ts';
import { registerWorker } from '../../src/database/workers.ts';
import { emptyTables } from '../database/both.ts';
import { jobFields, makeJob, makePoint, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
beforeAll(async () => {
  portal = await openPortal();
});
beforeEach(async () => await emptyTables(portal.database));
afterAll(async () => await portal.close());

const ada = () => portal.as('ada');

async function startRun(job: string, fields: Record<string, unknown> = {}): Promise<string> {
  const response = await ada().post('cloudbackup_start_run', { job_id: job, ...fields });
  expect(response.body).toMatchObject({ status: 'success' });
  return (response.body as { run_id: string }).run_id;
}

async function storedRun(uuid: string): Promise<Record<string, unknown>> {
  return (await portal.database.knex('s3_cloudbackup_runs').where({ uuid }).first('*')) as Record<string, unknown>;
}

/** A worker takes the run and reports once. */
async function begin(): Promise<void> {
  const worker = { uuid: v7(), hostname: 'worker-1', maxConcurrent: 4 };
  await registerWorker(portal.database, { ...worker, version: '1', tools: { rclone: '1.75.2' }, pid: 1 });
  const limits = { global: null, perClient: null };
  const [run] = await claimRuns(portal.database, { worker, limits, leaseMs: 60_000, slots: 1 });
  if (run === undefined) throw new Error('there was nothing to claim');
  const lease = { runId: run.id, runUuid: run.uuid, token: run.leaseToken };
  await saveProgress(portal.database, lease, {
    phase: 'copying',
    bytesTotal: 1000,
    bytesTransferred: 250,
    bytesProcessed: 250,
    objectsTotal: 10,
    objectsTransferred: 2,
    speedBytesPerSec: 99,
    etaSeconds: 8,
    currentItem: 'a folder/a file',
    percent: 25,
  });
}

describe('starting a run', () => {
  it('queues it once, and names the run in the way of a second one', async () => {
    const job = await makeJob(portal);
    const run = await startRun(job, { trigger_type: 'validation' });
    expect(await storedRun(run)).toMatchObject({ status: 'queued', trigger_type: 'manual', kind: 'backup' });
    const second = await ada().post('cloudbackup_start_run', { job_id: job });
    expect(second.status).toBe(409);
    expect(second.body).toMatchObject({
      status: 'fail',
      code: 'ALREADY_RUNNING',
      existing_run_id: run,
      existing_run_status: 'queued',
    });
  });

  it('takes only one of many that come at once', async () => {
    const job = await makeJob(portal);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => ada().post('cloudbackup_start_run', { job_id: job })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array<number>(7).fill(409)]);
  });

  it('is refused while the service is suspended, where restores go on', async () => {
    const edsger = portal.as('edsger');
    const job = await makeJob(portal, 'edsger');
    const refused = await edsger.post('cloudbackup_start_run', { job_id: job });
    expect(refused.status).toBe(403);
    expect(refused.body).toMatchObject({ code: 'SERVICE_SUSPENDED' });
    const { point } = await makePoint(portal, job);
    const target = { dest_bucket_id: portal.bucketId('edsger-backups'), dest_prefix: 'restored' };
    expect((await edsger.post('cloudbackup_start_restore', { point_id: point, ...target })).status).toBe(200);
  });

  it('records in the audit log that a run may be empty once', async () => {
    const job = await makeJob(portal);
    const run = await startRun(job, { allow_empty: '1' });
    expect(JSON.parse(String((await storedRun(run))['options_json']))).toEqual({ allow_empty: true });
    const entry: unknown = await portal.database
      .knex('s3_cloudbackup_audit')
      .where('action', 'run.started_anyway')
      .first();
    expect(entry).toMatchObject({ target_id: run, actor_kind: 'client' });
    const { events } = (await ada().get('cloudbackup_get_run_events', { run_id: run })).body as { events: object[] };
    expect(events).toMatchObject([
      { id: 1, message_id: 'BACKUP_QUEUED' },
      { id: 2, message_id: 'RUN_ANYWAY' },
    ]);
  });
});

describe('watching a run', () => {
  it('tells its figures, and 304 while nothing has changed', async () => {
    const run = await startRun(await makeJob(portal));
    const queued = await ada().get('cloudbackup_progress', { run_uuid: run });
    expect(queued.body).toMatchObject({ run: { run_id: run, run_uuid: run, status: 'queued', terminal: false } });
    expect(queued.headers['cache-control']).toBe('no-store');
    await begin();
    const running = await ada().get('cloudbackup_progress', { run_id: run });
    expect(running.body).toMatchObject({
      run: {
        status: 'running',
        phase: 'copying',
        progress_pct: 25,
        bytes_total: 1000,
        bytes_transferred: 250,
        files_done: 2,
        files_total: 10,
        speed_bytes_per_sec: 99,
        eta_seconds: 8,
        current_item: 'a folder/a file',
        worker_host: 'worker-1',
      },
    });
    const etag = String(running.headers['etag']);
    expect(etag).not.toBe(queued.headers['etag']);
    const { run: figures } = running.body as { run: Record<string, unknown> };
    expect(new Date(Number(figures['started_at_epoch_ms'])).toISOString()).toBe(figures['started_at']);
    const again = await ada()
      .get('cloudbackup_progress', { run_id: run })
      .then(() => conditional(run, etag));
    expect(again.status).toBe(304);
    expect(again.text).toBe('');
    expect((await conditional(run, '"other"')).status).toBe(200);
  });

  it('costs one query of the database, by the run’s own key', async () => {
    const run = await startRun(await makeJob(portal));
    const queries: string[] = [];
    const note = ({ sql }: { sql: string }): void => void queries.push(sql);
    portal.database.knex.on('query', note);
    await ada().get('cloudbackup_progress', { run_id: run });
    portal.database.knex.removeListener('query', note);
    expect(queries).toHaveLength(1);
  });

  async function conditional(run: string, etag: string) {
    return await portal.as('ada').getWith('cloudbackup_progress', { run_id: run }, { 'If-None-Match': etag });
  }

  it('gives events in order and only the ones after since_id', async () => {
    const run = await startRun(await makeJob(portal));
    await begin();
    await ada().post('cloudbackup_cancel_run', { run_id: run });
    const all = (await ada().get('cloudbackup_get_run_events', { run_id: run })).body as {
      events: { id: number; message: string; ts: string; ts_epoch_ms: number; level: string }[];
    };
    expect(all.events.map((event) => event.id)).toEqual([1, 2]);
    expect(all.events[0]).toMatchObject({ message: 'Backup queued.', level: 'info' });
    const later = await ada().get('cloudbackup_get_run_events', { run_id: run, since_id: 1 });
    expect(later.body).toMatchObject({ events: [{ id: 2, message_id: 'CANCEL_REQUESTED' }] });
    const none = await ada().get('cloudbackup_get_run_events', { run_id: run, since_id: 2, limit: 1 });
    expect(none.body).toMatchObject({ events: [] });
  });

  it('lists runs newest first, of one job or of all, with their points', async () => {
    const [one, two] = [await makeJob(portal), await makeJob(portal)];
    const first = await makePoint(portal, one);
    const second = await makePoint(portal, two);
    const third = await startRun(one);
    const page = (await ada().get('cloudbackup_list_runs', { limit: 2 })).body as { runs: object[]; next: string };
    expect(page.runs).toMatchObject([
      { run_id: third, point: null },
      { run_id: second.run, point: { point_id: second.point, state: 'kept', files: 3, bytes: 300 } },
    ]);
    const rest = await ada().get('cloudbackup_list_runs', { limit: 2, cursor: page.next });
    expect(rest.body).toMatchObject({ runs: [{ run_id: first.run }], next: null });
    const ofOne = (await ada().get('cloudbackup_list_runs', { job_id: one })).body as { runs: { run_id: string }[] };
    expect(ofOne.runs.map((run) => run.run_id)).toEqual([third, first.run]);
  });
});

describe('cancelling a run', () => {
  it('ends a queued run at once, and only once', async () => {
    const job = await makeJob(portal);
    const run = await startRun(job);
    const response = await ada().post('cloudbackup_cancel_run', { run_uuid: run });
    expect(response.body).toMatchObject({ status: 'success', outcome: 'cancelled', run_id: run });
    expect(await storedRun(run)).toMatchObject({ status: 'cancelled', active_key: null, error_code: 'ERR_CANCELLED' });
    const again = await ada().post('cloudbackup_cancel_run', { run_id: run });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({ code: 'RUN_NOT_CANCELLABLE' });
    await startRun(job);
  });

  it('asks a running one to stop, and keeps others out until its worker has confirmed, even by force', async () => {
    const job = await makeJob(portal);
    const run = await startRun(job);
    await begin();
    const asked = await ada().post('cloudbackup_cancel_run', { run_id: run });
    expect(asked.body).toMatchObject({ outcome: 'stopping' });
    expect(await storedRun(run)).toMatchObject({ status: 'running', cancel_requested: 1, cancel_forced: 0 });
    await ada().post('cloudbackup_cancel_run', { run_id: run, force: 1 });
    expect(await storedRun(run)).toMatchObject({ status: 'running', cancel_forced: 1, active_key: `backup:${job}` });
    const progress = await ada().get('cloudbackup_progress', { run_id: run });
    expect(progress.body).toMatchObject({ run: { stopping: true, cancel_forced: true, terminal: false } });
    expect((await ada().post('cloudbackup_start_run', { job_id: job })).status).toBe(409);
  });
});

describe('restoring to another folder', () => {
  const target = (dest_prefix: string) => ({ dest_bucket_id: portal.bucketId('ada-backups'), dest_prefix });

  it('queues a run beside a backup, with the point, the folder and the place', async () => {
    const job = await makeJob(portal);
    const { point } = await makePoint(portal, job);
    await startRun(job);
    const response = await ada().post('cloudbackup_start_restore', {
      restore_point_id: point,
      folder: '/reports/2024/',
      ...target('restored/here'),
    });
    expect(response.body).toMatchObject({ status: 'success', message: 'The restore is queued.' });
    const run = await storedRun((response.body as { run_id: string }).run_id);
    expect(run).toMatchObject({ kind: 'restore', status: 'queued', active_key: null, dest_prefix: 'restored/here/' });
    expect(JSON.parse(String(run['options_json']))).toEqual({
      point,
      paths: ['reports/2024'],
      overwrite: 'never',
      dry_run: false,
      target: {
        kind: 'bucket',
        bucket_id: portal.bucketId('ada-backups'),
        bucket: 'ada-backups',
        prefix: 'restored/here/',
      },
    });
  });

  it.each(['job', 'job/inside', 'outer', ''])(
    'refuses a folder of a job, inside or around one: "%s"',
    async (prefix) => {
      const job = await makeJob(portal, 'ada', { dest_prefix: prefix.startsWith('outer') ? 'outer/job' : 'job' });
      const { point } = await makePoint(portal, job);
      const response = await ada().post('cloudbackup_start_restore', { point_id: point, ...target(prefix) });
      expect(response.status).toBe(422);
      expect(response.body).toMatchObject({ code: prefix === '' ? 'INVALID_INPUT' : 'ERR_RESTORE_TARGET' });
      expect(await portal.database.knex('s3_cloudbackup_runs').where('kind', 'restore')).toEqual([]);
    },
  );

  it('keeps its folder from jobs and other restores while it runs', async () => {
    const { point } = await makePoint(portal, await makeJob(portal));
    const started = await ada().post('cloudbackup_start_restore', { point_id: point, ...target('back') });
    const job = await ada().post('cloudbackup_create_job', jobFields(portal, { dest_prefix: 'back/inner' }));
    expect(job.body).toMatchObject({ code: 'PREFIX_TAKEN' });
    const second = await ada().post('cloudbackup_start_restore', { point_id: point, ...target('back') });
    expect(second.body).toMatchObject({ code: 'ERR_RESTORE_TARGET' });
    await ada().post('cloudbackup_cancel_run', { run_id: (started.body as { run_id: string }).run_id });
    expect((await ada().post('cloudbackup_start_restore', { point_id: point, ...target('back') })).status).toBe(200);
  });

  it.each([
    ['../other', 'paths'],
    ['a/../b', 'paths'],
    ['a//b', 'paths'],
    ['.', 'paths'],
    ['a\u0000', 'folder'],
  ])('refuses a folder that is none: %j', async (folder, field) => {
    const { point } = await makePoint(portal, await makeJob(portal));
    const response = await ada().post('cloudbackup_start_restore', { point_id: point, folder, ...target('back') });
    expect(response.body).toMatchObject({ code: 'INVALID_INPUT', fields: { [field]: expect.any(String) } });
  });

  it('does not know points that are being removed', async () => {
    const { point } = await makePoint(portal, await makeJob(portal));
    await portal.database.knex('s3_cloudbackup_restore_points').where('uuid', point).update({ state: 'marked' });
    const response = await ada().post('cloudbackup_start_restore', { point_id: point, ...target('back') });
    expect(response.status).toBe(404);
    expect(response.body).toMatchObject({ code: 'POINT_NOT_FOUND' });
  });
});
