import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { listAudit } from '../../src/database/audit.ts';
import { manifestKey } from '../../src/layout/keys.ts';
import type { Entry } from '../../src/layout/types.ts';
import { PointHold } from '../../src/jobs/point-hold.ts';
import { macKeysOf } from '../../src/security/mac-keys.ts';
import { MemoryBucket, type FaultPlan } from '../../src/storage/memory.ts';
import { storedFile, writePoint, type WrittenPoint } from '../browse/points.ts';
import { emptyTables } from '../database/both.ts';
import { makeJob, makePoint, MOUNTED, openPortal, type Person, type TestPortal } from './portal.ts';

const CLAIM = 'c1-00000000';
const MINUTE = 60_000;

let portal: TestPortal;
let server: Server;
let bucket: MemoryBucket;
let faults: FaultPlan = () => undefined;
let folder: string;

beforeAll(async () => {
  portal = await openPortal({
    browsesPerMinute: 100_000,
    openStore: () => bucket.connect((...request) => faults(...request)),
  });
  const account: unknown = await portal.database.knex('s3_users').where({ username: 'ada-main' }).first('id');
  await portal.database.knex('s3_user_access_keys').insert({
    user_id: (account as { id: number }).id,
    access_key: portal.secrets.sealHostOwned('AKADA'),
    secret_key: portal.secrets.sealHostOwned('secret of ada'),
  });
  server = createServer(portal.app).listen(0, '127.0.0.1');
  folder = mkdtempSync(join(tmpdir(), 'e3-browse-'));
});
beforeEach(async () => {
  await emptyTables(portal.database);
  bucket = new MemoryBucket();
  faults = () => undefined;
});
afterAll(async () => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
  await portal.close();
});

interface Made {
  readonly job: string;
  readonly point: string;
  readonly run: string;
  readonly prefix: string;
  readonly written: WrittenPoint;
}

/** A point of ada's that really lies in the bucket. */
async function pointOf(
  make: (place: { run: string; claim: string; prefix: string }) => Entry[],
  job?: string,
): Promise<Made> {
  const jobId = job ?? (await makeJob(portal));
  const { run, point } = await makePoint(portal, jobId);
  const row = (await portal.database.knex('s3_cloudbackup_jobs').where({ uuid: jobId }).first('dest_prefix')) as {
    dest_prefix: string;
  };
  const place = { run, claim: CLAIM, prefix: row.dest_prefix };
  const written = await writePoint(make(place), { ...place, bucket, job: jobId, keys: macKeysOf(portal.secrets) });
  await portal.database
    .knex('s3_cloudbackup_restore_points')
    .where({ uuid: point })
    .update({ manifest_sha256: written.manifestSha256, files: written.entries.length });
  return { job: jobId, point, run, prefix: place.prefix, written };
}

const some = async (job?: string): Promise<Made> =>
  await pointOf(
    (place) => [
      storedFile(bucket, 'docs/a.txt', 'one', place),
      storedFile(bucket, 'docs/Ä & <b>.txt', 'two', place),
      storedFile(bucket, 'docs/sub/c.txt', 'three', place),
      storedFile(bucket, 'top.bin', randomBytes(2_000), place),
    ],
    job,
  );

const holds = async (): Promise<number> =>
  Number((await portal.database.knex('s3_cloudbackup_holds').count({ n: '*' }).first())?.['n'] ?? 0);

/** A download as a browser makes it, over a real socket. */
function download(
  query: Record<string, string>,
  options: { person?: Person; headers?: Record<string, string> } = {},
): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo;
  const path = `${MOUNTED}/api/cloudbackup_download?${new URLSearchParams(query).toString()}`;
  const headers = { 'x-test-person': options.person ?? 'ada', ...options.headers };
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, resolve).once('error', reject);
  });
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of answer as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

