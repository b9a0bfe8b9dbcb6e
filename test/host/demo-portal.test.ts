import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import request from 'supertest';
import { openTestDatabase, type TestDatabase } from '../database/both.ts';
import { createMailbox, type Mailbox } from '../../src/host/demo/mailbox.ts';
import { createDemoHost, createDemoPortal } from '../../src/host/demo/portal.ts';
import { ownPath } from '../../src/host/demo/session.ts';
import { generateSecrets, type DemoSecrets } from '../../src/host/demo/secrets.ts';
import { ADA, ADMIN, GRACE, seedHost } from '../../src/host/demo/seed.ts';
import { createHostTables } from '../../src/host/demo/tables.ts';
import type { HostPort } from '../../src/host/port.ts';

const START = Date.UTC(2026, 0, 1);

let opened: { test: TestDatabase; release: () => Promise<void> };
let secrets: DemoSecrets;
let mailbox: Mailbox;
let host: HostPort;
let app: Express;
let now = START;

beforeAll(async () => {
  opened = await openTestDatabase('sqlite', { migrate: false });
  const { knex } = opened.test.database;
  await createHostTables(knex);
  secrets = generateSecrets();
  await seedHost(knex, secrets);
  mailbox = createMailbox(knex, () => now);
  host = createDemoHost(knex, mailbox, () => now);
  // Stands for the backup router: it shows what the host port says about a request.
  const backup = express.Router();
  backup.get('/whoami', async (incoming, response) => {
    response.json({ identity: await host.identify(incoming), signIn: host.signInUrl(incoming) });
  });
  app = createDemoPortal({
    knex,
    host,
    mailbox,
    sessionKey: secrets.sessionKey,
    storageEndpoint: 'http://127.0.0.1:1',
    backup,
    clock: () => now,
  });
});
afterAll(async () => await opened.release());

interface WhoAmI {
  readonly identity: { readonly kind: string; readonly session?: string };
  readonly signIn: string;
}

async function signedIn(path: string, user: string, password: string) {
  const agent = request.agent(app);
  const response = await agent.post(path).type('form').send({ user, password });
  return { agent, response };
}

const asAda = () => signedIn('/sign-in', ADA, secrets.passwords.ada);

describe('signing in to the demo portal', () => {
  it('leads strangers from every page to the right sign-in page, and back', async () => {
    for (const page of ['/', '/storage', '/mailbox?x=1', '/support']) {
      const response = await request(app).get(page);
      expect(response.status).toBe(303);
      expect(response.headers['location']).toBe(`/sign-in?next=${encodeURIComponent(page)}`);
    }
    expect((await request(app).get('/admin')).headers['location']).toBe('/admin/sign-in?next=%2Fadmin');
    const back = await request(app)
      .post('/sign-in')
      .type('form')
      .send({ user: ADA, password: secrets.passwords.ada, next: '/storage' });
    expect(back.headers['location']).toBe('/storage');
  });

  it('tells the backup router who it is: a customer, an admin, or nobody', async () => {
    const ada = await asAda();
    expect(ada.response.status).toBe(303);
    const asClient = (await ada.agent.get('/backup/whoami')).body as WhoAmI;
    expect(asClient.identity.kind).toBe('client');
    const admin = await signedIn('/admin/sign-in', ADMIN, secrets.passwords.admin);
    expect(((await admin.agent.get('/backup/whoami')).body as WhoAmI).identity.kind).toBe('admin');
    const stranger = (await request(app).get('/backup/whoami')).body as WhoAmI;
    expect(stranger).toEqual({ identity: { kind: 'nobody' }, signIn: '/sign-in?next=%2Fbackup%2Fwhoami' });
  });

  it('names every sign-in anew', async () => {
    const sessions = await Promise.all(
      [asAda(), asAda()].map(
        async (sign) => ((await (await sign).agent.get('/backup/whoami')).body as WhoAmI).identity.session,
      ),
    );
    expect(new Set(sessions).size).toBe(2);
  });

  it.each([
    ['a wrong password', () => signedIn('/sign-in', ADA, 'wrong')],
    ['an unknown address', () => signedIn('/sign-in', 'nobody@example.test', secrets.passwords.ada)],
    ['the password of somebody else', () => signedIn('/sign-in', GRACE, secrets.passwords.ada)],
    ['a customer at the admin sign-in', () => signedIn('/admin/sign-in', ADA, secrets.passwords.ada)],
    ['fields that are lists', () => signedIn('/sign-in', [ADA, ADA] as unknown as string, secrets.passwords.ada)],
  ])('is refused with %s', async (_, attempt) => {
    const { agent, response } = await attempt();
    expect(response.status).toBe(401);
    expect(((await agent.get('/backup/whoami')).body as WhoAmI).identity).toEqual({ kind: 'nobody' });
  });

  it('is refused from a page of another site', async () => {
    const response = await request(app)
      .post('/sign-in')
      .set('Origin', 'https://evil.example.test')
      .type('form')
      .send({ user: ADA, password: secrets.passwords.ada });
    expect(response.status).toBe(401);
  });

  it('ends with signing out, and after twelve hours', async () => {
    const { agent } = await asAda();
    await agent.post('/sign-out');
    expect((await agent.get('/')).status).toBe(303);
    const other = await asAda();
    expect((await other.agent.get('/')).status).toBe(200);
    now += 12 * 60 * 60 * 1000 + 1;
    expect((await other.agent.get('/')).status).toBe(303);
    now = START;
  });

  it('does not believe a cookie that was altered', async () => {
    const { response } = await asAda();
    const cookies = (response.headers['set-cookie'] as unknown as string[]).map((line) => line.split(';')[0] ?? '');
    const forged = cookies.map((cookie) =>
      cookie.startsWith('northwind=')
        ? `northwind=${Buffer.from('{"kind":"admin","id":1}').toString('base64')}`
        : cookie,
    );
    expect((await request(app).get('/').set('Cookie', cookies)).status).toBe(200);
    expect((await request(app).get('/').set('Cookie', forged)).status).toBe(303);
  });

  it.each([
    '//evil.example.test',
    '/\\evil.example.test',
    'https://evil.example.test',
    '/a b',
    '',
    undefined,
    ['/x'],
    '/\t/x',
  ])('never leads on to %j', (next) => {
    expect(ownPath(next, '/home')).toBe('/home');
  });
});

