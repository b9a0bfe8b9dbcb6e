import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { emptyTables } from '../database/both.ts';
import { makeJob, MOUNTED, openPortal, type TestPortal } from '../http/portal.ts';
import { startCloudFake, type CloudFake } from '../servers/cloud-fake.ts';
import { freePort } from '../servers/ports.ts';
import { barriersOf } from './accessibility.ts';
import { complaintsOf, launchChromium } from './chromium.ts';
import { tabTo } from './visitor.ts';

/** Connecting accounts as customers do it: our pages in Chromium, and a consent page that says yes or no. */
const MINUTE = 60_000;

let fake: CloudFake;
let portal: TestPortal;
let server: Server;
let browser: Browser;
let address: string;

beforeAll(async () => {
  const port = await freePort();
  address = `http://127.0.0.1:${port}${MOUNTED}`;
  fake = await startCloudFake();
  portal = await openPortal({
    publicUrl: address,
    env: {
      ...fake.env,
      GOOGLE_CLIENT_ID: fake.google.oauth.clientId,
      GOOGLE_CLIENT_SECRET: fake.google.oauth.clientSecret,
      DROPBOX_CLIENT_ID: fake.dropbox.oauth.clientId,
      DROPBOX_CLIENT_SECRET: fake.dropbox.oauth.clientSecret,
    },
  });
  server = createServer(portal.app).listen(port, '127.0.0.1');
  browser = await launchChromium();
}, 2 * MINUTE);
afterAll(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
  await portal?.close();
  await fake?.stop();
}, MINUTE);
beforeEach(async () => await emptyTables(portal.database));

interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly complaints: string[];
  /** What the consent page answers with. */
  answer: 'yes' | 'no';
}

/** Ada's browser. Google's page of consent is played: it sends the browser back at once. */
async function visit(options: { width?: number; scheme?: 'light' | 'dark' } = {}): Promise<Visit> {
  const context = await browser.newContext({
    colorScheme: options.scheme ?? 'light',
    viewport: { width: options.width ?? 1280, height: 900 },
    reducedMotion: 'reduce',
    extraHTTPHeaders: { 'x-test-person': 'ada' },
  });
  const page = await context.newPage();
  const visited: Visit = { page, context, complaints: complaintsOf(page), answer: 'yes' };
  // The colours of the test's host are made up; those of the product are to be looked at.
  await context.route('**/theme.css', async (route) => await route.fulfill({ contentType: 'text/css', body: '' }));
  await context.route('https://accounts.google.com/**', async (route) => {
    const back = fake.google.oauth.consent(route.request().url());
    if (visited.answer === 'no') {
      back.searchParams.delete('code');
      back.searchParams.set('error', 'access_denied');
    }
    await route.fulfill({ status: 302, headers: { location: back.href } });
  });
  return visited;
}

const stateOf = async (page: Page): Promise<string> => (await page.textContent('tbody .state'))?.trim() ?? '';

