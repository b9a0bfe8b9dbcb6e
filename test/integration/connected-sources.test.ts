import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { ClientSources, readConnection } from '../../src/database/sources.ts';
import { Secrets } from '../../src/security/envelope.ts';
import { startCloudFake, type CloudFake } from '../servers/cloud-fake.ts';
import { KEY, startWorld, type World } from './world.ts';

let world: World;
let fake: CloudFake;
const secrets = new Secrets([KEY]);

// On MariaDB, so that the worker has the rights of deploy/mariadb-grants.sql and no others.
beforeAll(async () => {
  fake = await startCloudFake();
  world = await startWorld('mysql');
  for (const [setting, value] of [
    ['cloudbackup_google_client_id', fake.google.oauth.clientId],
    ['cloudbackup_google_client_secret', fake.google.oauth.clientSecret],
  ] as const)
    await world.database.knex('tbladdonmodules').insert({ module: 'cloudstorage', setting, value });
  await world.startWorker({ ...fake.env });
}, 120_000);
afterAll(async () => {
  await world.stop();
  await fake.stop();
}, 60_000);

async function connect(): Promise<string> {
  const uuid = v7();
  await world.database.transaction(async (trx) => {
    await new ClientSources(world.database, world.clientId).insert(trx, {
      uuid,
      provider: 'google_drive',
      displayName: 'Google Drive',
      accountEmail: 'ada@gmail.example',
      scopes: [],
      refreshTokenEnc: secrets.seal('source.refresh-token', uuid, fake.google.oauth.issueRefreshToken()),
    });
  });
  return uuid;
}

const connection = async (uuid: string) => await readConnection(world.database, { clientId: world.clientId, uuid });
const problemsOf = async (runId: string) =>
  Object.fromEntries(
    (await world.client.proofs.files(runId, { limit: 50 })).rows.map(({ path, code }) => [path, code]),
  );

it('a Google Drive is backed up, by name where it cannot be, and again when its authorization is renewed', async () => {
  const { google } = fake;
  google.oauth.rotates = true;
  const folder = google.folder('Photos');
  const photo = google.file('a.jpg', 'the photo', folder);
  google.document('Letter', 'document', 'the letter');
  google.document('Survey', 'form', '');
  google.file('twice.txt', 'first');
  google.file('twice.txt', 'second');
  google.shortcut('circle', folder, folder);
  google.file('malware.exe', 'x', folder, { refusal: { status: 403, reason: 'cannotDownloadAbusiveFile' } });
  const uuid = await connect();
  const before = (await connection(uuid))?.refreshTokenEnc;
  const jobId = await world.createJob({ source_type: 'google_drive', source_config: {}, source_connection_id: uuid });

  const first = await world.backUp(jobId);
  expect(first).toMatchObject({ status: 'warning' });
  expect(await problemsOf(first.run_id)).toEqual({
    Survey: 'UNEXPORTABLE',
    'twice.txt': 'DUPLICATE_NAME',
    'Photos/circle': 'SYMLINK_LOOP',
    'Photos/malware.exe': 'ERR_FILE_WITHHELD',
  });
  const [point] = (await world.client.points.list({ jobId })).rows;
  const listed = await world.client.browse.folder({ pointId: point?.point_id ?? '', folder: '', limit: 50 });
  expect(listed.folders).toMatchObject([{ name: 'Photos', files: 2 }]);
  expect(listed.files.map(({ name }) => name)).toEqual(['Letter.docx', 'twice.txt']);

  const after = await connection(uuid);
  expect(after?.refreshTokenEnc).not.toBe(before);
  const token = secrets.open('source.refresh-token', uuid, after?.refreshTokenEnc ?? '');
  expect(google.oauth.refreshTokens.has(token)).toBe(true);
  expect(world.workers()[0]?.log()).not.toContain(token);
  expect(existsSync(world.runFolder) ? readdirSync(world.runFolder) : []).toEqual([]);

  google.oauth.refusal = { status: 400, error: 'invalid_grant' };
  const refused = await world.backUp(jobId);
  expect(refused).toMatchObject({ status: 'failed', problem: { code: 'ERR_GDRIVE_REFRESH_PRECHECK' } });
  expect(await connection(uuid)).toMatchObject({ status: 'error' });

  google.oauth.refusal = null;
  google.items.delete(photo);
  google.file('b.jpg', 'another photo', folder);
  expect(await world.backUp(jobId)).toMatchObject({ status: 'warning' });
  // The document has not changed: its date says so.
  expect(google.requests.filter(({ host }) => host === 'docs.google.com')).toHaveLength(1);
  expect(await connection(uuid)).toMatchObject({ status: 'active' });
}, 180_000);

it('a connection can be tried without a job, by its own client only', async () => {
  const uuid = await connect();
  const source = { source_type: 'google_drive', source_config: {}, source_connection_id: uuid };
  expect(await world.client.connections.test(source)).toMatchObject({
    ok: true,
    sample: expect.arrayContaining(['Photos/']),
  });
  await expect(world.stranger.connections.test(source)).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
}, 60_000);

it('connections of a terminated service are given up by a worker, once none of its backups stays', async () => {
  const uuid = await connect();
  const { knex } = world.database;
  await knex('tblhosting').where('userid', world.clientId).update({ domainstatus: 'Terminated' });
  await knex('tbladdonmodules').insert({
    ...{ module: 'cloudstorage', setting: 'cloudbackup_terminated_grace_days', value: '14' },
  });
  await knex('s3_cloudbackup_jobs').where('client_id', world.clientId).update({ data_state: 'gone' });
  const token = secrets.open('source.refresh-token', uuid, (await connection(uuid))?.refreshTokenEnc ?? '');
  // What a worker looks after every hour, it looks after when it starts.
  await world.startWorker({ ...fake.env });
  for (const end = Date.now() + 30_000; (await connection(uuid))?.status !== 'revoked'; await delay(50))
    if (Date.now() > end) throw new Error('the connection was not given up');
  expect((await connection(uuid))?.refreshTokenEnc).toBeNull();
  expect(fake.google.oauth.revoked).toContain(token);
  const entries = await knex('s3_cloudbackup_audit').where('action', 'source.disconnected').pluck('target_id');
  expect(entries).toContain(uuid);
}, 60_000);
