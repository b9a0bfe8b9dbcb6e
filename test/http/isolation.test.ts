import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import type { Response } from 'supertest';
import { v7 } from 'uuid';
import { endpoints } from '../../api/index.ts';
import { tables } from '../../migrations/index.ts';
import { pages } from '../../src/http/pages/index.ts';
import { ClientSources } from '../../src/database/sources.ts';
import { jobFields, makeJob, makePoint, openPortal, type Person, type TestPortal } from './portal.ts';

/** Identifiers of things that belong to one person, or to nobody at all. */
interface Ids {
  readonly job: string;
  readonly deletedJob: string;
  readonly run: string;
  readonly queuedRun: string;
  readonly point: string;
  readonly drill: string;
  readonly bucket: number;
  /** A connected Google Drive. */
  readonly source: string;
}

/**
 * How each endpoint is tried with identifiers. `tries` gets the identifiers under test and the caller's own ones, and names every
 * parameter that takes one, each alone. `sees`: the endpoint takes none; its answer must be about the caller only.
 */
type Case =
  { readonly tries: (ids: Ids, own: Ids) => readonly Record<string, unknown>[] } | { readonly sees: 'own data' };

const cases: Readonly<Record<string, Case>> = {
  bucket_list: { sees: 'own data' },
  cloudbackup_list_sources: { sees: 'own data' },
  cloudbackup_connect_source: {
    tries: (ids) => [{ source_id: ids.source }, { source_id: ids.source, provider: 'dropbox' }],
  },
  // Takes no identifier: what another customer began is tried in test/http/sources.test.ts.
  cloudbackup_finish_source: { sees: 'own data' },
  cloudbackup_disconnect_source: { tries: (ids) => [{ id: ids.source }] },
  cloudbackup_gdrive_list: {
    tries: (ids) => [{ source_connection_id: ids.source }, { source_connection_id: ids.source, mode: 'drives' }],
  },
  cloudbackup_get_settings: { sees: 'own data' },
  cloudbackup_update_settings: { sees: 'own data' },
  cloudbackup_list_jobs: { tries: (ids) => [{ cursor: ids.job }] },
  cloudbackup_list_runs: { tries: (ids) => [{ job_id: ids.job }, { cursor: ids.run }] },
  cloudbackup_list_points: { tries: (ids, own) => [{ job_id: ids.job }, { job_id: own.job, cursor: ids.point }] },
  cloudbackup_browse_snapshot: {
    tries: (ids) => [{ point_id: ids.point }, { restore_point_id: ids.point, folder: 'a', cursor: 'x' }],
  },
  cloudbackup_search_snapshot: { tries: (ids) => [{ point_id: ids.point, query: 'a', cursor: 'x' }] },
  cloudbackup_file_versions: {
    tries: (ids, own) => [
      { job_id: ids.job, path: 'a' },
      { job_id: own.job, path: 'a', cursor: ids.point },
    ],
  },
  cloudbackup_compare_snapshots: {
    tries: (ids, own) => [
      { point_id: ids.point, other_point_id: own.point, cursor: 'x' },
      { point_id: own.point, other_point_id: ids.point },
    ],
  },
  cloudbackup_download: {
    tries: (ids) => [{ point_id: ids.point }, { point_id: ids.point, paths: 'a', format: 'file' }],
  },
  cloudbackup_recovery_kit: { tries: (ids) => [{ job_id: ids.job }, { job_uuid: ids.job, confirmation: 'x' }] },
  cloudbackup_start_validation: {
    tries: (ids, own) => [{ job_id: ids.job }, { job_id: own.job, point_id: ids.point }],
  },
  cloudbackup_start_drill: { tries: (ids) => [{ job_id: ids.job }] },
  cloudbackup_list_drills: { tries: (ids) => [{ job_id: ids.job }, { cursor: ids.drill }] },
  cloudbackup_list_run_files: {
    tries: (ids) => [{ run_id: ids.run }, { run_uuid: ids.run, kind: 'failed', text: 'x' }],
  },
  cloudbackup_download_run_files: { tries: (ids) => [{ run_id: ids.run }] },
  cloudbackup_get_job: { tries: (ids) => [{ job_id: ids.job }, { job_uuid: ids.job }] },
  cloudbackup_create_job: {
    tries: (ids) => [
      { ...jobFields(portal), dest_bucket_id: ids.bucket },
      { ...jobFields(portal), dest_bucket_id: String(ids.bucket), dest_prefix: 'adas-folder' },
      { ...driveJob(), source_connection_id: ids.source },
      { ...driveJob(), source_config: { connection: ids.source } },
    ],
  },
  cloudbackup_update_job: {
    tries: (ids, own) => [
      { job_id: ids.job, name: 'taken over' },
      { job_id: ids.job, status: 'paused' },
      { job_id: own.job, dest_bucket_id: ids.bucket, dest_prefix: 'x' },
      { job_id: own.job, ...driveSource, source_connection_id: ids.source },
    ],
  },
  cloudbackup_delete_job: { tries: (ids) => [{ job_id: ids.job }, { job_id: ids.job, data: 'delete' }] },
  cloudbackup_undelete_data: { tries: (ids) => [{ job_id: ids.job }, { job_id: ids.deletedJob }] },
  cloudbackup_list_deleted_jobs: { tries: (ids) => [{ cursor: ids.deletedJob }] },
  cloudbackup_preview_retention: {
    tries: (ids) => [{ job_id: ids.job }, { job_id: ids.job, retention_mode: 'keep_last_n', retention_value: 1 }],
  },
  cloudbackup_undo_retention: { tries: (ids) => [{ job_id: ids.job }] },
  cloudbackup_pin_point: { tries: (ids) => [{ point_id: ids.point }] },
  cloudbackup_unpin_point: { tries: (ids) => [{ point_id: ids.point }] },
  cloudbackup_start_run: { tries: (ids) => [{ job_id: ids.job }, { job_id: ids.job, allow_empty: 1 }] },
  cloudbackup_cancel_run: {
    tries: (ids) => [{ run_id: ids.queuedRun }, { run_uuid: ids.queuedRun, force: 1 }, { run_id: ids.run }],
  },
  cloudbackup_progress: { tries: (ids) => [{ run_id: ids.run }, { run_uuid: ids.run }] },
  cloudbackup_get_run_events: { tries: (ids) => [{ run_id: ids.run }, { run_id: ids.queuedRun, since_id: 0 }] },
  cloudbackup_start_restore: {
    tries: (ids, own) => [
      { point_id: ids.point, dest_bucket_id: own.bucket, dest_prefix: 'restored' },
      { restore_point_id: ids.point, dest_bucket_id: own.bucket, dest_prefix: 'restored' },
      { point_id: own.point, dest_bucket_id: ids.bucket, dest_prefix: 'restored' },
      { point_id: own.point, dest_bucket_id: ids.bucket, dest_prefix: 'adas-folder' },
      { point_id: ids.point, target: 'source', overwrite: 'always' },
      { job_id: ids.job, moment: Date.now(), target: 'source' },
      { job_id: ids.job, point_id: own.point, target: 'source' },
      { point_id: ids.point, target: 'source', dry_run: 1 },
    ],
  },
  cloudbackup_list_snapshots: {
    tries: (ids, own) => [{ job_id: ids.job }, { job_id: own.job, cursor: ids.point }],
  },
  cloudbackup_test_connection: {
    tries: (ids) => [
      { job_id: ids.job },
      { job_id: ids.job, source_path: 'x' },
      { ...driveSource, source_connection_id: ids.source },
    ],
  },
  cloudbackup_browse_source: {
    tries: (ids) => [
      { job_id: ids.job },
      { job_id: ids.job, path: 'x' },
      { ...driveSource, source_connection_id: ids.source },
    ],
  },
  cloudbackup_accept_host_key: { tries: (ids) => [{ job_id: ids.job, fingerprint: 'SHA256:x' }] },
  cloudbackup_release_brake: { tries: (ids) => [{ job_id: ids.job }] },
  admin_list_runs: { sees: 'own data' },
  admin_list_workers: { sees: 'own data' },
  admin_force_stop: { tries: (ids) => [{ run_id: ids.queuedRun }, { run_id: ids.run }] },
};

