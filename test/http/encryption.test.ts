import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import { findKeys } from '../../src/database/keys.ts';
import { unwrapKeys } from '../../src/security/crypt-keys.ts';
import { emptyTables } from '../database/both.ts';
import { makeJob, makePoint, MOUNTED, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
let folder: string;
beforeAll(async () => {
  portal = await openPortal({ connectionTestsPerMinute: 100_000 });
  await giveKeys(portal);
  folder = mkdtempSync(join(tmpdir(), 'e3-kit-'));
});
beforeEach(async () => await emptyTables(portal.database));
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await portal.close();
});

/** The keys of ada's storage account, which the service reads the bucket with. */
async function giveKeys({ database, secrets }: TestPortal): Promise<void> {
  const account: unknown = await database.knex('s3_users').where({ username: 'ada-main' }).first('id');
  await database.knex('s3_user_access_keys').insert({
    user_id: (account as { id: number }).id,
    access_key: secrets.sealHostOwned('AKADA'),
    secret_key: secrets.sealHostOwned('secret of ada'),
  });
}

const ada = () => portal.as('ada');
const encrypted = (): Promise<string> => makeJob(portal, 'ada', { encryption_enabled: true });

async function jobOf(uuid: string): Promise<Record<string, unknown>> {
  const { body } = await ada().get('cloudbackup_get_job', { job_id: uuid });
  return (body as { job: Record<string, unknown> }).job;
}

async function codeOf(answer: Promise<{ body: unknown; status: number }>): Promise<unknown[]> {
  const { status, body } = await answer;
  return [status, (body as { code?: string }).code];
}

async function passwordsOf(uuid: string): Promise<{ password: string; password2: string }> {
  const keys = await findKeys(portal.database.knex, uuid);
  if (keys === null) throw new Error('the job has no keys');
  return unwrapKeys(portal.secrets, keys);
}

async function auditActions(): Promise<string[]> {
  return await portal.database.knex('s3_cloudbackup_audit').orderBy('id').pluck('action');
}

describe('encryption of a job', () => {
  it('makes keys that lie sealed in a table of their own and are told to nobody', async () => {
    const job = await encrypted();
    const row: unknown = await portal.database.knex('s3_cloudbackup_keys').where({ owner_uuid: job }).first('*');
    expect(row).toMatchObject({
      client_id: portal.clientId('ada'),
      purpose: 'crypt',
      key_version: 1,
      kit_downloaded_at: null,
    });
    const { password, password2 } = await passwordsOf(job);
    expect(password).not.toBe(password2);
    expect(JSON.stringify(row)).not.toContain(password);
    const shown = JSON.stringify([await jobOf(job), (await ada().get('cloudbackup_list_jobs')).body]);
    expect(shown).not.toContain(password);
    expect(await jobOf(job)).toMatchObject({ encryption_enabled: true, recovery_kit_at: null });
    expect(JSON.stringify(await portal.database.knex('s3_cloudbackup_audit'))).not.toContain(password);
  });

  it('is not lost, and gets no other keys, by any change of the job', async () => {
    const job = await encrypted();
    const before = await passwordsOf(job);
    for (const changes of [
      { name: 'Other' },
      { schedule_type: 'manual' },
      { encryption_enabled: '1' },
      { dest_prefix: 'elsewhere' },
    ]) {
      expect((await ada().post('cloudbackup_update_job', { job_id: job, ...changes })).status).toBe(200);
      expect(await jobOf(job)).toMatchObject({ encryption_enabled: true });
    }
    expect(await passwordsOf(job)).toEqual(before);
  });

  it('can be turned on and off until the first run, and comes back with the same keys', async () => {
    const job = await makeJob(portal);
    const set = async (value: boolean): Promise<number> =>
      (await ada().post('cloudbackup_update_job', { job_id: job, encryption_enabled: value })).status;
    expect([await set(true), (await jobOf(job))['encryption_enabled']]).toEqual([200, true]);
    const keys = await passwordsOf(job);
    expect([await set(false), (await jobOf(job))['encryption_enabled']]).toEqual([200, false]);
    expect([await set(true), await passwordsOf(job)]).toEqual([200, keys]);
  });

  it.each([true, false])('cannot be changed once there is data (encrypted: %s), and says why', async (before) => {
    const job = await makeJob(portal, 'ada', { encryption_enabled: before });
    await makePoint(portal, job);
    const answer = await ada().post('cloudbackup_update_job', {
      job_id: job,
      encryption_enabled: !before,
      name: 'New',
    });
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({ code: 'LAYOUT_FIXED', message: expect.stringMatching(/second job/) });
    expect(await jobOf(job)).toMatchObject({ encryption_enabled: before, name: 'Photos' });
    const same = await ada().post('cloudbackup_update_job', { job_id: job, encryption_enabled: before, name: 'New' });
    expect(same.status).toBe(200);
  });
});