describe('the page of sources', () => {
  it(
    'connects a Google Drive with the keyboard alone, authorizes it again, and disconnects it',
    async () => {
      const { page, context, complaints } = await visit();
      await page.goto(`${address}/sources`);
      expect(await page.textContent('h2')).toBe('No account is connected');
      await tabTo(page, 'main form button');
      await page.keyboard.press('Enter');
      await page.waitForURL(`${address}/sources?done=new`);
      expect(await page.textContent('#notices')).toContain('The account is connected');
      expect(await page.textContent('tbody th')).toContain('ada@gmail.example');
      expect(await stateOf(page)).toBe('Connected');
      expect(page.url()).not.toContain('code=');

      const { knex } = portal.database;
      const meta = JSON.stringify({ error_code: 'ERR_GDRIVE_REFRESH_PRECHECK' });
      await knex('s3_cloudbackup_sources').update({ status: 'error', meta });
      await page.reload();
      expect(await stateOf(page)).toBe('Refused');
      await page.click('tbody button:text("Re-authorize")');
      await page.waitForURL(`${address}/sources?done=new`);
      // The page that is left has the same address: it is the state that tells when the new one is there.
      await page.waitForSelector('tbody .state:has-text("Connected")');
      expect(await knex('s3_cloudbackup_sources').select('id')).toHaveLength(1);

      page.on('dialog', (dialog) => void dialog.accept());
      await page.click('button:text("Disconnect")');
      await page.waitForSelector('tbody .state:has-text("Disconnected")');
      expect(fake.google.oauth.revoked).toHaveLength(1);
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it(
    'says what became of an authorization that was declined, or begun elsewhere',
    async () => {
      const visited = await visit();
      const { page, context } = visited;
      visited.answer = 'no';
      await page.goto(`${address}/sources`);
      await page.click('button:text("Connect Google Drive")');
      await page.waitForURL(`${address}/oauth/google/callback?**`);
      expect(await page.textContent('h2')).toBe('You declined');
      await page.goto(`${address}/oauth/google/callback?state=somebody-elses&code=x`);
      await page.waitForSelector('#notices .banner');
      expect(await page.textContent('#notices')).toContain('was not begun here');
      expect(await portal.database.knex('s3_cloudbackup_sources').select('id')).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it.each([
    { width: 1280, scheme: 'light' as const },
    { width: 390, scheme: 'dark' as const },
  ])(
    'has no barriers at $width px ($scheme), and is not wider than the screen',
    async (options) => {
      const { page, context, complaints } = await visit(options);
      await page.goto(`${address}/sources`);
      expect(await barriersOf(page)).toEqual([]);
      await page.click('button:text("Connect Google Drive")');
      await page.waitForURL(`${address}/sources?done=new`);
      const meta = JSON.stringify({ error_code: 'ERR_GDRIVE_REFRESH_PRECHECK' });
      await portal.database.knex('s3_cloudbackup_sources').update({ status: 'error', meta });
      await page.reload();
      expect(await barriersOf(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
      if (process.env['SCREENSHOTS'])
        await page.screenshot({ path: `${process.env['SCREENSHOTS']}/sources-${options.width}.png` });
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});

describe('a job whose account has to be authorized again', () => {
  it.each([
    { width: 1280, scheme: 'light' as const },
    { width: 390, scheme: 'dark' as const },
  ])(
    'says so at $width px ($scheme), among all jobs too, and leads to where that is done',
    async (options) => {
      const { page, context, complaints } = await visit(options);
      await page.goto(`${address}/sources`);
      await page.click('button:text("Connect Google Drive")');
      await page.waitForURL(`${address}/sources?done=new`);
      const { knex } = portal.database;
      const { uuid } = (await knex('s3_cloudbackup_sources').first('uuid')) as { uuid: string };
      const drive = { source_type: 'google_drive', source_config: {}, source_connection_id: uuid };
      const job = await makeJob(portal, 'ada', { ...drive, name: 'Office', source_path: '' });
      await makeJob(portal, 'ada', { name: 'Another' });
      await page.goto(`${address}/jobs/${job}`);
      expect(await page.locator('section.banner').count()).toBe(0);

      const meta = JSON.stringify({ error_code: 'ERR_GDRIVE_REFRESH_PRECHECK' });
      await knex('s3_cloudbackup_sources').update({ status: 'error', meta });
      await page.reload();
      const banner = page.locator('section.banner');
      expect(await banner.count()).toBe(1);
      expect(await banner.textContent()).toContain('Google Drive of ada@gmail.example has to be authorized again');
      expect(await barriersOf(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
      if (process.env['SCREENSHOTS'])
        await page.screenshot({ path: `${process.env['SCREENSHOTS']}/job-account-${options.width}.png` });

      await page.goto(`${address}/jobs?status=attention`);
      expect(await page.locator('.job-card').count()).toBe(1);
      expect(await page.textContent('.job-card')).toContain('Google Drive has to be authorized again');
      expect(await barriersOf(page)).toEqual([]);
      if (process.env['SCREENSHOTS'])
        await page.screenshot({ path: `${process.env['SCREENSHOTS']}/jobs-account-${options.width}.png` });

      await page.click('.job-card h2 a');
      await page.waitForURL(`${address}/jobs/${job}`);
      await tabTo(page, 'section.banner a');
      await page.keyboard.press('Enter');
      await page.waitForURL(`${address}/sources`);
      await page.click('tbody button:text("Re-authorize")');
      await page.waitForURL(`${address}/sources?done=new`);
      await page.goto(`${address}/jobs/${job}`);
      expect(await page.locator('section.banner').count()).toBe(0);
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});