let portal: TestPortal;
let adas: Ids;
let graces: Ids;
let missing: Ids;

beforeAll(async () => {
  portal = await openPortal({ connectionTestsPerMinute: 100_000 });
  adas = await furnish('ada');
  graces = await furnish('grace');
  missing = {
    job: v7(),
    deletedJob: v7(),
    run: v7(),
    queuedRun: v7(),
    point: v7(),
    drill: v7(),
    bucket: 987_654,
    source: v7(),
  };
});
afterAll(async () => await portal.close());

async function furnish(person: 'ada' | 'grace'): Promise<Ids> {
  const job = await makeJob(portal, person, { name: `secret job of ${person}`, dest_prefix: `${person}s-folder` });
  const { run, point } = await makePoint(portal, job);
  const { knex } = portal.database;
  await knex('s3_cloudbackup_jobs').where('uuid', job).update({
    frozen_at: '2026-01-01 00:00:00.000',
    source_host_key_seen: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1',
  });
  const drill = await recordProofs(knex, job, run);
  const started = await portal.as(person).post('cloudbackup_start_run', { job_id: job });
  const queuedRun = (started.body as { run_id: string }).run_id;
  const deletedJob = await makeJob(portal, person, {
    name: `old job of ${person}`,
    dest_prefix: `${person}s-old-folder`,
  });
  await portal.as(person).post('cloudbackup_delete_job', { job_id: deletedJob, data: 'delete' });
  return {
    job,
    deletedJob,
    run,
    queuedRun,
    point,
    drill,
    bucket: portal.bucketId(`${person}-backups`),
    source: await connectDrive(person),
  };
}