describe('a recovery kit', () => {
  const kit = async (job: string, confirmation: string, person: 'ada' | 'grace' = 'ada') =>
    await request(portal.app)
      .post(`${MOUNTED}/api/cloudbackup_recovery_kit`)
      .set('x-test-person', person)
      .set('X-CSRF-Token', portal.as(person).token)
      .responseType('blob')
      .send({ job_id: job, confirmation });

  it('holds the passwords, a configuration and the script, and is written to the audit log', async () => {
    const job = await encrypted();
    const answer = await kit(job, 'Photos');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-disposition']).toContain('Recovery kit of Photos.zip');
    writeFileSync(join(folder, 'kit.zip'), answer.body as Buffer);
    execFileSync('unzip', ['-qo', join(folder, 'kit.zip'), '-d', join(folder, 'kit')]);
    const { password, password2 } = await passwordsOf(job);
    const readme = readFileSync(join(folder, 'kit', 'README.txt'), 'utf8');
    expect(readme).toContain(password);
    expect(readme).toContain(password2);
    expect(readme).toContain(`backup:ada-backups/e3-${job}`);
    const configuration = readFileSync(join(folder, 'kit', 'rclone.conf'), 'utf8');
    expect(configuration).toContain('endpoint = https://storage.example.test');
    expect(configuration).not.toContain('AKADA');
    expect(configuration).not.toContain(password);
    expect(readFileSync(join(folder, 'kit', 'read-point.py'), 'utf8')).toContain('cryptdecode');
    expect((await jobOf(job))['recovery_kit_at']).toMatch(/^\d{4}-/);
    expect(await auditActions()).toEqual(['job.created', 'job.recovery_kit_downloaded']);
    await kit(job, 'Photos');
    expect(await auditActions()).toHaveLength(3);
  });

  it('is given to nobody who does not confirm it, and that is written down too', async () => {
    const job = await encrypted();
    for (const confirmation of ['', 'photos of others', job]) {
      const answer = await kit(job, confirmation);
      expect([answer.status, JSON.parse(String(answer.body))]).toMatchObject([403, { code: 'CONFIRMATION_FAILED' }]);
    }
    expect(await auditActions()).toEqual([
      'job.created',
      ...Array.from({ length: 3 }, () => 'job.recovery_kit_refused'),
    ]);
    expect((await jobOf(job))['recovery_kit_at']).toBeNull();
  });

  it('cannot be had by guessing: after ten refusals nothing is even asked for a while', async () => {
    const job = await encrypted();
    for (let guess = 0; guess < 10; guess += 1) expect((await kit(job, `guess ${guess}`)).status).toBe(403);
    const late = await kit(job, 'Photos');
    expect([late.status, JSON.parse(String(late.body))]).toMatchObject([429, { code: 'RATE_LIMITED' }]);
    expect(await auditActions()).toHaveLength(11);
    await portal.database.knex('s3_cloudbackup_audit').update({ ts: '2020-01-01 00:00:00.000' });
    expect((await kit(job, 'Photos')).status).toBe(200);
  });

  it('is asked for by a form of our own pages only', async () => {
    const job = await encrypted();
    const fields = { job_id: job, confirmation: 'Photos' };
    const send = request(portal.app).post(`${MOUNTED}/api/cloudbackup_recovery_kit`).set('x-test-person', 'ada');
    expect(await codeOf(send.send(fields))).toEqual([403, 'CSRF_INVALID']);
    expect(await codeOf(ada().get('cloudbackup_recovery_kit', fields))).toEqual([405, 'METHOD_NOT_ALLOWED']);
    expect(await codeOf(portal.as('grace').post('cloudbackup_recovery_kit', fields))).toEqual([404, 'JOB_NOT_FOUND']);
  });

  it('of a job without encryption does not exist; of a deleted one it does, as long as its keys do', async () => {
    const plain = await makeJob(portal);
    expect(await codeOf(ada().post('cloudbackup_recovery_kit', { job_id: plain, confirmation: 'Photos' }))).toEqual([
      409,
      'NOT_ENCRYPTED',
    ]);
    const job = await encrypted();
    for (const uuid of [plain, job]) await ada().post('cloudbackup_delete_job', { job_id: uuid });
    expect((await kit(job, 'Photos')).status).toBe(200);
    // The pages lead there too.
    const listed = await ada().page('/jobs/deleted');
    expect(listed.text).toContain(`/jobs/${job}/recovery-kit"`);
    expect(listed.text).not.toContain(`/jobs/${plain}/recovery-kit"`);
    const page = await ada().page(`/jobs/${job}/recovery-kit`);
    expect(page.status).toBe(200);
    expect(page.text).toContain('the deleted job “Photos”');
    expect(page.text).not.toContain(`/jobs/${job}"`);
    expect((await portal.as('grace').page(`/jobs/${job}/recovery-kit`)).status).toBe(404);
    await portal.database.knex('s3_cloudbackup_keys').where({ owner_uuid: job }).delete();
    expect(await codeOf(ada().post('cloudbackup_recovery_kit', { job_id: job, confirmation: 'Photos' }))).toEqual([
      409,
      'ERR_CRYPT_KEYS_MISSING',
    ]);
  });

  it('takes the password where the host can tell whether it is right', async () => {
    const asked: [number, string][] = [];
    const own = await openPortal({
      confirmPassword: (clientId, password) => {
        asked.push([clientId, password]);
        return Promise.resolve(password === 'right');
      },
    });
    try {
      await giveKeys(own);
      const job = await makeJob(own, 'ada', { encryption_enabled: true });
      const post = (confirmation: string) =>
        request(own.app)
          .post(`${MOUNTED}/api/cloudbackup_recovery_kit`)
          .set('x-test-person', 'ada')
          .set('X-CSRF-Token', own.as('ada').token)
          .send({ job_id: job, confirmation });
      expect(await codeOf(post('Photos'))).toEqual([403, 'CONFIRMATION_FAILED']);
      expect(await codeOf(post(''))).toEqual([403, 'CONFIRMATION_FAILED']);
      expect((await post('right')).status).toBe(200);
      expect(asked).toEqual([
        [own.clientId('ada'), 'Photos'],
        [own.clientId('ada'), 'right'],
      ]);
      expect(own.backup.services.forClient(own.clientId('ada')).recovery.confirmation).toBe('password');
    } finally {
      await own.close();
    }
  });
});
