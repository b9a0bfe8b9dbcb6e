import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import request from 'supertest';
import { registerWorker } from '../../src/database/workers.ts';
import { createCloudBackup, Secrets, type CloudBackupOptions } from '../../src/index.ts';
import { jobFields, makeJob, MOUNTED, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
beforeAll(async () => {
  portal = await openPortal();
});
afterAll(async () => await portal.close());

const more: TestPortal[] = [];
async function another(options: Parameters<typeof openPortal>[0]): Promise<TestPortal> {
  const opened = await openPortal(options);
  more.push(opened);
  return opened;
}
afterEach(async () => {
  for (const opened of more.splice(0)) await opened.close();
});

const asAda = (app = portal.app) => ({
  get: (path: string) => request(app).get(path).set('x-test-person', 'ada'),
  post: (path: string, token = portal.as('ada').token) =>
    request(app).post(path).set('x-test-person', 'ada').set('X-CSRF-Token', token),
});

describe('every answer', () => {
  it('says that it is not to be stored, and has the headers of a page that loads nothing from elsewhere', async () => {
    for (const path of ['/jobs', '/api/bucket_list', '/api/nothing', '/nothing', '/health']) {
      const response = await asAda().get(MOUNTED + path);
      const headers = response.headers as Record<string, string>;
      expect(headers['cache-control']).toBe('no-store');
      expect(headers['content-security-policy']).toContain("default-src 'self'");
      expect(headers['content-security-policy']).toContain("script-src 'self';");
      expect(headers['content-security-policy']).toContain("style-src 'self'");
      expect(headers['content-security-policy']).not.toMatch(/unsafe|nonce|\*|https?:/);
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['strict-transport-security']).toBeUndefined();
      expect(headers['set-cookie']).toBeUndefined();
    }
  });

  it('has a number of its own', async () => {
    const ids = await Promise.all(
      [1, 2].map(async () => (await asAda().get(`${MOUNTED}/jobs`)).headers['x-request-id']),
    );
    expect(new Set(ids).size).toBe(2);
  });

  it('says what went wrong in one envelope, without what stands in the log', async () => {
    const cases: [string, number, string][] = [
      ['/api/nothing', 404, 'NOT_FOUND'],
      ['/api/a/b', 404, 'NOT_FOUND'],
      ['/api/constructor', 404, 'NOT_FOUND'],
      ['/api/cloudbackup_progress', 422, 'INVALID_INPUT'],
      ['/api/cloudbackup_progress?run_id=1', 422, 'INVALID_INPUT'],
      ['/api/cloudbackup_progress?run_id=a&run_id=b', 422, 'INVALID_INPUT'],
      ['/api/cloudbackup_list_runs?limit=9999', 422, 'INVALID_INPUT'],
    ];
    for (const [path, status, code] of cases) {
      const response = await asAda().get(MOUNTED + path);
      expect({ path, status: response.status, body: response.body as object }).toMatchObject({
        path,
        status,
        body: { status: 'fail', code, message: expect.any(String) },
      });
    }
  });

  it('is calm about addresses that cannot be decoded', async () => {
    const page = await asAda().get(`${MOUNTED}/jobs/%E0%A4%A`);
    expect([page.status, page.headers['cache-control']]).toEqual([400, 'no-store']);
    const endpoint = await asAda().get(`${MOUNTED}/api/%E0%A4%A`);
    expect(endpoint.status).toBe(400);
    expect(endpoint.body).toMatchObject({ status: 'fail', code: 'BAD_REQUEST' });
    expect((await asAda().get(`${MOUNTED}/assets/%00`)).status).toBeLessThan(500);
  });

  it('hides failures of ours behind a number', async () => {
    const broken = await another({
      host: {
        ...portal.host,
        buckets: () => Promise.reject(new Error('the password of db.internal is hunter2')),
      },
    });
    const response = await asAda(broken.app).get(`${MOUNTED}/api/bucket_list`);
    expect(response.status).toBe(500);
    expect(response.body).toEqual({
      status: 'fail',
      code: 'INTERNAL',
      message: expect.stringContaining('on our side'),
      request_id: response.headers['x-request-id'],
    });
    expect(response.text).not.toMatch(/hunter2|internal\b.*db/);
  });
});