/** A Google Drive that this person has connected. */
async function connectDrive(person: 'ada' | 'grace'): Promise<string> {
  const uuid = v7();
  await portal.database.transaction(async (trx) => {
    await new ClientSources(portal.database, portal.clientId(person)).insert(trx, {
      uuid,
      provider: 'google_drive',
      displayName: `secret drive of ${person}`,
      accountEmail: `${person}@gmail.example`,
      scopes: [],
      refreshTokenEnc: portal.secrets.seal('source.refresh-token', uuid, `refresh of ${person}`),
    });
  });
  return uuid;
}

const driveSource = { source_type: 'google_drive', source_config: {}, source_path: '' };
const driveJob = () => jobFields(portal, driveSource);

/** A restore test, and a file in the report of the run. */
async function recordProofs(knex: TestPortal['database']['knex'], job: string, run: string): Promise<string> {
  const uuid = v7();
  const time = '2026-01-01 00:00:00.000';
  const { id, client_id } = (await knex('s3_cloudbackup_jobs').where('uuid', job).first('id', 'client_id')) as {
    id: number;
    client_id: number;
  };
  await knex('s3_cloudbackup_drills').insert({
    ...{ uuid, client_id, job_id: id, run_uuid: run, status: 'failed', started_at: time, finished_at: time },
  });
  const { id: runId } = (await knex('s3_cloudbackup_runs').where('uuid', run).first('id')) as { id: number };
  await knex('s3_cloudbackup_run_files').insert({ run_id: runId, kind: 'failed', code: 'x', path: 'secret name' });
  return uuid;
}

async function everything(): Promise<string> {
  const rows: Record<string, unknown> = {};
  for (const table of tables) rows[table] = await portal.database.knex(table).select('*');
  return JSON.stringify(rows);
}

