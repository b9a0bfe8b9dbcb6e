import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyTables } from '../database/both.ts';
import { startCloudFake, type CloudFake } from '../servers/cloud-fake.ts';
import { apiError } from '../servers/google-fake.ts';
import { jobFields, openPortal, type Person, type TestPortal } from './portal.ts';

const PUBLIC = 'https://portal.example.test/backup';

let fake: CloudFake;
let portal: TestPortal;
beforeAll(async () => {
  fake = await startCloudFake();
  portal = await openPortal({
    publicUrl: `${PUBLIC}/`,
    connectionTestsPerMinute: 1_000,
    env: {
      ...fake.env,
      GOOGLE_CLIENT_ID: fake.google.oauth.clientId,
      GOOGLE_CLIENT_SECRET: fake.google.oauth.clientSecret,
      CLOUD_BACKUP_DROPBOX_CLIENT_ID: fake.dropbox.oauth.clientId,
      CLOUD_BACKUP_DROPBOX_CLIENT_SECRET: fake.dropbox.oauth.clientSecret,
    },
  });
}, 60_000);
beforeEach(async () => {
  await emptyTables(portal.database);
  for (const { oauth } of [fake.google, fake.dropbox])
    Object.assign(oauth, { grants: null, withoutRefreshToken: false, refusal: null });
  fake.google.email = 'ada@gmail.example';
});
afterAll(async () => {
  await portal.close();
  await fake.stop();
});

type Service = 'google_drive' | 'dropbox';

const oauthOf = (service: Service) => (service === 'dropbox' ? fake.dropbox.oauth : fake.google.oauth);

/** Begins, consents at the service, and gives what the browser brings back. */
async function consent(person: Person, service: Service, fields: object = { provider: service }): Promise<URL> {
  const begun = await portal.as(person).post('cloudbackup_connect_source', { ...fields });
  expect(begun.body).toMatchObject({ status: 'success' });
  return oauthOf(service).consent((begun.body as { url: string }).url);
}

async function connect(person: Person, service: Service, fields?: object) {
  const back = await consent(person, service, fields);
  return await finish(person, back);
}

async function finish(person: Person, back: URL) {
  const { searchParams: given } = back;
  return await portal
    .as(person)
    .post('cloudbackup_finish_source', { state: given.get('state'), code: given.get('code') });
}

const rows = async () =>
  (await portal.database.knex('s3_cloudbackup_sources').select('*')) as Record<string, unknown>[];
const listed = async (person: Person) =>
  ((await portal.as(person).get('cloudbackup_list_sources')).body as { sources: Record<string, unknown>[] }).sources;