describe('bodies', () => {
  const create = `${MOUNTED}/api/cloudbackup_create_job`;

  it('may be forms or JSON, and nothing else', async () => {
    const fields = jobFields(portal);
    const form = { ...fields, source_config: JSON.stringify(fields['source_config']) };
    expect((await asAda().post(create).type('form').send(form)).status).toBe(200);
    expect((await asAda().post(create).send(fields)).status).toBe(200);
    for (const [type, body] of [
      ['application/json', '{"name": '],
      ['application/json', '[1, 2]'],
      ['application/json', '"text"'],
      ['text/plain', 'name=x'],
      ['multipart/form-data; boundary=x', '--x--'],
    ] as const) {
      const response = await asAda().post(create).set('Content-Type', type).send(body);
      expect({ type, body, status: response.status }).toEqual({ type, body, status: 400 });
      expect(response.body).toMatchObject({ status: 'fail', code: 'BAD_REQUEST' });
    }
  });

  it('are bounded', async () => {
    const response = await asAda()
      .post(create)
      .send({ name: 'x'.repeat(300_000) });
    expect(response.status).toBe(413);
    expect(response.body).toMatchObject({ code: 'BODY_TOO_LARGE' });
  });

  it('that are wrong a thousand times get an answer of moderate size', async () => {
    const long = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`${i}${'k'.repeat(90)}`, 1]));
    const answers = [
      await portal.as('ada').post('cloudbackup_create_job', { ...jobFields(portal), source_config: long }),
      await portal.as('ada').post('cloudbackup_create_job', {
        ...jobFields(portal),
        source_config: { ['k'.repeat(200_000)]: 1 },
      }),
      await portal.as('ada').post('cloudbackup_start_restore', {
        paths: Array.from({ length: 9_000 }, () => 'a\nb'),
      }),
      await portal.as('ada').post('cloudbackup_start_restore', { paths: Array.from({ length: 20_000 }, () => 'a') }),
    ];
    for (const { status, text } of answers) {
      expect(status).toBe(422);
      expect(text.length).toBeLessThan(64 * 1024);
    }
    expect(answers.at(-1)?.text).toContain('10,000 paths');
  });

  it('are not read at all from strangers', async () => {
    const response = await request(portal.app).post(create).set('Content-Type', 'application/json').send('{"broken');
    expect(response.status).toBe(401);
  });

  it('work in an app that has parsers of its own', async () => {
    const opened = await another({
      mount: (app, backup) => {
        app.use(express.json(), express.urlencoded({ extended: true }));
        app.use(MOUNTED, backup.router);
      },
    });
    await makeJob(opened);
    const fields = jobFields(opened);
    const form = { ...fields, source_config: JSON.stringify(fields['source_config']) };
    const sent = await asAda(opened.app).post(create, opened.as('ada').token).type('form').send(form);
    expect(sent.status).toBe(200);
  });

  it.each([
    ['bytes', express.raw({ type: () => true })],
    ['text', express.text({ type: () => true })],
  ])('that the host has made %s of are refused with words', async (_what, parser) => {
    const opened = await another({
      mount: (app, backup) => {
        app.use(parser);
        app.use(MOUNTED, backup.router);
      },
    });
    const sent = await asAda(opened.app).post(create, opened.as('ada').token).type('form').send({ name: 'x' });
    expect([sent.status, sent.body]).toMatchObject([400, { code: 'BAD_REQUEST' }]);
  });
});