async function call(person: Person, name: string, fields: Record<string, unknown>): Promise<Response> {
  const endpoint = endpoints.find((candidate) => candidate.name === name);
  const browser = portal.as(person);
  if (endpoint?.method === 'GET') return await browser.get(name, fields as Record<string, string>);
  return await browser.post(name, fields);
}

function triesOf(name: string, ids: Ids, own: Ids): readonly Record<string, unknown>[] {
  const found = cases[name];
  return found === undefined || 'sees' in found ? [{}] : found.tries(ids, own);
}

/** What a caller can tell apart: everything but the number of the request and the clock. */
function visible(response: Response): unknown {
  const {
    'x-request-id': _id,
    date: _date,
    ratelimit: _limit,
    ...headers
  } = response.headers as Record<string, string>;
  return { status: response.status, headers, body: response.text };
}

function marksOf(person: 'ada' | 'grace', ids: Ids): string[] {
  return [
    ids.job,
    ids.deletedJob,
    ids.run,
    ids.queuedRun,
    ids.point,
    `${person}-backups`,
    `secret job of ${person}`,
    `${person}s-folder`,
    `old job of ${person}`,
    `${person}s-old-folder`,
    ids.source,
    `secret drive of ${person}`,
  ];
}

describe('the list of endpoints', () => {
  it('holds every file of api/, under its own name', () => {
    const files = readdirSync('api').filter((file) => file !== 'index.ts');
    expect(endpoints.map((endpoint) => `${endpoint.name}.ts`).sort()).toEqual(files.sort());
  });

  it('has a case for each, which tries every parameter that names something', () => {
    expect(Object.keys(cases).sort()).toEqual(endpoints.map((endpoint) => endpoint.name).sort());
    // What admins name may be anybody's.
    for (const endpoint of endpoints.filter((candidate) => candidate.caller === 'client')) {
      const named = Object.keys(endpoint.input.shape).filter((field) => /(?:_id|_uuid|^cursor)$/.test(field));
      const tried = new Set(triesOf(endpoint.name, adas, graces).flatMap(Object.keys));
      const alias = (field: string): string =>
        field.replace(/_id$/, '_uuid').replace(/^point_uuid$/, 'restore_point_id');
      const untried = named.filter((field) => !tried.has(field) && !tried.has(alias(field)));
      const harmless = ['since_id', 'agent_uuid'];
      expect({ name: endpoint.name, untried: untried.filter((field) => !harmless.includes(field)) }).toEqual({
        name: endpoint.name,
        untried: [],
      });
    }
  });
});

describe.each(endpoints.filter((endpoint) => endpoint.caller === 'client').map((endpoint) => endpoint.name))(
  '%s',
  (name) => {
    it('answers about what is another customer’s exactly as about what does not exist, and changes nothing', async () => {
      const before = await everything();
      const [foreign, absent] = [triesOf(name, adas, graces), triesOf(name, missing, graces)];
      for (const [index, fields] of foreign.entries()) {
        const found = cases[name];
        if (found === undefined || 'sees' in found) continue;
        const theirs = await call('grace', name, fields);
        const none = await call('grace', name, absent[index] ?? {});
        expect(visible(theirs)).toEqual(visible(none));
        expect(theirs.status === 404 || isEmptyList(theirs)).toBe(true);
      }
      expect(await everything()).toBe(before);
    });

    it('never shows anything of another customer', async () => {
      const response = await call(
        'grace',
        name,
        name.includes('list') && name.includes('points') ? { job_id: graces.job } : {},
      );
      for (const mark of marksOf('ada', adas)) expect(response.text).not.toContain(mark);
    });

    it.each(['nobody', 'admin'] as const)('is closed to %s', async (person) => {
      const before = await everything();
      const response = await call(person, name, triesOf(name, adas, adas)[0] ?? {});
      expect(response.status).toBe(person === 'nobody' ? 401 : 403);
      expect(response.body).toMatchObject({
        status: 'fail',
        code: person === 'nobody' ? 'UNAUTHENTICATED' : 'FORBIDDEN',
      });
      for (const mark of marksOf('ada', adas)) expect(response.text).not.toContain(mark);
      expect(await everything()).toBe(before);
    });
  },
);

