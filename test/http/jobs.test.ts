import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyTables } from '../database/both.ts';
import { jobFields, makeJob, makePoint, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
beforeAll(async () => {
  portal = await openPortal();
});
beforeEach(async () => await emptyTables(portal.database));
afterAll(async () => await portal.close());

const ada = () => portal.as('ada');

async function storedJob(uuid: string): Promise<Record<string, unknown>> {
  return (await portal.database.knex('s3_cloudbackup_jobs').where({ uuid }).first('*')) as Record<string, unknown>;
}

async function auditActions(): Promise<string[]> {
  return await portal.database.knex('s3_cloudbackup_audit').orderBy('id').pluck('action');
}

interface JobAnswer {
  job: Record<string, unknown>;
  source: Record<string, unknown>;
}

async function getJob(uuid: string): Promise<JobAnswer> {
  return (await ada().get('cloudbackup_get_job', { job_id: uuid })).body as JobAnswer;
}

describe('making a job', () => {
  it('seals the source, plans the next run, takes a folder of its own and writes the audit log', async () => {
    const response = await ada().post('cloudbackup_create_job', jobFields(portal));
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({ status: 'success', message: 'The job was made.' });
    const uuid = (response.body as { job_id: string }).job_id;

    const row = await storedJob(uuid);
    expect(row['source_config_enc']).toMatch(/^v2:/);
    expect(JSON.stringify(row)).not.toContain('very secret');
    expect(row['dest_prefix']).toBe(`e3-${uuid}/`);
    expect(row['next_run_at']).toMatch(/^\d{4}-\d\d-\d\d \d\d:30:00\.000$/);
    expect(row['good_by']).not.toBeNull();
    const opened = portal.secrets.open('job.source-config', uuid, String(row['source_config_enc']));
    expect(JSON.parse(opened)).toMatchObject({ bucket: 'photos', secret_key: 'very secret' });
    expect(await auditActions()).toEqual(['job.created']);

    const { job, source } = await getJob(uuid);
    expect(job).toMatchObject({
      job_id: uuid,
      name: 'Photos',
      status: 'active',
      dest_bucket_name: 'ada-backups',
      schedule_summary: 'Every day at 02:30, Europe/Berlin',
      layout_fixed: false,
      notify_on_success: null,
    });
    expect(source).toMatchObject({
      type: 's3_compatible',
      path: '2024',
      config: { endpoint: 'https://s3.example.com', bucket: 'photos', access_key: 'AKEXAMPLE' },
      secrets_set: { secret_key: true },
      summary: 's3.example.com/photos/2024',
    });
    expect(JSON.stringify([job, source])).not.toContain('very secret');
  });

  it('takes a form as older callers send it: text fields, the source as JSON text, .php at the end', async () => {
    const response = await ada().post('cloudbackup_create_job.php', {
      ...jobFields(portal),
      source_config: JSON.stringify(jobFields(portal)['source_config']),
      source_path: undefined,
      s3_path: '2023',
      dest_bucket_id: String(portal.bucketId('ada-backups')),
      schedule_type: 'weekly',
      schedule_weekday: '3',
      encryption_enabled: '0',
      validation_mode: 'none',
      retention_mode: 'none',
      notify_on_success: '1',
      notify_override_email: 'a@example.test; b@example.test, a@example.test',
    });
    expect(response.status).toBe(200);
    const { job } = await getJob((response.body as { job_id: string }).job_id);
    expect(job).toMatchObject({
      source_path: '2023',
      schedule_summary: 'Wednesdays at 02:30, Europe/Berlin',
      notify_on_success: true,
      notify_override_email: ['a@example.test', 'b@example.test'],
    });
  });

  it('names every field that is wrong', async () => {
    const response = await ada().post('cloudbackup_create_job', {
      ...jobFields(portal),
      name: ' ',
      dest_bucket_id: 'eleven',
      max_attempts: 99,
      status: 'deleted',
    });
    expect(response.status).toBe(422);
    expect(response.body).toMatchObject({
      status: 'fail',
      code: 'INVALID_INPUT',
      fields: {
        name: 'must not be empty',
        dest_bucket_id: expect.stringContaining('whole number'),
        max_attempts: 'must be a whole number from 1 to 10',
        status: 'must be active or paused',
      },
    });
    expect(response.body).not.toHaveProperty('request_id');
  });

  it.each([{ backup_mode: 'mirror' }, { engine: 'kopia' }, { dest_type: 'local' }, { local_include_glob: '*.doc' }])(
    'refuses what is not built instead of ignoring it: %j',
    async (fields) => {
      const response = await ada().post('cloudbackup_create_job', jobFields(portal, fields));
      expect(response.status).toBe(422);
      expect(response.body).toMatchObject({ code: 'ERR_NOT_AVAILABLE' });
      expect(await portal.database.knex('s3_cloudbackup_jobs').select('id')).toEqual([]);
    },
  );

  it('refuses schedules that mean nothing', async () => {
    for (const [fields, field] of [
      [{ schedule_time: '25:00' }, 'schedule_time'],
      [{ schedule_type: 'cron', schedule_cron: '61 * * * *' }, 'schedule_cron'],
      [{ schedule_type: 'sometimes' }, 'schedule_type'],
      [{ timezone: 'Middle/Earth' }, 'timezone'],
    ] as const) {
      const response = await ada().post('cloudbackup_create_job', jobFields(portal, fields));
      expect(response.body).toMatchObject({ code: 'INVALID_INPUT', fields: { [field]: expect.any(String) } });
    }
  });
});

describe('the folder in the bucket', () => {
  it.each([
    ['photos', 'photos'],
    ['photos', '/photos/'],
    ['photos', 'photos/2024'],
    ['photos/2024', 'photos'],
    ['a/b/c/', 'a'],
  ])('cannot be taken twice, nor nested: %s and %s', async (first, second) => {
    await makeJob(portal, 'ada', { dest_prefix: first });
    const response = await ada().post('cloudbackup_create_job', jobFields(portal, { dest_prefix: second }));
    expect(response.status).toBe(409);
    expect(response.body).toMatchObject({ code: 'PREFIX_TAKEN' });
  });

  it('compares bytes: names that only look alike, or share a beginning, are different folders', async () => {
    for (const dest_prefix of ['photos', 'Photos', 'photos2', 'caf\u00e9', 'cafe\u0301']) {
      await makeJob(portal, 'ada', { dest_prefix });
    }
    const taken = await portal.database.knex('s3_cloudbackup_prefixes').pluck('prefix');
    expect(taken.sort()).toEqual(['Photos/', 'cafe\u0301/', 'caf\u00e9/', 'photos/', 'photos2/'].sort());
  });

  it('may be used in another bucket', async () => {
    await makeJob(portal, 'ada', { dest_prefix: 'photos' });
    await makeJob(portal, 'ada', {
      dest_prefix: 'photos',
      dest_bucket_id: portal.bucketId('ada-second-backups'),
    });
  });

  it.each(['..', 'a/../b', 'a//b', './a', 'a\\b', 'a\nb', 'a\u0000b', '\ud800', 'x'.repeat(401)])(
    'is refused when it is no plain folder: %j',
    async (dest_prefix) => {
      const response = await ada().post('cloudbackup_create_job', jobFields(portal, { dest_prefix }));
      expect(response.status).toBe(422);
      expect(response.body).toMatchObject({ code: 'INVALID_INPUT', fields: { dest_prefix: expect.any(String) } });
    },
  );

  it('goes to one of two that ask for it at the same moment', async () => {
    const answers = await Promise.all(
      ['same', 'same/inner', 'same'].map((dest_prefix) =>
        ada().post('cloudbackup_create_job', jobFields(portal, { dest_prefix })),
      ),
    );
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 409)).toHaveLength(2);
  });

  it('stays taken after the job was deleted, and the answer says so', async () => {
    const job = await makeJob(portal, 'ada', { dest_prefix: 'photos' });
    const response = await ada().post('cloudbackup_delete_job', { job_id: job });
    expect(response.body).toMatchObject({
      status: 'success',
      message: expect.stringContaining('stay in ada-backups/photos/'),
    });
    const again = await ada().post('cloudbackup_create_job', jobFields(portal, { dest_prefix: 'photos' }));
    expect(again.body).toMatchObject({ code: 'PREFIX_TAKEN' });
    expect((await ada().get('cloudbackup_get_job', { job_id: job })).body).toMatchObject({ code: 'JOB_NOT_FOUND' });
    expect((await ada().get('cloudbackup_list_jobs')).body).toMatchObject({ jobs: [], next: null });
  });
});