describe('limits', () => {
  it('count connection tests for each customer apart', async () => {
    const opened = await another({ connectionTestsPerMinute: 2, changesPerMinute: 5 });
    const codes: unknown[] = [];
    for (let count = 0; count < 3; count += 1) {
      const response = await opened.as('ada').post('cloudbackup_test_connection', {});
      codes.push((response.body as { code: string }).code);
      if (count === 2) expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    }
    expect(codes).toEqual(['INVALID_INPUT', 'INVALID_INPUT', 'RATE_LIMITED']);
    expect((await opened.as('grace').post('cloudbackup_test_connection', {})).status).toBe(422);
    expect((await opened.as('ada').get('cloudbackup_list_jobs')).status).toBe(200);
    for (let count = 0; count < 2; count += 1) await opened.as('ada').post('cloudbackup_update_job', {});
    expect((await opened.as('ada').post('cloudbackup_update_job', {})).status).toBe(429);
  });

  it('do not count what pages of other sites make a browser send', async () => {
    const opened = await another({ changesPerMinute: 1 });
    const address = `${MOUNTED}/api/cloudbackup_update_settings`;
    const token = opened.as('ada').token;
    for (const site of ['cross-site', 'same-site']) {
      const forged = await asAda(opened.app).post(address, '').set('Sec-Fetch-Site', site).send({});
      expect(forged.status).toBe(403);
    }
    expect((await asAda(opened.app).post(address, token).set('Sec-Fetch-Site', 'same-origin').send({})).status).toBe(
      200,
    );
    expect((await asAda(opened.app).post(address, token).send({})).status).toBe(429);
  });
});

describe('old addresses', () => {
  it('of the API are answered: .php at the end, run_uuid for run_id', async () => {
    const job = await makeJob(portal);
    const response = await asAda().get(`${MOUNTED}/api/cloudbackup_list_runs.php?job_uuid=${job}`);
    expect(response.body).toMatchObject({ status: 'success', runs: [] });
  });

  const id = '01a20000-0000-7000-8000-000000000001';
  it.each([
    ['index.php?m=cloudstorage&page=cloudbackup', '/jobs'],
    ['index.php?m=cloudstorage&page=cloudbackup&view=cloudbackup_jobs', '/jobs'],
    [`index.php?m=cloudstorage&page=cloudbackup&view=cloudbackup_runs&job_id=${id}`, `/jobs/${id}`],
    [`index.php?m=cloudstorage&page=cloudbackup&view=cloudbackup_live&run_uuid=${id}`, `/runs/${id}`],
    ['index.php?m=cloudstorage&page=cloudbackup&view=cloudbackup_live&run_id=//evil.example', '/jobs'],
    ['index.php?m=cloudstorage&page=cloudbackup&view=cloudbackup_settings', '/settings'],
    ['addonmodules.php?module=cloudstorage&action=cloudbackup_admin', '/admin/'],
  ])('of pages lead to the new ones: %s', async (old, path) => {
    const response = await asAda().get(`${MOUNTED}/${old}`);
    expect(response.status).toBe(301);
    expect(response.headers['location']).toBe(MOUNTED + path);
  });

  it('of other modules are not ours', async () => {
    expect((await asAda().get(`${MOUNTED}/index.php?m=other`)).status).toBe(404);
  });
});