describe('looking into a point', () => {
  it('opens folders, page by page', async () => {
    const { point } = await some();
    const first = await portal.as('ada').get('cloudbackup_browse_snapshot', { point_id: point });
    expect(first.body).toMatchObject({
      status: 'success',
      total_files: 4,
      folders: [{ name: 'docs', path: 'docs', files: 3 }],
      files: [{ name: 'top.bin', size: 2_000, state: 'stored', mtime: '2026-01-02T03:04:05.000Z' }],
      next: null,
    });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: Record<string, string | number> = {
        point_id: point,
        folder: '/docs/',
        limit: 1,
        ...(cursor === null ? {} : { cursor }),
      };
      const page = await portal.as('ada').get('cloudbackup_browse_snapshot', query);
      const body = page.body as { folders: { path: string }[]; files: { path: string }[]; next: string | null };
      seen.push(...[...body.folders, ...body.files].map((row) => row.path));
      cursor = body.next;
    } while (cursor !== null);
    expect(seen).toEqual(['docs/sub', 'docs/a.txt', 'docs/Ä & <b>.txt']);
  });

  it('searches, and lists versions and differences', async () => {
    const first = await some();
    const second = await pointOf(
      (place) => [
        storedFile(bucket, 'docs/a.txt', 'one, changed', place),
        storedFile(bucket, 'docs/new.txt', 'n', place),
      ],
      first.job,
    );
    const found = await portal.as('ada').get('cloudbackup_search_snapshot', { point_id: first.point, query: 'ä &' });
    expect(found.body).toMatchObject({
      found: [{ kind: 'file', path: 'docs/Ä & <b>.txt', size: 3 }],
      searched_files: 4,
      next: null,
    });
    const versions = await portal.as('ada').get('cloudbackup_file_versions', { job_id: first.job, path: 'docs/a.txt' });
    expect(versions.body).toMatchObject({
      versions: [
        { size: 12, points: [{ point_id: second.point }] },
        { size: 3, points: [{ point_id: first.point }] },
      ],
      absent: 0,
      unreadable: 0,
      next: null,
    });
    const compared = await portal
      .as('ada')
      .get('cloudbackup_compare_snapshots', { point_id: second.point, other_point_id: first.point });
    expect(compared.body).toMatchObject({ added: 1, changed: 1, removed: 3, counted: true, next: null });
    const older = await portal
      .as('ada')
      .get('cloudbackup_file_versions', { job_id: first.job, path: 'docs/a.txt', limit: 1 });
    expect(older.body).toMatchObject({ versions: [{ size: 12 }], next: second.point });
  });

  it('refuses what is not there or makes no sense, with words and a stable code', async () => {
    const { point, job } = await some();
    const other = await some(await makeJob(portal, 'ada', { name: 'Other', dest_prefix: 'other' }));
    const cases: [string, Record<string, string>, number, string][] = [
      ['cloudbackup_browse_snapshot', { point_id: point, folder: 'nowhere' }, 404, 'PATH_NOT_FOUND'],
      ['cloudbackup_browse_snapshot', { point_id: point, folder: '../docs' }, 404, 'PATH_NOT_FOUND'],
      ['cloudbackup_browse_snapshot', { point_id: point, cursor: 'nonsense' }, 422, 'INVALID_INPUT'],
      ['cloudbackup_browse_snapshot', { point_id: point, limit: '100000' }, 422, 'INVALID_INPUT'],
      ['cloudbackup_search_snapshot', { point_id: point, query: ' ' }, 422, 'INVALID_INPUT'],
      ['cloudbackup_search_snapshot', { point_id: point, query: 'a\nb' }, 422, 'INVALID_INPUT'],
      ['cloudbackup_file_versions', { job_id: job, path: '' }, 422, 'INVALID_INPUT'],
      ['cloudbackup_compare_snapshots', { point_id: point, other_point_id: other.point }, 422, 'INVALID_INPUT'],
      ['cloudbackup_download', { point_id: point, paths: '../x' }, 422, 'INVALID_INPUT'],
      ['cloudbackup_download', { point_id: point, paths: 'docs', format: 'file' }, 422, 'INVALID_INPUT'],
      ['cloudbackup_download', { point_id: point, paths: 'nowhere' }, 404, 'PATH_NOT_FOUND'],
    ];
    for (const [name, query, status, code] of cases) {
      const answer = await portal.as('ada').get(name, query);
      expect({ query, status: answer.status, code: (answer.body as { code: string }).code }).toEqual({
        query,
        status,
        code,
      });
    }
    expect(await holds()).toBe(0);
  });

  it('tells a damaged point apart from storage that is away', async () => {
    const { point, prefix, run } = await some();
    faults = () => 'error-before';
    const away = await portal.as('ada').get('cloudbackup_browse_snapshot', { point_id: point });
    expect([away.status, (away.body as { code: string }).code]).toEqual([503, 'ERR_S3_PREFLIGHT_NETWORK']);
    faults = () => undefined;
    bucket.write(prefix + manifestKey(run, CLAIM), Buffer.from('{}'));
    const damaged = await portal.as('ada').get('cloudbackup_browse_snapshot', { point_id: point });
    expect([damaged.status, (damaged.body as { code: string }).code]).toEqual([502, 'ERR_MANIFEST_INVALID']);
  });
});