describe('connecting an account', () => {
  it.each(['google_drive', 'dropbox'] as const)('goes to %s and back, and stores a sealed token', async (service) => {
    const begun = await portal.as('ada').post('cloudbackup_connect_source', { provider: service });
    const asked = new URL((begun.body as { url: string }).url);
    const path = service === 'dropbox' ? '/oauth/dropbox/callback' : '/oauth/google/callback';
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      client_id: oauthOf(service).clientId,
      redirect_uri: PUBLIC + path,
      response_type: 'code',
      code_challenge_method: 'S256',
      ...(service === 'dropbox'
        ? { token_access_type: 'offline' }
        : { access_type: 'offline', prompt: 'consent', scope: 'https://www.googleapis.com/auth/drive.readonly' }),
    });
    const back = oauthOf(service).consent(asked.href);
    const page = await portal.as('ada').page(path + back.search);
    expect(page.status).toBe(200);
    expect(page.text).toContain(`value="${back.searchParams.get('state')}"`);
    expect(await rows()).toEqual([]);
    const finished = await finish('ada', back);
    expect(finished.body).toMatchObject({ status: 'success', message: 'The account is connected.' });
    const [row] = await rows();
    expect(row).toMatchObject({ provider: service, status: 'active', client_id: portal.clientId('ada') });
    const stored = portal.secrets.open(
      'source.refresh-token',
      String(row?.['uuid']),
      String(row?.['refresh_token_enc']),
    );
    expect(oauthOf(service).refreshTokens.has(stored)).toBe(true);
    const audit = (await portal.database.knex('s3_cloudbackup_audit').select('*')) as Record<string, unknown>[];
    expect(audit).toMatchObject([{ action: 'source.connected', target_id: row?.['uuid'] }]);
    expect(JSON.stringify(audit)).not.toContain(stored);
    expect(await listed('ada')).toMatchObject([{ id: row?.['uuid'], provider: service, status: 'active', jobs: 0 }]);
    expect(await listed('grace')).toEqual([]);
  });

  it('is finished once, by whoever began it, and not for ever', async () => {
    const back = await consent('ada', 'google_drive');
    expect((await finish('grace', back)).body).toMatchObject({ code: 'OAUTH_STATE_INVALID' });
    expect((await finish('ada', back)).status).toBe(200);
    expect((await finish('ada', back)).body).toMatchObject({ code: 'OAUTH_STATE_INVALID' });
    const late = await consent('ada', 'google_drive');
    await portal.database.knex('s3_cloudbackup_oauth_states').update({ expires_at: '2026-01-01 00:00:00.000' });
    expect((await finish('ada', late)).body).toMatchObject({ code: 'OAUTH_STATE_INVALID' });
    expect(await rows()).toHaveLength(1);
  });

  it('cannot be finished with a code of another authorization: the verifier does not fit', async () => {
    const [mine, other] = [await consent('ada', 'google_drive'), await consent('grace', 'google_drive')];
    mine.searchParams.set('code', other.searchParams.get('code') ?? '');
    expect((await finish('ada', mine)).body).toMatchObject({ code: 'OAUTH_REFUSED' });
    expect(await rows()).toEqual([]);
  });

  it('that was declined, or allowed in part, or for a moment only, stores nothing', async () => {
    const declined = await consent('ada', 'google_drive');
    declined.searchParams.delete('code');
    const page = await portal
      .as('ada')
      .page(`/oauth/google/callback?state=${declined.searchParams.get('state')}&error=access_denied`);
    expect(page.text).toContain('You declined');
    expect((await finish('ada', declined)).body).toMatchObject({ code: 'OAUTH_REFUSED' });
    fake.google.oauth.grants = 'openid';
    expect((await connect('ada', 'google_drive')).body).toMatchObject({ code: 'OAUTH_SCOPE_MISSING' });
    Object.assign(fake.google.oauth, { grants: null, withoutRefreshToken: true });
    expect((await connect('ada', 'google_drive')).body).toMatchObject({ code: 'OAUTH_NO_REFRESH_TOKEN' });
    expect(await rows()).toEqual([]);
  });

  it('twice is one connection; another account at the re-authorization is refused', async () => {
    const first = (await connect('ada', 'google_drive')).body as { source_id: string };
    const second = (await connect('ada', 'google_drive')).body as { source_id: string };
    expect(second.source_id).toBe(first.source_id);
    fake.google.email = 'somebody@else.example';
    const other = await connect('ada', 'google_drive', { source_id: first.source_id });
    expect(other.body).toMatchObject({ code: 'OAUTH_OTHER_ACCOUNT' });
    expect(await rows()).toMatchObject([{ account_email: 'ada@gmail.example' }]);
  });

  it('heals a connection that was refused', async () => {
    const { source_id } = (await connect('ada', 'google_drive')).body as { source_id: string };
    const meta = JSON.stringify({ error_code: 'ERR_GDRIVE_REFRESH_PRECHECK' });
    await portal.database.knex('s3_cloudbackup_sources').update({ status: 'error', meta });
    expect(await listed('ada')).toMatchObject([
      { status: 'error', message: expect.stringMatching(/Re-authorize it\.$/) },
    ]);
    const page = await portal.as('ada').page('/sources');
    expect(page.text).toContain('Re-authorize');
    await connect('ada', 'google_drive', { source_id });
    expect(await listed('ada')).toMatchObject([{ id: source_id, status: 'active', message: 'Connected.' }]);
  });

  it('is not offered where the operator has not set it up', async () => {
    const bare = await openPortal();
    try {
      const answer = await bare.as('ada').get('cloudbackup_list_sources');
      expect(answer.body).toMatchObject({
        sources: [],
        providers: [
          { provider: 'google_drive', available: false },
          { provider: 'dropbox', available: false },
        ],
      });
      const begun = await bare.as('ada').post('cloudbackup_connect_source', { provider: 'google_drive' });
      expect(begun.body).toMatchObject({ code: 'ERR_GDRIVE_NO_CLIENT_CREDENTIALS' });
      expect((await bare.as('ada').page('/sources')).text).toContain('not set up here');
    } finally {
      await bare.close();
    }
  });
});

describe('disconnecting', () => {
  it.each(['google_drive', 'dropbox'] as const)(
    'forgets the token and takes the consent back at %s',
    async (service) => {
      const { source_id } = (await connect('ada', service)).body as { source_id: string };
      const gone = await portal.as('ada').post('cloudbackup_disconnect_source', { id: source_id });
      expect(gone.body).toMatchObject({ withdrawn: true });
      expect(oauthOf(service).revoked).toHaveLength(1);
      expect(await rows()).toMatchObject([{ status: 'revoked', refresh_token_enc: null }]);
      const again = await portal.as('ada').post('cloudbackup_disconnect_source', { id: source_id });
      expect(again.body).toMatchObject({ status: 'success', withdrawn: false });
      oauthOf(service).revoked.length = 0;
    },
  );

  it('works when the service refuses the token already', async () => {
    const { source_id } = (await connect('ada', 'dropbox')).body as { source_id: string };
    fake.dropbox.oauth.revokeAll();
    const gone = await portal.as('ada').post('cloudbackup_disconnect_source', { id: source_id });
    expect(gone.body).toMatchObject({ withdrawn: false });
    expect(await rows()).toMatchObject([{ status: 'revoked', refresh_token_enc: null }]);
  });
});