describe('where it is mounted', () => {
  it('does not matter: links follow, under any path, behind a proxy that cuts one off', async () => {
    for (const [path, basePath] of [
      ['/', ''],
      ['/deep/down/here', ''],
      ['/backup', '/portal'],
    ] as const) {
      const opened = await another({ basePath, mount: (app, backup) => app.use(path, backup.router) });
      const base = basePath + (path === '/' ? '' : path);
      const page = await asAda(opened.app).get(`${path === '/' ? '' : path}/jobs`);
      expect(page.status).toBe(200);
      const links = [...page.text.matchAll(/(?:href|src|action|hx-get)="(\/[^"]*)"/g)].map((match) => match[1] ?? '');
      const ours = links.filter((link) => link !== '/');
      expect(ours.length).toBeGreaterThan(3);
      for (const link of ours) expect(link.startsWith(`${base}/`)).toBe(true);
      const start = await asAda(opened.app).get(path);
      expect(start.headers['location']).toBe(`${base}/jobs`);
    }
  });

  it('can be two places: customers here, admins there, nobody sees the other', async () => {
    const opened = await another({
      mount: (app, backup) => {
        app.use('/my/backup', backup.clientRouter);
        app.use('/staff/backup', backup.adminRouter);
        app.use('/agents', backup.agentRouter);
      },
    });
    const admin = (path: string) => request(opened.app).get(path).set('x-test-person', 'admin');
    expect((await asAda(opened.app).get('/my/backup/jobs')).status).toBe(200);
    expect((await asAda(opened.app).get('/my/backup/api/bucket_list')).status).toBe(200);
    expect((await admin('/my/backup/api/admin_list_workers')).status).toBe(404);
    expect((await admin('/staff/backup/api/admin_list_workers')).status).toBe(200);
    expect((await asAda(opened.app).get('/staff/backup/api/bucket_list')).status).toBe(404);
    expect((await asAda(opened.app).get('/agents/api/bucket_list')).status).toBe(404);
    const page = await admin('/staff/backup/');
    expect(page.status).toBe(200);
    expect(page.text).not.toContain('/staff/backup/admin');
  });

  it('at the root of a domain leaves other addresses to the host', async () => {
    const policy = "default-src 'self' https://cdn.example.com";
    const opened = await another({
      mount: (app, backup) => {
        app.use((_request, response, next) => {
          response.set('Content-Security-Policy', policy);
          next();
        });
        app.use(backup.router);
        app.get('/shop', (_request, response) => void response.send('the shop'));
      },
    });
    const shop = await request(opened.app).get('/shop');
    expect(shop.text).toBe('the shop');
    const plain = express().use((_request, response) => void response.send('the shop'));
    expect(Object.keys(shop.headers as object).sort()).toEqual(
      [...Object.keys((await request(plain).get('/shop')).headers as object), 'content-security-policy'].sort(),
    );
    expect(shop.headers['content-security-policy']).toBe(policy);
    expect((await asAda(opened.app).get('/jobs')).headers['content-security-policy']).not.toContain('cdn.example.com');
  });

  it('believes in forwarded hosts only as far as it is told', async () => {
    const trusting = await another({ trustProxy: 1 });
    const send = (app: typeof portal.app, token: string) =>
      asAda(app)
        .post(`${MOUNTED}/api/cloudbackup_update_settings`, token)
        .set({ Host: 'inner:3000', 'X-Forwarded-Host': 'portal.example.com', Origin: 'https://portal.example.com' })
        .send({ default_notify_on_success: 1 });
    expect((await send(trusting.app, trusting.as('ada').token)).status).toBe(200);
    expect((await send(portal.app, portal.as('ada').token)).status).toBe(403);
  });
});

describe('strangers', () => {
  it('are led to the host’s sign-in page, or get 401 where it has none', async () => {
    const signInUrl = () => '/sign-in?next=here';
    const opened = await another({ host: { ...portal.host, signInUrl } });
    const page = await request(opened.app).get(`${MOUNTED}/jobs`);
    expect(page.status).toBe(303);
    expect(page.headers['location']).toBe('/sign-in?next=here');
    const partial = await request(opened.app).get(`${MOUNTED}/jobs`).set('HX-Request', 'true');
    expect(partial.status).toBe(401);
    expect(partial.headers['hx-redirect']).toBe('/sign-in?next=here');
    expect((await request(portal.app).get(`${MOUNTED}/jobs`)).status).toBe(401);
  });
});