describe('the destination', () => {
  it('must be an active bucket of the customer', async () => {
    for (const dest_bucket_id of [portal.bucketId('grace-backups'), 987654]) {
      const response = await ada().post('cloudbackup_create_job', jobFields(portal, { dest_bucket_id }));
      expect(response.status).toBe(404);
      expect(response.body).toMatchObject({ code: 'BUCKET_NOT_FOUND' });
    }
  });

  it.each([
    ['', 'photos'],
    ['photos', 'photos'],
    ['photos/2024', 'photos'],
    ['', ''],
  ])('is not the source: source path "%s", folder "%s"', async (source_path, dest_prefix) => {
    const source_config = {
      ...(jobFields(portal)['source_config'] as object),
      endpoint: 'https://STORAGE.example.test/',
      bucket: 'ada-backups',
    };
    const fields = jobFields(portal, { source_config, source_path, dest_prefix });
    expect((await ada().post('cloudbackup_create_job', fields)).body).toMatchObject({ code: 'SOURCE_IS_DESTINATION' });
    const elsewhere = jobFields(portal, { source_config, source_path: 'incoming', dest_prefix: 'photos' });
    expect((await ada().post('cloudbackup_create_job', elsewhere)).status).toBe(200);
  });
});

describe('changing a job', () => {
  it('leaves alone what is absent, keeps secrets that are blank, and clears what is empty', async () => {
    const job = await makeJob(portal, 'ada', {
      notify_on_success: '1',
      bandwidth_limit_kbps: 500,
      timezone: 'Asia/Tokyo',
    });
    const before = await storedJob(job);
    const response = await ada().post('cloudbackup_update_job', {
      job_id: job,
      source_config: { endpoint: 'https://s3.example.com', bucket: 'other', access_key: 'AK2', secret_key: '' },
      notify_on_success: '',
      timezone: '',
    });
    expect(response.body).toMatchObject({ status: 'success' });
    const after = await storedJob(job);
    expect(after).toMatchObject({
      name: 'Photos',
      bandwidth_limit_kbps: 500,
      notify_on_success: null,
      timezone: null,
      source_path: '2024',
      schedule_time: before['schedule_time'],
    });
    const config = portal.secrets.open('job.source-config', job, String(after['source_config_enc']));
    expect(JSON.parse(config)).toMatchObject({ bucket: 'other', access_key: 'AK2', secret_key: 'very secret' });
    expect(await auditActions()).toEqual(['job.created', 'job.changed']);
  });

  it('wants the secrets again when the source moves to another server', async () => {
    const job = await makeJob(portal);
    const moved = { endpoint: 'https://evil.example.net', bucket: 'photos', access_key: 'AKEXAMPLE' };
    const refused = await ada().post('cloudbackup_update_job', { job_id: job, source_config: moved });
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({
      code: 'ERR_SOURCE_CONFIG',
      fields: { secret_key: expect.stringContaining('again') },
    });
    const test = await ada().post('cloudbackup_test_connection', { job_id: job, source_config: moved });
    expect(test.body).toMatchObject({ code: 'ERR_SOURCE_CONFIG' });
    const whole = { job_id: job, source_config: { ...moved, secret_key: 'another' } };
    expect((await ada().post('cloudbackup_update_job', whole)).status).toBe(200);
  });

  it.each([
    [
      's3_compatible',
      { endpoint: 'https://s3.example.com:9000', bucket: 'photos', access_key: 'AKEXAMPLE' },
      { secret_key: 'very secret' },
      { endpoint: 'http://s3.example.com:9000' },
    ],
    [
      'webdav',
      { url: 'https://dav.example.com:8443/', user: 'ada' },
      { pass: 'x y' },
      { url: 'http://dav.example.com:8443/' },
    ],
    [
      'nas',
      { protocol: 'ftp', host: 'nas.example.com', user: 'ada', encryption: 'explicit' },
      { pass: 'x y' },
      { encryption: 'none' },
    ],
  ])(
    'wants the secrets again when the same server is to be reached without TLS (%s)',
    async (type, config, kept, plain) => {
      const job = await makeJob(portal, 'ada', { source_type: type, source_config: { ...config, ...kept } });
      const change = (more: object) =>
        ada().post('cloudbackup_update_job', { job_id: job, source_config: { ...config, ...plain, ...more } });
      const refused = await change({});
      const [secret = ''] = Object.keys(kept);
      expect(refused.body).toMatchObject({
        code: 'ERR_SOURCE_CONFIG',
        fields: { [secret]: expect.stringContaining('again') },
      });
      expect((await change(kept)).status).toBe(200);
    },
  );

  it('forgets the host key of an SFTP server that is left', async () => {
    const source_config = { host: 'files.example.com', user: 'ada', pass: 'x y' };
    const job = await makeJob(portal, 'ada', { source_type: 'sftp', source_config, source_path: '/srv' });
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1';
    await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).update({ source_host_key: key });
    await ada().post('cloudbackup_update_job', { job_id: job, source_config: { ...source_config, user: 'other' } });
    expect((await storedJob(job))['source_host_key']).toBe(key);
    await ada().post('cloudbackup_update_job', {
      job_id: job,
      source_config: { ...source_config, host: 'new.example.com' },
    });
    expect((await storedJob(job))['source_host_key']).toBeNull();
  });

  it('moves a job that has never run, and none that has', async () => {
    const job = await makeJob(portal, 'ada', { dest_prefix: 'first' });
    const move = { job_id: job, dest_prefix: 'second', dest_bucket_id: portal.bucketId('ada-second-backups') };
    expect((await ada().post('cloudbackup_update_job', move)).status).toBe(200);
    await makeJob(portal, 'ada', { dest_prefix: 'first' });
    await makePoint(portal, job);
    const again = await ada().post('cloudbackup_update_job', { job_id: job, dest_prefix: 'third' });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({ code: 'LAYOUT_FIXED' });
    // A form sends everything: the same place in another spelling is no move.
    const same = await ada().post('cloudbackup_update_job', { ...move, dest_prefix: '/second', name: 'Renamed' });
    expect(same.status).toBe(200);
    expect(await storedJob(job)).toMatchObject({ name: 'Renamed', dest_prefix: 'second/' });
  });

  it('pauses and resumes without starting anything', async () => {
    const job = await makeJob(portal);
    await ada().post('cloudbackup_update_job', { job_id: job, status: 'paused' });
    expect(await storedJob(job)).toMatchObject({ status: 'paused', next_run_at: null, good_by: null });
    expect((await ada().post('cloudbackup_start_run', { job_id: job })).body).toMatchObject({ code: 'JOB_PAUSED' });
    await ada().post('cloudbackup_update_job', { job_id: job, status: 'active' });
    const next = String((await storedJob(job))['next_run_at']);
    expect(Date.parse(`${next.replace(' ', 'T')}Z`)).toBeGreaterThan(Date.now());
    expect(await portal.database.knex('s3_cloudbackup_runs').select('id')).toEqual([]);
  });

  it('does not lose a slot that is due when something else is changed', async () => {
    const job = await makeJob(portal);
    const due = '2020-01-01 00:30:00.000';
    await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).update({ next_run_at: due });
    await ada().post('cloudbackup_update_job', {
      job_id: job,
      name: 'New',
      schedule_type: 'daily',
      schedule_time: '02:30',
    });
    expect(await storedJob(job)).toMatchObject({ name: 'New', next_run_at: due });
    await ada().post('cloudbackup_update_job', { job_id: job, schedule_time: '03:30' });
    expect((await storedJob(job))['next_run_at']).not.toBe(due);
  });

  it('replaces several weekdays by a single one that is given', async () => {
    const job = await makeJob(portal, 'ada', {
      schedule_type: 'weekly',
      schedule_json: { type: 'weekly', time: '04:00', weekdays: [1, 5] },
      schedule_time: undefined,
    });
    expect((await getJob(job)).job['schedule_summary']).toBe('Mondays and Fridays at 04:00, Europe/Berlin');
    await ada().post('cloudbackup_update_job', { job_id: job, schedule_weekday: 2 });
    expect((await getJob(job)).job['schedule_summary']).toBe('Tuesdays at 04:00, Europe/Berlin');
  });

  it('is possible when the stored settings of the source cannot be read any more', async () => {
    const job = await makeJob(portal);
    await portal.database
      .knex('s3_cloudbackup_jobs')
      .where('uuid', job)
      .update({ source_config_enc: 'v2:00000000:AAAA' });
    expect((await getJob(job)).source).toMatchObject({ config: {}, summary: 'The stored settings cannot be read' });
    expect((await ada().get('cloudbackup_list_jobs')).status).toBe(200);
    const half = await ada().post('cloudbackup_update_job', { job_id: job, source_path: 'x' });
    expect(half.body).toMatchObject({ code: 'ERR_DECRYPT_SOURCE_CONFIG' });
    const whole = { job_id: job, source_config: jobFields(portal)['source_config'] };
    expect((await ada().post('cloudbackup_update_job', whole)).status).toBe(200);
    expect((await getJob(job)).source).toMatchObject({ summary: 's3.example.com/photos/2024' });
  });
});

