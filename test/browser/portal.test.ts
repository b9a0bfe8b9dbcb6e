import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startDemo, type Demo } from '../../src/host/demo/start.ts';
import { barriersOf } from './accessibility.ts';
import { launchChromium } from './chromium.ts';
import { idIn, sftpAddress, signIn, tabTo, typeInto, type Visitor, type Who } from './visitor.ts';

/**
 * The pages as customers meet them: the demo's billing portal, a real worker, rclone's S3 and SFTP servers, Chromium.
 * Slow (about a minute): starts all of these and waits for real backups.
 */
const MINUTE = 60_000;

let folder: string;
let demo: Demo;
let browser: Browser;
const stop = new AbortController();
/** Jobs and runs that the first tests make and the later ones look at. */
const made = { job: '', run: '' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e3-browser-'));
  [demo, browser] = await Promise.all([
    startDemo({ dataDir: folder, port: 0, say: () => undefined, signal: stop.signal }),
    launchChromium(),
  ]);
}, 2 * MINUTE);

afterAll(async () => {
  await browser?.close();
  stop.abort();
  await demo?.stop();
  await rm(folder, { recursive: true, force: true });
}, MINUTE);

const visitor = async (who: Who, options: Parameters<typeof signIn>[3] = {}): Promise<Visitor> =>
  await signIn(browser, demo, who, options);