describe('a job of a connected account', () => {
  const fields = (source_connection_id: string, more: object = {}) =>
    jobFields(portal, {
      source_type: 'google_drive',
      source_config: {},
      source_path: 'Photos',
      source_connection_id,
      ...more,
    });

  it('names its connection, keeps it when it is changed, and shows no token', async () => {
    const { source_id } = (await connect('ada', 'google_drive')).body as { source_id: string };
    const made = await portal.as('ada').post('cloudbackup_create_job', fields(source_id));
    const { job_id } = made.body as { job_id: string };
    const [row] = await rows();
    const stored = async () =>
      (await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job_id).first('source_connection_id')) as object;
    expect(await stored()).toMatchObject({ source_connection_id: row?.['id'] });
    await portal.as('ada').post('cloudbackup_update_job', {
      job_id,
      gdrive_path: 'Other',
      source_config: { connection: source_id, root_folder_id: 'abc_-1' },
    });
    expect(await stored()).toMatchObject({ source_connection_id: row?.['id'] });
    const job = await portal.as('ada').get('cloudbackup_get_job', { job_id });
    expect(job.body).toMatchObject({
      source: {
        config: { connection: source_id, account: 'ada@gmail.example', root_folder_id: 'abc_-1' },
        summary: 'ada@gmail.example: My Drive/chosen folder/Other',
        path: 'Other',
      },
    });
    expect(job.text).not.toMatch(/refresh-/);
    expect(await listed('ada')).toMatchObject([{ jobs: 1 }]);
  });

  it('is refused with a connection of another service, or one that was disconnected', async () => {
    const { source_id: box } = (await connect('ada', 'dropbox')).body as { source_id: string };
    const wrong = await portal.as('ada').post('cloudbackup_create_job', fields(box));
    expect(wrong.body).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    await portal.as('ada').post('cloudbackup_disconnect_source', { id: box });
    const gone = await portal.as('ada').post('cloudbackup_create_job', fields(box, { source_type: 'dropbox' }));
    expect(gone.body).toMatchObject({ code: 'SOURCE_NOT_CONNECTED' });
    const none = await portal.as('ada').post('cloudbackup_create_job', fields(''));
    expect(none.body).toMatchObject({
      code: 'ERR_SOURCE_CONFIG',
      fields: { connection: 'choose a connected account' },
    });
  });
});

describe('the folder picker of Google Drive', () => {
  it('lists shared drives and folders, by name and id only', async () => {
    const { source_id } = (await connect('ada', 'google_drive')).body as { source_id: string };
    const photos = fake.google.folder("Ada's photos");
    const year = fake.google.folder('2026', photos);
    fake.google.file('a.jpg', 'x', photos);
    const team = fake.google.sharedDrive('Team');
    const inTeam = fake.google.folder('Plans', team);
    const ask = async (query: Record<string, string>) =>
      (await portal.as('ada').get('cloudbackup_gdrive_list', { source_connection_id: source_id, ...query })).body as {
        items: { id: string; name: string }[];
      };
    const ids = ({ items }: { items: { id: string }[] }) => items.map(({ id }) => id);
    expect(ids(await ask({}))).toEqual([photos]);
    expect(ids(await ask({ q: "Ada's" }))).toEqual([photos]);
    expect(ids(await ask({ q: 'Grace' }))).toEqual([]);
    expect(ids(await ask({ parentId: photos }))).toEqual([year]);
    expect((await ask({ parentId: photos, includeFiles: '1' })).items.map(({ name }) => name)).toEqual([
      '2026',
      'a.jpg',
    ]);
    expect(ids(await ask({ mode: 'drives' }))).toEqual([team]);
    expect(ids(await ask({ driveId: team }))).toEqual([inTeam]);
    const strange = await portal
      .as('ada')
      .get('cloudbackup_gdrive_list', { source_connection_id: source_id, parentId: "x' or '1'='1" });
    expect(strange.body).toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('waits when Google asks for it, and not for ever', async () => {
    const { source_id } = (await connect('ada', 'google_drive')).body as { source_id: string };
    const later = apiError(429, 'rateLimitExceeded', 'later', { 'retry-after': '1' });
    const ask = async () => await portal.as('ada').get('cloudbackup_gdrive_list', { source_connection_id: source_id });
    fake.google.next.push(later);
    expect((await ask()).status).toBe(200);
    fake.google.next.push(later, later);
    expect((await ask()).body).toMatchObject({ code: 'ERR_RATE_LIMIT' });
  });

  it('says when the authorization is refused, and marks the connection', async () => {
    const { source_id } = (await connect('ada', 'google_drive')).body as { source_id: string };
    fake.google.oauth.revokeAll();
    const answer = await portal.as('ada').get('cloudbackup_gdrive_list', { source_connection_id: source_id });
    expect(answer.body).toMatchObject({ code: 'ERR_GDRIVE_REFRESH_PRECHECK' });
    expect(await listed('ada')).toMatchObject([{ status: 'error' }]);
  });
});