describe('assets and theme', () => {
  it('are served with names that change with their content', async () => {
    const page = await asAda().get(`${MOUNTED}/jobs`);
    const script = /src="([^"]*\/assets\/scheme\.js\?v=[0-9a-f]{12})"/.exec(page.text)?.[1] ?? '';
    const response = await request(portal.app).get(script);
    expect(response.status).toBe(200);
    expect(response.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    for (const path of ['../package.json', '..%2fpackage.json', '.hidden']) {
      expect((await asAda().get(`${MOUNTED}/assets/${path}`)).status).toBe(404);
    }
  });

  it('writes the variables of the theme, and nothing that could be more than a value', async () => {
    const variables = {
      accent: '#0a7',
      'on-accent': 'white',
      evil: 'red; } body { x: url(//e)',
      'a b': 'red',
      load: 'url(x)',
    };
    const opened = await another({ host: { ...portal.host, theme: () => ({ name: 'T', variables }) } });
    const response = await request(opened.app).get(`${MOUNTED}/theme.css`);
    expect(response.headers['content-type']).toMatch(/^text\/css/);
    expect(response.text).toBe(':root {\n  --e3-accent: #0a7;\n  --e3-on-accent: white;\n}\n');
  });
});

describe('health', () => {
  it('says whether the database answers, and how many workers are there, to anybody', async () => {
    await registerWorker(portal.database, {
      uuid: '01a20000-0000-7000-8000-00000000000a',
      hostname: 'secret-host',
      version: '1',
      tools: {},
      pid: 1,
      maxConcurrent: 1,
    });
    const response = await request(portal.app).get(`${MOUNTED}/health`);
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ status: 'ok', database: 'reachable', schema: 'current', workers: 1 });
  });

  it('is bad while the database is gone', async () => {
    const opened = await another({});
    await opened.database.knex.destroy();
    const response = await request(opened.app).get(`${MOUNTED}/health`);
    expect(response.status).toBe(503);
    expect(response.body).toEqual({ status: 'fail', database: 'unreachable' });
    opened.database.knex.initialize();
  });
});

describe('createCloudBackup', () => {
  const create = async (options: object) => await createCloudBackup(options as CloudBackupOptions);
  const sound = () => ({ database: portal.database, host: portal.host, secrets: new Secrets(['x']), env: {} });

  it('names every mistake at once, also those of the environment', async () => {
    await expect(
      create({
        basePath: 'portal/',
        colour: 'red',
        connectionTestsPerMinute: 0,
        env: {
          CLOUD_BACKUP_PORTAL_TIMEZONE: 'Middle/Earth',
          CLOUD_BACKUP_PORTAL_TRUSTED_ORIGINS: 'portal.example.com',
        },
      }),
    ).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      details: {
        mistakes: [
          'database: is needed',
          expect.stringMatching(/^host: /),
          expect.stringMatching(/^basePath: /),
          expect.stringMatching(/^CLOUD_BACKUP_PORTAL_TRUSTED_ORIGINS/),
          expect.stringMatching(/^CLOUD_BACKUP_PORTAL_TIMEZONE: /),
          expect.stringMatching(/^connectionTestsPerMinute: /),
          'colour: is not an option',
        ],
      },
    });
  });

  it('says what is wrong with the settings of a database', async () => {
    const database = { driver: 'mysql', host: 'db', database: '', username: 'e3', port: '3306' };
    await expect(create({ ...sound(), database })).rejects.toMatchObject({
      details: {
        mistakes: [
          expect.stringMatching(/^database\.port: /),
          'database.database: is missing',
          expect.stringMatching(/^database\.password: /),
        ],
      },
    });
  });

  it('needs a key, and tables that are up to date', async () => {
    await expect(create({ ...sound(), secrets: undefined })).rejects.toMatchObject({ code: 'ERR_NO_ENCRYPTION_KEY' });
    const fresh = { driver: 'sqlite', filename: ':memory:' };
    await expect(create({ ...sound(), database: fresh })).rejects.toMatchObject({ code: 'ERR_SCHEMA_OLD' });
  });

  it('takes the host’s own knex instance, and leaves it open', async () => {
    const backup = await create({ ...sound(), database: portal.database.knex });
    expect(await backup.services.forClient(portal.clientId('ada')).buckets.list()).toHaveLength(2);
    await backup.close();
    expect(await portal.database.knex.select(portal.database.knex.raw('1'))).toHaveLength(1);
  });
});