describe('a customer in the portal', () => {
  it(
    'signs in, makes a job with the keyboard alone, tests the connection, and reads where it goes',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      expect(page.url()).toBe(`${demo.address}/jobs`);

      await tabTo(page, 'a.button.main');
      await page.keyboard.press('Enter');
      await page.waitForURL('**/jobs/new');
      await tabTo(page, 'input[name="source_type"]');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      expect(await page.isVisible('#f-sftp_host')).toBe(true);
      expect(await page.isVisible('#f-s3_endpoint')).toBe(false);
      const sftp = await sftpAddress(demo);
      await typeInto(page, '#f-sftp_host', sftp.host);
      await typeInto(page, '#f-sftp_port', String(sftp.port));
      await typeInto(page, '#f-sftp_user', demo.secrets.sftp.user);
      await typeInto(page, '#f-sftp_pass', demo.secrets.sftp.password);

      await tabTo(page, '#test-connection');
      await page.keyboard.press('Enter');
      await page.waitForSelector('#test-result .banner', { timeout: 15_000 });
      const result = await page.textContent('#test-result');
      expect(result).toMatch(/SHA256:[A-Za-z0-9+/]{43}/);
      expect(await page.isVisible('#test-result .is-good')).toBe(true);

      await tabTo(page, 'input[name="schedule_type"]');
      await page.keyboard.press('ArrowRight');
      await page.waitForSelector('#schedule ol');
      expect(await page.locator('#schedule ol li').count()).toBe(4);
      await typeInto(page, '#f-name', 'Office, by keyboard');
      expect(await page.textContent('aside dd >> nth=0')).toContain(`${demo.secrets.sftp.user}@${sftp.host}`);
      await tabTo(page, 'button.main[type="submit"]');
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
      made.job = idIn(page, 'jobs');
      expect(await page.textContent('h1')).toBe('Office, by keyboard');
      expect(await page.textContent('.safety')).toContain('Not protected yet');
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it(
    'runs it, watches it finish without reloading, and finds it protected',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      await page.goto(`${demo.address}/jobs/${made.job}`);
      await page.click('text=Run now');
      await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
      made.run = idIn(page, 'runs');
      const asked: string[] = [];
      page.on('request', (request) => {
        if (['document', 'fetch', 'xhr'].includes(request.resourceType())) {
          asked.push(`${request.resourceType()} ${new URL(request.url()).pathname}`);
        }
      });
      await page.waitForSelector('#live .state.is-good', { timeout: MINUTE });
      expect(await page.textContent('[data-says]')).toMatch(/^Backup complete: \d+ files, .+ copied$/);
      expect(new Set(asked)).toEqual(new Set([`fetch ${new URL(demo.address).pathname}/runs/${made.run}`]));
      // The last answer came without a trigger: nobody asks any more.
      expect(await page.getAttribute('#live', 'hx-get')).toBeNull();

      await page.goto(`${demo.address}/jobs`);
      const card = page.locator('article', { hasText: 'Office, by keyboard' });
      expect((await card.locator('.safety').innerText()).trim()).toMatch(/^Protected\s+· last good point/);
      expect(await card.locator('.day').count()).toBe(30);
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );

  it(
    'has it checked: a validation and a restore test by hand, their results with dates, and a plan for more',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      for (const [kind, button] of [
        ['validation', 'Validate now'],
        ['drill', 'Test restore now'],
      ] as const) {
        await page.goto(`${demo.address}/jobs/${made.job}`);
        expect(await page.textContent(`[data-proof="${kind}"]`)).toContain('Not done yet');
        await page.click(`text=${button}`);
        await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
        await page.waitForSelector('#live .says:has-text("complete")', { timeout: MINUTE });
      }
      await page.goto(`${demo.address}/jobs/${made.job}`);
      // A source by SFTP tells no checksums: that is said, and not called verified.
      expect(await page.textContent('[data-proof="validation"]')).toContain('some by size only');
      expect(await page.textContent('[data-proof="drill"]')).toContain('Passed');
      expect(await page.locator('#proofs tbody tr').count()).toBe(1);

      await page.click('#proofs >> text=Change');
      await page.check('input[name="validation_mode"]');
      await page.selectOption('#f-drill_every_days', '7');
      await page.click('text=Save changes');
      await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
      expect(await page.textContent('[data-proof="validation"]')).toContain('All files after each backup');
      expect(await page.textContent('[data-proof="drill"]')).toContain('Every week');
      await page.setViewportSize({ width: 390, height: 800 });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );

  it(
    'restores the point to another prefix',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      await page.goto(`${demo.address}/runs/${made.run}`);
      await page.click('text=Restore…');
      await page.waitForURL('**/restore');
      await page.click('text=Start restore');
      await page.waitForURL((url) => /\/runs\/[0-9a-f-]{36}$/.test(url.pathname) && !url.pathname.endsWith(made.run));
      await page.waitForSelector('#live .state.is-good', { timeout: MINUTE });
      expect(await page.textContent('[data-says]')).toMatch(/^Restore complete: \d+ files/);
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );

  it(
    'is told beside the field what is wrong with it',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      await page.goto(`${demo.address}/jobs/new?source=sftp`);
      await page.click('text=Create job');
      await page.waitForSelector('[aria-invalid="true"]');
      expect(await page.locator('[data-problem]:visible').count()).toBeGreaterThan(0);
      expect(await page.evaluate('document.activeElement.getAttribute("aria-invalid")')).toBe('true');
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it(
    'changes a job without entering its secrets again, and they never come back',
    async () => {
      const { page, context } = await visitor('ada');
      await page.goto(`${demo.address}/jobs/${made.job}/edit`);
      expect(await page.inputValue('#f-sftp_pass')).toBe('');
      expect(await page.content()).not.toContain(demo.secrets.sftp.password);
      await page.fill('#f-name', 'Office <b>renamed</b> "twice"');
      await page.click('text=Save changes');
      await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
      expect(await page.textContent('h1')).toBe('Office <b>renamed</b> "twice"');
      await page.click('text=Run now');
      await page.waitForURL(/\/runs\//);
      await page.waitForSelector('#live .state.is-good', { timeout: MINUTE });
      await context.close();
    },
    2 * MINUTE,
  );

  it(
    'pauses, resumes and deletes a job, and is told that the data stays',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      await page.goto(`${demo.address}/jobs/${made.job}`);
      await page.click('.page-head >> text=Pause');
      await page.waitForSelector('.page-head >> text=Resume');
      await page.click('.page-head >> text=Resume');
      await page.waitForSelector('.page-head >> text=Pause');
      await page.click('text=Delete…');
      expect(await page.isChecked('input[name="data"][value="keep"]')).toBe(true);
      await page.click('button.danger[type="submit"]');
      await page.waitForURL('**/jobs/deleted');
      expect(await page.textContent('tbody')).toMatch(/renamed[^]*Kept/);
      await page.goto(`${demo.address}/jobs`);
      expect(await page.textContent('main')).not.toContain('renamed');
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});

describe('what only the customer can decide', () => {
  it(
    'whether a new host key is the right one: both are shown, and one click accepts it',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      const office = demo.jobs.office ?? '';
      const seen = `ssh-ed25519 ${Buffer.from('another key of the same server').toString('base64')}`;
      await demo.database
        .knex('s3_cloudbackup_jobs')
        .where({ uuid: office })
        .update({
          source_host_key: `ssh-ed25519 ${Buffer.from('the key that was pinned').toString('base64')}`,
          source_host_key_seen: seen,
        });
      await page.goto(`${demo.address}/jobs/${office}`);
      const banner = page.locator('section.banner', { hasText: 'another host key' });
      expect(await banner.locator('code').allTextContents()).toEqual([
        expect.stringMatching(/^SHA256:/),
        expect.stringMatching(/^SHA256:/),
      ]);
      await banner.locator('text=Accept new key').click();
      await banner.waitFor({ state: 'detached' });
      const row: unknown = await demo.database
        .knex('s3_cloudbackup_jobs')
        .where({ uuid: office })
        .first('source_host_key');
      expect(row).toEqual({ source_host_key: seen });
      await demo.database.knex('s3_cloudbackup_jobs').where({ uuid: office }).update({ source_host_key: null });
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it(
    'whether unusual changes are all right: a banner stays until somebody releases it',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      const shop = demo.jobs.shop ?? '';
      await demo.database
        .knex('s3_cloudbackup_jobs')
        .where({ uuid: shop })
        .update({ frozen_at: demo.database.now(), frozen_reason: 'brake' });
      await page.goto(`${demo.address}/jobs/${shop}`);
      const banner = page.locator('section.banner', { hasText: 'unusual share' });
      await banner.getByRole('button', { name: 'Release' }).click();
      await banner.waitFor({ state: 'detached' });
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it(
    'whether an empty source is meant: the run fails without writing, and can be run anyway once',
    async () => {
      const { page, context, complaints } = await visitor('ada');
      await mkdir(demo.folder.path('sources', 'sftp', 'empty'));
      const sftp = await sftpAddress(demo);
      await page.goto(`${demo.address}/jobs/new?source=sftp`);
      await page.fill('#f-sftp_host', sftp.host);
      await page.fill('#f-sftp_port', String(sftp.port));
      await page.fill('#f-sftp_user', demo.secrets.sftp.user);
      await page.fill('#f-sftp_pass', demo.secrets.sftp.password);
      await page.fill('#f-sftp_path', 'empty');
      await page.fill('#f-name', 'Nothing there');
      await page.check('input[value="manual"]');
      await page.click('text=Create job');
      await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
      await page.click('text=Run now');
      await page.waitForURL(/\/runs\//);
      await page.waitForSelector('#live .state.is-failed', { timeout: MINUTE });
      expect(await page.textContent('.banner.is-failed')).toContain('ERR_SOURCE_EMPTY');
      await page.getByRole('button', { name: 'Run anyway once' }).click();
      await page.waitForSelector('#live .state:is(.is-good, .is-warning)', { timeout: MINUTE });
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );
});

describe('the other customer', () => {
  it(
    'sees nothing of it: not in lists, not at its addresses, not through the API',
    async () => {
      const { page, context } = await visitor('grace');
      expect(await page.textContent('main')).toContain('Nothing is backed up yet');
      const { shop } = demo.jobs;
      for (const path of [
        `/jobs/${made.job}`,
        `/jobs/${shop}`,
        `/jobs/${shop}/edit`,
        `/jobs/${shop}/delete`,
        `/jobs/${shop}/recovery-kit`,
        `/runs/${made.run}`,
        `/runs/${made.run}/restore`,
      ]) {
        const answer = await page.goto(demo.address + path);
        expect([path, answer?.status()]).toEqual([path, 404]);
        expect(await page.textContent('main')).not.toMatch(/Office|Online shop/);
      }
      const answers = await page.evaluate<number[]>(`Promise.all([
      fetch('${demo.address}/api/cloudbackup_get_job?job_id=${shop}'),
      fetch('${demo.address}/api/cloudbackup_progress?run_id=${made.run}'),
      fetch('${demo.address}/api/cloudbackup_start_run', { method: 'POST', headers: { 'X-CSRF-Token': document.querySelector('meta[name=csrf-token]').content }, body: new URLSearchParams({ job_id: '${shop}' }) }),
    ]).then((all) => all.map((one) => one.status))`);
      expect(answers).toEqual([404, 404, 404]);
      await context.close();
    },
    MINUTE,
  );
});

describe('an admin', () => {
  it(
    'sees runs and workers of all clients, and no pages of clients',
    async () => {
      const { page, context, complaints } = await visitor('admin');
      expect(await page.textContent('main')).toContain('Ada Example');
      expect(await page.locator('section', { hasText: 'Workers' }).first().locator('.is-good').count()).toBe(1);
      const answer = await page.goto(`${demo.address}/jobs`);
      expect(answer?.status()).toBe(403);
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});

describe('every page', () => {
  it.each(['light', 'dark'] as const)(
    'can be read, used and fits a phone (%s)',
    async (scheme) => {
      const { page, context, complaints } = await visitor('ada', { scheme, width: 390 });
      const { shop } = demo.jobs;
      const paths = [
        '/jobs',
        '/jobs/new',
        `/jobs/${shop}`,
        `/jobs/${shop}/edit`,
        `/jobs/${shop}/delete`,
        '/runs',
        `/runs/${made.run}`,
        `/runs/${made.run}/restore`,
        '/settings',
        '/nowhere',
      ];
      for (const path of paths) {
        await page.goto(demo.address + path);
        expect([path, await barriersOf(page)]).toEqual([path, []]);
        const tooWide = await page.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        expect([path, tooWide]).toEqual([path, 0]);
      }
      expect(complaints).toEqual([]);
      await context.close();

      const admin = await visitor('admin', { scheme, width: 390 });
      expect(await barriersOf(admin.page)).toEqual([]);
      await admin.context.close();
    },
    2 * MINUTE,
  );

  it(
    'of a run says everything without scripts, too',
    async () => {
      const { page, context } = await visitor('ada', { javaScript: false });
      await page.goto(`${demo.address}/runs/${made.run}`);
      expect(await page.textContent('[data-says]')).toMatch(/^Backup complete/);
      expect(await page.locator('.event').count()).toBeGreaterThan(2);
      await context.close();
    },
    MINUTE,
  );

  it(
    'answers a poll without news with nothing',
    async () => {
      const { page, context } = await visitor('ada');
      await page.goto(`${demo.address}/runs/${made.run}`);
      const statuses = await page.evaluate<number[]>(`(async () => {
      const ask = (headers) => fetch(location.href, { headers: { 'HX-Request': 'true', 'Cache-Control': 'max-age=0', ...headers } });
      const first = await ask({});
      const second = await ask({ 'If-None-Match': first.headers.get('etag') });
      return [first.status, second.status];
    })()`);
      expect(statuses).toEqual([200, 304]);
      await context.close();
    },
    MINUTE,
  );
});