describe('deleting a job', () => {
  it('waits for its runs', async () => {
    const job = await makeJob(portal);
    await ada().post('cloudbackup_start_run', { job_id: job });
    const response = await ada().post('cloudbackup_delete_job', { job_id: job });
    expect(response.status).toBe(409);
    expect(response.body).toMatchObject({ code: 'ALREADY_RUNNING' });
    expect((await storedJob(job))['status']).toBe('active');
  });

  it('leaves its points to be listed and restored', async () => {
    const job = await makeJob(portal);
    const { point } = await makePoint(portal, job);
    await ada().post('cloudbackup_delete_job', { job_id: job });
    const points = await ada().get('cloudbackup_list_points', { job_id: job });
    expect(points.body).toMatchObject({ points: [{ point_id: point, job_id: job, files: 3 }], next: null });
    const restore = await ada().post('cloudbackup_start_restore', {
      point_id: point,
      dest_bucket_id: portal.bucketId('ada-second-backups'),
      dest_prefix: 'restored',
    });
    expect(restore.status).toBe(200);
  });
});

describe('host keys and brakes', () => {
  const SEEN = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHo2y4XmPqH2u7xTqkq0mYc0f0y6m6y1eC8bFJ3Zk9aB';

  it('accepts exactly the host key that the page showed', async () => {
    const job = await makeJob(portal);
    await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).update({ source_host_key_seen: SEEN });
    const shown = (await getJob(job)).source['host_key'] as { seen: string };
    expect(shown.seen).toMatch(/^SHA256:/);
    const other = await ada().post('cloudbackup_accept_host_key', { job_id: job, fingerprint: 'SHA256:other' });
    expect(other.body).toMatchObject({ code: 'CONFLICT' });
    const right = await ada().post('cloudbackup_accept_host_key', { job_id: job, fingerprint: shown.seen });
    expect(right.status).toBe(200);
    expect(await storedJob(job)).toMatchObject({ source_host_key: SEEN, source_host_key_seen: null });
    expect(await auditActions()).toContain('job.host_key_accepted');
  });

  it('releases a brake once', async () => {
    const job = await makeJob(portal);
    const frozen = { frozen_at: '2026-01-01 00:00:00.000', frozen_reason: 'brake' };
    await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).update(frozen);
    expect((await getJob(job)).job['frozen']).toMatchObject({ reason: 'brake', at: '2026-01-01T00:00:00.000Z' });
    expect((await ada().post('cloudbackup_release_brake', { job_id: job })).body).toMatchObject({ released: true });
    expect((await ada().post('cloudbackup_release_brake', { job_id: job })).body).toMatchObject({ released: false });
    expect((await auditActions()).filter((action) => action === 'job.brake_released')).toHaveLength(1);
  });
});