describe('a download', () => {
  it('is one file as itself, or an archive that the real program unpacks to the same bytes', async () => {
    const { point, written, prefix } = await some();
    const file = await download({ point_id: point, paths: 'docs/Ä & <b>.txt', format: 'file' });
    expect(file.headers['content-disposition']).toContain("filename*=UTF-8''%C3%84%20%26%20");
    expect(file.headers).toMatchObject({
      'content-length': '3',
      'content-type': 'application/octet-stream',
      'cache-control': 'no-store',
    });
    expect((await bodyOf(file)).toString()).toBe('two');

    const zip = await download({ point_id: point, paths: JSON.stringify(['docs', 'top.bin']) });
    expect(zip.headers['content-disposition']).toMatch(/Photos \d{4}-\d\d-\d\d\.zip/);
    writeFileSync(join(folder, 'a.zip'), await bodyOf(zip));
    execFileSync('unzip', ['-qo', join(folder, 'a.zip'), '-d', join(folder, 'a')], {
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    const top = written.entries.find((entry) => entry.path === 'top.bin');
    expect(
      readFileSync(join(folder, 'a/top.bin')).equals(bucket.read(prefix + (top?.key ?? ''))?.body ?? Buffer.alloc(0)),
    ).toBe(true);
    expect(readFileSync(join(folder, 'a/docs/sub/c.txt'), 'utf8')).toBe('three');
  });

  it(
    'holds the point while it goes on, renews nothing after it, and stands in the audit log',
    async () => {
      const { point } = await pointOf((place) =>
        Array.from({ length: 300 }, (_, i) => storedFile(bucket, `f${i}`, randomBytes(100_000), place)),
      );
      const answer = await download({ point_id: point });
      expect(await holds()).toBe(1);
      const row: unknown = await portal.database
        .knex('s3_cloudbackup_restore_points')
        .where({ uuid: point })
        .first('holds');
      expect(row).toEqual({ holds: 1 });
      expect((await bodyOf(answer)).length).toBeGreaterThan(300 * 100_000);
      await until(async () => (await holds()) === 0);
      const { entries } = await listAudit(portal.database, { clientId: portal.clientId('ada') });
      const entry = entries.find(({ action }) => action === 'point.downloaded');
      expect(entry).toMatchObject({ actorKind: 'client', targetKind: 'point', targetId: point });
      expect(JSON.parse(entry?.paramsJson ?? '{}')).toMatchObject({ format: 'zip', files: 300, paths: [''] });
    },
    MINUTE,
  );

  it(
    'whose reader goes away stops reading, and gives its hold and its place back',
    async () => {
      const { point } = await pointOf((place) =>
        Array.from({ length: 400 }, (_, i) => storedFile(bucket, `f${i}`, randomBytes(200_000), place)),
      );
      let reads = 0;
      faults = (operation) => {
        if (operation === 'get') reads += 1;
        return undefined;
      };
      const answer = await download({ point_id: point });
      await new Promise((resolve) => answer.once('data', resolve));
      answer.destroy();
      await until(async () => (await holds()) === 0);
      const after = reads;
      expect(after).toBeLessThan(400);
      await portal.as('ada').get('cloudbackup_get_settings');
      expect(reads).toBe(after);
    },
    MINUTE,
  );

  it(
    'is cut when the bucket fails in its middle, so that it is no whole archive',
    async () => {
      const { point } = await pointOf((place) =>
        Array.from({ length: 200 }, (_, i) =>
          storedFile(bucket, `f${String(i).padStart(3, '0')}`, randomBytes(100_000), place),
        ),
      );
      faults = (operation, key) => (operation === 'get' && key.endsWith('f150') ? 'error-before' : undefined);
      const answer = await download({ point_id: point, format: 'tar' });
      expect(answer.statusCode).toBe(200);
      await expect(bodyOf(answer)).rejects.toThrow(/aborted/);
      await until(async () => (await holds()) === 0);
    },
    MINUTE,
  );

  it('leaves a missing object out and says so in the archive; as a file by itself it is refused', async () => {
    const { point, written, prefix } = await some();
    const gone = written.entries.find((entry) => entry.path === 'docs/a.txt');
    bucket.remove(prefix + (gone?.key ?? ''));
    writeFileSync(
      join(folder, 'gap.tar'),
      await bodyOf(await download({ point_id: point, paths: 'docs', format: 'tar' })),
    );
    const listed = execFileSync('tar', ['-tf', join(folder, 'gap.tar')], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(listed).toHaveLength(3);
    expect(
      execFileSync('tar', ['-xOf', join(folder, 'gap.tar'), 'RESTORE-REPORT.txt'], { encoding: 'utf8' }),
    ).toContain('docs/a.txt');
    const file = await download({ point_id: point, paths: 'docs/a.txt', format: 'file' });
    expect(file.statusCode).toBe(502);
    expect(JSON.parse((await bodyOf(file)).toString())).toMatchObject({ status: 'fail', code: 'ERR_OBJECT_MISSING' });
    expect(await holds()).toBe(0);
  });

  it('cannot be started by a page of another site, nor by HEAD', async () => {
    const { point } = await some();
    for (const site of ['cross-site', 'same-site']) {
      const answer = await download({ point_id: point }, { headers: { 'sec-fetch-site': site } });
      expect(answer.statusCode).toBe(403);
      expect(JSON.parse((await bodyOf(answer)).toString())).toMatchObject({ code: 'CSRF_INVALID' });
    }
    const audit = await listAudit(portal.database, { clientId: portal.clientId('ada') });
    expect(audit.entries.some(({ action }) => action === 'point.downloaded')).toBe(false);
    for (const site of ['same-origin', 'none']) {
      const answer = await download({ point_id: point }, { headers: { 'sec-fetch-site': site } });
      expect(answer.statusCode).toBe(200);
      await bodyOf(answer);
    }
  });

  it(
    'is limited to a few of one client at the same time',
    async () => {
      const { point } = await pointOf((place) =>
        Array.from({ length: 200 }, (_, i) => storedFile(bucket, `f${i}`, randomBytes(200_000), place)),
      );
      const open = [
        await download({ point_id: point }),
        await download({ point_id: point }),
        await download({ point_id: point }),
      ];
      const fourth = await download({ point_id: point });
      expect(fourth.statusCode).toBe(429);
      expect(JSON.parse((await bodyOf(fourth)).toString())).toMatchObject({ code: 'TOO_MANY_DOWNLOADS' });
      for (const answer of open) answer.destroy();
      await until(async () => (await holds()) === 0);
      const again = await download({ point_id: point });
      expect(again.statusCode).toBe(200);
      again.destroy();
      await until(async () => (await holds()) === 0);
    },
    MINUTE,
  );

  it(
    'renews its hold while it goes on, and learns when it is lost',
    async () => {
      const { point } = await some();
      const { knex } = portal.database;
      const row: unknown = await knex('s3_cloudbackup_restore_points').where({ uuid: point }).first('id');
      const hold = await PointHold.take(portal.database, { id: (row as { id: number }).id, by: v7() }, 2_000);
      const expiry = async (): Promise<unknown> => await knex('s3_cloudbackup_holds').first('expires_at');
      const before = await expiry();
      await until(async () => JSON.stringify(await expiry()) !== JSON.stringify(before));
      expect(hold.lost.aborted).toBe(false);
      await knex('s3_cloudbackup_holds').delete();
      await until(() => hold.lost.aborted);
      expect(hold.lost.reason).toMatchObject({ code: 'ERR_HOLD_LOST' });
      await hold.release();
    },
    MINUTE,
  );

  it('of a point that is being removed is refused', async () => {
    const { point } = await some();
    await portal.database.knex('s3_cloudbackup_restore_points').where({ uuid: point }).update({ state: 'marked' });
    expect((await download({ point_id: point })).statusCode).toBe(404);
  });
});

describe('many looks in a short time', () => {
  it('are refused, at the endpoints and at the page', async () => {
    const other = await openPortal({ browsesPerMinute: 2 });
    try {
      const job = await makeJob(other);
      const { point, run } = await makePoint(other, job);
      const codes: unknown[] = [];
      for (let i = 0; i < 3; i += 1) {
        const answer = await other.as('ada').get('cloudbackup_browse_snapshot', { point_id: point });
        codes.push((answer.body as { code: string }).code);
      }
      expect(codes.slice(0, 2)).not.toContain('RATE_LIMITED');
      expect(codes[2]).toBe('RATE_LIMITED');
      const pages = [];
      for (let i = 0; i < 3; i += 1) pages.push((await other.as('ada').page(`/runs/${run}/restore`)).status);
      expect(pages).toEqual([200, 200, 429]);
    } finally {
      await other.close();
    }
  });
});

describe('the restore page', () => {
  const textOf = (html: string): string => html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');

  it('shows a folder, a search, versions and a comparison, with every name escaped', async () => {
    const first = await some();
    const second = await some(first.job);
    const page = await portal.as('ada').page(`/runs/${first.run}/restore?folder=docs`);
    expect(page.status).toBe(200);
    expect(page.text).toContain('Ä &amp; &lt;b&gt;.txt');
    expect(page.text).not.toContain('<b>.txt');
    const at = `/jobs/${first.job}/restore?point=${second.point}`;
    expect(textOf((await portal.as('ada').page(`${at}&q=c.TXT`)).text)).toContain('Searched all 4 files');
    expect(textOf((await portal.as('ada').page(`${at}&versions=top.bin`)).text)).toContain('Versions of a file');
    expect(textOf((await portal.as('ada').page(`${at}&compare=${first.point}`)).text)).toMatch(
      /0 added .* 1 changed, 0 removed/,
    );
  });

  it('has words for a damaged point, for a folder that is not there, for no point at all, and for a suspended service', async () => {
    const { job, run, prefix } = await some();
    expect(textOf((await portal.as('ada').page(`/runs/${run}/restore?folder=nowhere`)).text)).toContain(
      'PATH_NOT_FOUND',
    );
    bucket.remove(prefix + manifestKey(run, CLAIM));
    await portal.database.knex('s3_cloudbackup_restore_points').update({ manifest_sha256: '1'.repeat(64) });
    const damaged = await portal.as('ada').page(`/jobs/${job}/restore`);
    expect(damaged.status).toBe(200);
    expect(textOf(damaged.text)).toContain('ERR_MANIFEST_INVALID');
    const empty = await makeJob(portal, 'ada', { name: 'Empty', dest_prefix: 'empty' });
    expect(textOf((await portal.as('ada').page(`/jobs/${empty}/restore`)).text)).toContain(
      'There is nothing to restore yet',
    );
    await portal.database.knex('tblhosting').where({ username: 'ada-main' }).update({ domainstatus: 'Suspended' });
    try {
      expect(textOf((await portal.as('ada').page(`/jobs/${job}/restore`)).text)).toContain(
        'is suspended: no backup runs',
      );
    } finally {
      await portal.database.knex('tblhosting').where({ username: 'ada-main' }).update({ domainstatus: 'Active' });
    }
  });

  it('leads to the newest point that is not later than a moment', async () => {
    const first = await some();
    const second = await some(first.job);
    const { knex } = portal.database;
    await knex('s3_cloudbackup_restore_points')
      .where({ uuid: first.point })
      .update({ created_at: '2026-01-01 10:00:00.000' });
    await knex('s3_cloudbackup_restore_points')
      .where({ uuid: second.point })
      .update({ created_at: '2026-01-02 10:00:00.000' });
    const shown = async (moment: string): Promise<string | undefined> => {
      const page = await portal.as('ada').page(`/jobs/${first.job}/restore?moment=${encodeURIComponent(moment)}`);
      return /name="point_id" value="([^"]*)"/.exec(page.text)?.[1];
    };
    expect(await shown('2026-01-02T09:59:59Z')).toBe(first.point);
    // On the clock of Berlin, an hour ahead.
    expect(await shown('2026-01-02T10:59')).toBe(first.point);
    expect(await shown('2026-01-02T11:00')).toBe(second.point);
    expect(await shown(String(Date.parse('2026-01-02T10:00:00Z')))).toBe(second.point);
    expect(await shown('2020-01-01T00:00:00Z')).toBe(second.point);
    expect(await shown('yesterday')).toBe(second.point);
  });
});