describe.each(endpoints.filter((endpoint) => endpoint.caller === 'admin').map((endpoint) => endpoint.name))(
  '%s',
  (name) => {
    it.each(['nobody', 'ada', 'grace'] as const)('is closed to %s', async (person) => {
      const before = await everything();
      const response = await call(person, name, triesOf(name, adas, adas)[0] ?? {});
      expect(response.status).toBe(person === 'nobody' ? 401 : 403);
      for (const mark of marksOf('ada', adas)) expect(response.text).not.toContain(mark);
      expect(await everything()).toBe(before);
    });

    it('is open to an admin, and says 404 to what does not exist', async () => {
      const response = await call('admin', name, triesOf(name, missing, missing)[0] ?? {});
      expect(response.status).toBe('sees' in (cases[name] ?? {}) ? 200 : 404);
    });
  },
);

describe('pages', () => {
  const named = pages.filter((page) => Object.keys(page.params.shape).length > 0);

  const pathOf = (page: (typeof pages)[number], ids: Ids): string =>
    (page.caller === 'admin' ? '/admin' : '') +
    page.path.replace(':job_id', ids.job).replace(':run_id', ids.run).replace(':point_id', ids.point);

  /** Without the token, which is fresh in every page, and without the address that was asked for. */
  const plain = (response: Response, ids: Ids): string =>
    [ids.job, ids.run, ids.point]
      .reduce((text, id) => text.replaceAll(id, 'ID'), response.text)
      .replace(/[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}/g, 'TOKEN');

  it.each(named.map((page) => [page.path, page] as const))(
    '%s shows nothing of another customer',
    async (_path, page) => {
      expect(pathOf(page, adas)).not.toContain(':');
      const theirs = await portal.as('grace').page(pathOf(page, adas));
      const none = await portal.as('grace').page(pathOf(page, missing));
      expect(theirs.status).toBe(404);
      expect(none.status).toBe(404);
      const withoutClock = (text: string): string => text.replace(/\d\d:\d\d:\d\d/g, 'TIME');
      expect(withoutClock(plain(theirs, adas))).toBe(withoutClock(plain(none, missing)));
    },
  );

  it.each(pages.map((page) => [page.path, page] as const))('%s is for its own people only', async (_path, page) => {
    const path = pathOf(page, adas);
    for (const person of ['nobody', page.caller === 'admin' ? 'ada' : 'admin'] as const) {
      const response = await portal.as(person).page(path);
      expect(response.status).toBe(person === 'nobody' ? 401 : 403);
      for (const mark of marksOf('ada', adas).slice(4)) expect(response.text).not.toContain(mark);
    }
    const other = await portal.as('grace').page(page.caller === 'admin' ? '/jobs' : pathOf(page, graces));
    for (const mark of marksOf('ada', adas)) expect(other.text).not.toContain(mark);
  });

  it('show a customer its own things', async () => {
    for (const page of pages.filter((candidate) => candidate.caller === 'client')) {
      const response = await portal.as('ada').page(pathOf(page, adas));
      // A job that is not encrypted has no kit, and its owner is told so.
      const status = page.path.endsWith('/recovery-kit') ? 409 : 200;
      expect({ path: page.path, status: response.status }).toEqual({ path: page.path, status });
    }
  });
});

function isEmptyList(response: Response): boolean {
  const lists = Object.values(response.body as Record<string, unknown>).filter(Array.isArray);
  return response.status === 200 && lists.length > 0 && lists.every((list) => list.length === 0);
}