describe('the list of jobs', () => {
  it('is paged, and shows the last run, the stored size and thirty days', async () => {
    const names = ['one', 'two', 'three'];
    const jobs: string[] = [];
    for (const name of names) jobs.push(await makeJob(portal, 'ada', { name }));
    await makePoint(portal, jobs[0] ?? '');
    await portal.database.knex('s3_cloudbackup_jobs').where('uuid', jobs[0]).update({ stored_bytes: 4096 });
    const first = (await ada().get('cloudbackup_list_jobs', { limit: 2 })).body as {
      jobs: { name: string; stored_bytes: number; last_run: { status: string } | null; strip: { state: string }[] }[];
      next: string;
    };
    expect(first.jobs.map((job) => job.name)).toEqual(['one', 'two']);
    expect(first.jobs[0]).toMatchObject({ stored_bytes: 4096, last_run: { status: 'success' } });
    expect(first.jobs[0]?.strip).toHaveLength(30);
    expect(first.jobs[0]?.strip.at(-1)).toMatchObject({ state: 'good', runs: { success: 1 } });
    expect(first.jobs[1]).toMatchObject({ last_run: null });
    const second = await ada().get('cloudbackup_list_jobs', { limit: 2, cursor: first.next });
    expect(second.body).toMatchObject({ jobs: [{ name: 'three' }], next: null });
  });
});

describe('the pages of a suspended customer', () => {
  it('say that no backup runs, on the list and on the job', async () => {
    const edsger = await makeJob(portal, 'edsger');
    for (const path of ['/jobs', `/jobs/${edsger}`]) {
      expect((await portal.as('edsger').page(path)).text).toContain('Your service is suspended: no backup runs');
    }
    expect((await portal.as('ada').page('/jobs')).text).not.toContain('Your service');
  });
});