describe('the pages of the demo portal', () => {
  it('show a customer its own buckets and nobody else’s', async () => {
    const { agent } = await asAda();
    const { text } = await agent.get('/storage');
    expect(text).toContain('ada-backups');
    expect(text).not.toContain('grace');
    expect((await agent.get('/')).text).toContain('500 GiB');
  });

  it('keep customers out of the admin page and admins out of the customers’ pages', async () => {
    const { agent } = await asAda();
    expect((await agent.get('/admin')).status).toBe(303);
    const admin = await signedIn('/admin/sign-in', ADMIN, secrets.passwords.admin);
    const page = await admin.agent.get('/admin');
    expect(page.text).toContain(GRACE);
    expect((await admin.agent.get('/storage')).status).toBe(303);
  });

  it('mark the page that is open in the menu, link to the mounted pages, and allow no inline script', async () => {
    const { agent } = await asAda();
    const page = await agent.get('/storage');
    expect(page.text).toContain('<a href="/storage" aria-current="page">');
    expect(page.text).toContain('<a href="/backup">');
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    expect(page.text).not.toMatch(/<script>|style=/);
  });

  it('answer a missing page with the portal’s own', async () => {
    const response = await request(app).get('/nothing');
    expect(response.status).toBe(404);
    expect(response.text).toContain('Northwind Hosting');
  });
});

describe('the mailbox of the demo', () => {
  it('shows the mails of the customer who is signed in, and no other', async () => {
    const { agent } = await asAda();
    const settings = await host.settings();
    const { identity } = (await agent.get('/backup/whoami')).body as { identity: { clientId: number } };
    for (const [clientId, address, job] of [
      [identity.clientId, ADA, 'Website <b>'],
      [identity.clientId + 1, GRACE, 'Hers'],
    ] as const) {
      await host.sendEmail({
        templateId: settings.get('cloudbackup_email_template') ?? '',
        clientId,
        recipients: [address],
        mergeVars: { job_name: job, run_status: 'Failed', client_name: 'A', job_log_report: 'ERROR one\nERROR two' },
      });
    }
    const list = await agent.get('/mailbox');
    expect(list.text).toContain('Backup &quot;Website &lt;b&gt;&quot;: Failed');
    expect(list.text).not.toContain('Hers');
    const [mine] = await mailbox.list(identity.clientId);
    const [hers] = await mailbox.list(identity.clientId + 1);
    expect((await agent.get(`/mailbox/${mine?.id}`)).status).toBe(200);
    const html = await agent.get(`/mailbox/${mine?.id}/html`);
    expect(html.text).toContain('ERROR one<br>');
    expect(html.headers['content-security-policy']).toContain('sandbox');
    for (const path of [
      `/mailbox/${hers?.id}`,
      `/mailbox/${hers?.id}/html`,
      '/mailbox/x',
      '/mailbox/99999999999999999999',
    ]) {
      expect((await agent.get(path)).status).toBe(404);
    }
  });
});
