import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { v7 } from 'uuid';
import { sourceForms } from '../../src/http/pages/source-fields.ts';
import { startDemo, type Demo } from '../../src/host/demo/start.ts';
import { startFtp, startWebdav, type FileServer } from '../servers/rclone-files.ts';
import { startSamba, type SambaServer } from '../servers/samba.ts';
import { createTestCa, type TestCa } from '../servers/test-ca.ts';
import { barriersOf } from './accessibility.ts';
import { launchChromium } from './chromium.ts';
import { idIn, sftpAddress, signIn, tabTo, type Visitor } from './visitor.ts';

/** The form of a job as customers meet it, with real servers behind it: each type of source, mode, encryption and the recovery kit. */
const MINUTE = 60_000;

let folder: string;
let demo: Demo;
let browser: Browser;
let webdav: FileServer & { readonly url: string };
/** As `webdav`, with a certificate that nobody trusts but who is told to. */
let sealed: FileServer & { readonly url: string };
let authority: TestCa;
let ftp: FileServer;
let samba: SambaServer;
const stop = new AbortController();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e3-form-'));
  const files = join(folder, 'files');
  mkdirSync(join(files, 'Photos', 'Sommer 2024'), { recursive: true });
  writeFileSync(join(files, 'Photos', 'Sommer 2024', 'strand.jpg'), 'not really a picture');
  authority = createTestCa();
  const { cert: certificate, key } = authority.issue(['127.0.0.1']);
  [webdav, sealed, ftp, samba] = await Promise.all([
    startWebdav({ folder: files }),
    startWebdav({ folder: files, tls: { certificate, key } }),
    startFtp({ folder: files }),
    startSamba({ shares: { files } }),
  ]);
  const alsoAllowed = [webdav, sealed, ftp, samba].map(({ host, port }) => `${host}:${port}`);
  [demo, browser] = await Promise.all([
    startDemo({ dataDir: join(folder, 'demo'), port: 0, say: () => undefined, signal: stop.signal, alsoAllowed }),
    launchChromium(),
  ]);
}, 2 * MINUTE);

afterAll(async () => {
  await browser?.close();
  stop.abort();
  await demo?.stop();
  await Promise.all([webdav, sealed, ftp, samba].map(async (server) => await server?.stop()));
  authority?.remove();
  await rm(folder, { recursive: true, force: true });
}, MINUTE);

const ada = async (options: Parameters<typeof signIn>[3] = {}): Promise<Visitor> =>
  await signIn(browser, demo, 'ada', options);

async function openForm(page: Page, type: string): Promise<void> {
  await page.goto(`${demo.address}/jobs/new?source=${type}`);
  await page.check('input[name="schedule_type"][value="manual"]');
}

async function fill(page: Page, fields: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(fields)) await page.fill(`#f-${name}`, value);
}

/** Goes into folders by their names and takes the last one, all by keyboard. */
async function browseTo(page: Page, type: string, folders: readonly string[]): Promise<void> {
  await page.focus(`[data-source="${type}"] [data-browse]`);
  await page.keyboard.press('Enter');
  for (const name of folders) {
    await page.waitForSelector(`.picker-folder:has-text("${name}")`, { timeout: 20_000 });
    await page.focus(`.picker-folder:has-text("${name}")`);
    await page.keyboard.press('Enter');
  }
  await page.waitForSelector(`.picker-step[aria-current]:has-text("${folders.at(-1)}")`);
  await page.click('#folder-picker [data-choose]');
  await page.waitForSelector('#folder-picker', { state: 'hidden' });
}

async function save(page: Page, name: string): Promise<string> {
  await page.fill('#f-name', name);
  await page.click('button.main[type="submit"]');
  await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/, { timeout: 20_000 });
  return idIn(page, 'jobs');
}

async function fillSftp(page: Page): Promise<void> {
  const { host, port } = await sftpAddress(demo);
  const { user, password } = demo.secrets.sftp;
  await fill(page, { sftp_host: host, sftp_port: String(port), sftp_user: user, sftp_pass: password });
}

describe('the form of a job', () => {
  it.each([
    ['light', 1280],
    ['dark', 390],
  ] as const)(
    'asks of every source what it needs, and of that one only (%s, %d px)',
    async (scheme, width) => {
      const { page, context, complaints } = await ada({ scheme, width });
      await page.goto(`${demo.address}/jobs/new`);
      const lines = new Set<string | null>();
      for (const { type, path } of sourceForms) {
        await page.check(`input[name="source_type"][value="${type}"]`);
        expect(await page.locator('[data-path]:visible').getAttribute('name')).toBe(path.name);
        expect([type, await barriersOf(page)]).toEqual([type, []]);
        const tooWide = await page.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        expect([type, tooWide]).toEqual([type, 0]);
        lines.add(await page.textContent('aside dd >> nth=0'));
      }
      expect(lines.size).toBe(sourceForms.length);
      for (const protocol of ['smb', 'webdav', 'ftp']) {
        await page.check('input[name="source_type"][value="nas"]');
        await page.check(`input[name="nas_protocol"][value="${protocol}"]`);
        const shown = await page.locator('[data-source="nas"] [data-config]:visible:not([type="radio"])').all();
        const names = await Promise.all(shown.map(async (input) => await input.getAttribute('name')));
        expect(names.length).toBeGreaterThan(2);
        expect(names.filter((name) => name?.startsWith(`nas_${protocol}_`) !== true)).toEqual([]);
      }
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  const servers: readonly (readonly [type: string, choice: string, fields: () => Record<string, string>])[] = [
    ['webdav', '', () => ({ webdav_url: webdav.url, webdav_user: webdav.user, webdav_pass: webdav.password })],
    [
      'webdav',
      'with a certificate of its own',
      () => ({
        webdav_url: sealed.url,
        webdav_user: sealed.user,
        webdav_pass: sealed.password,
        webdav_ca: new X509Certificate(authority.certificate).toString(),
      }),
    ],
    [
      'smb',
      '',
      () => ({
        smb_host: samba.host,
        smb_port: String(samba.port),
        smb_share: 'files',
        smb_user: samba.user,
        smb_pass: samba.password,
      }),
    ],
    [
      'nas',
      'ftp',
      () => ({
        nas_ftp_host: ftp.host,
        nas_ftp_port: String(ftp.port),
        nas_ftp_user: ftp.user,
        nas_ftp_pass: ftp.password,
      }),
    ],
  ];

  it.each(servers)(
    'tests a source by %s %s, lets a folder be chosen, and saves what was meant',
    async (type, choice, fields) => {
      const { page, context, complaints } = await ada();
      await openForm(page, type);
      if (type === 'nas') {
        await page.check(`input[name="nas_protocol"][value="${choice}"]`);
        // The server of this test speaks no TLS.
        await page.selectOption('#f-nas_ftp_encryption', 'none');
      }
      await fill(page, fields());
      await page.click('#test-connection');
      await page.waitForSelector('#test-result .banner', { timeout: 20_000 });
      expect(await page.textContent('#test-result')).toContain('Photos');
      await browseTo(page, type, ['Photos', 'Sommer 2024']);
      const path = page.locator(`[data-source="${type}"] [data-path]`);
      expect((await path.inputValue()).replace(/^\//, '')).toBe('Photos/Sommer 2024');
      const job = await save(page, `By ${type}`);

      const { source } = await demo.client.jobs.get(job);
      expect(source.type).toBe(type);
      expect(source.secrets_set).toEqual({ pass: true });
      expect(JSON.stringify(source.config)).not.toMatch(/password/);
      await page.goto(`${demo.address}/jobs/${job}/edit`);
      for (const [name, value] of Object.entries(fields())) {
        expect([name, await page.inputValue(`#f-${name}`)]).toEqual([name, name.endsWith('_pass') ? '' : value]);
      }
      await save(page, `By ${type}, renamed`);
      expect((await demo.client.jobs.get(job)).source).toEqual(source);
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it(
    'tells in the dialog why folders cannot be listed, beside the field what is missing, and leaves the path alone',
    async () => {
      const { page, context, complaints } = await ada();
      await openForm(page, 'sftp');
      await page.click('[data-source="sftp"] [data-browse]');
      await page.waitForSelector('#f-sftp_host[aria-invalid="true"]');
      expect(await page.isVisible('#folder-picker')).toBe(false);

      await fillSftp(page);
      await fill(page, { sftp_pass: 'wrong', sftp_path: 'Projekte' });
      await page.click('[data-source="sftp"] [data-browse]');
      await page.waitForSelector('#folder-picker .banner.is-failed', { timeout: 20_000 });
      expect(await page.isDisabled('#folder-picker [data-choose]')).toBe(true);
      await page.keyboard.press('Escape');
      await page.waitForSelector('#folder-picker', { state: 'hidden' });
      expect(await page.inputValue('#f-sftp_path')).toBe('Projekte');
      expect(await page.evaluate('document.activeElement.matches("[data-browse]")')).toBe(true);

      await fillSftp(page);
      await page.fill('#f-sftp_path', '');
      await browseTo(page, 'sftp', ['Projekte']);
      expect(await page.inputValue('#f-sftp_path')).toBe('Projekte');
      expect(await page.textContent('aside dd >> nth=0')).toContain('Projekte');
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});

describe('an account of Google Drive', () => {
  it(
    'has to be connected first; its folders are chosen by their ids, and kept',
    async () => {
      const { page, context, complaints } = await ada();
      await openForm(page, 'google_drive');
      expect(await page.textContent('#f-gdrive_connection')).toContain('None is connected yet');
      expect(await page.getAttribute('[data-source="google_drive"] a', 'href')).toMatch(/\/sources$/);
      await page.click('[data-source="google_drive"] [data-browse]');
      await page.waitForSelector('#f-gdrive_connection[aria-invalid="true"]');
      await page.fill('#f-name', 'Without an account');
      await page.click('button.main[type="submit"]');
      await page.waitForSelector('#f-gdrive_connection[aria-invalid="true"]');

      const account = v7();
      await demo.database.knex('s3_cloudbackup_sources').insert({
        ...{ uuid: account, client_id: demo.client.clientId, provider: 'google_drive', display_name: 'Ada at work' },
        ...{ account_email: 'ada@work.example', refresh_token_enc: 'sealed', status: 'active' },
        ...{ created_at: demo.database.now(), updated_at: demo.database.now() },
      });
      await openForm(page, 'google_drive');
      expect(await page.textContent('#f-gdrive_connection')).toContain('Ada at work (ada@work.example)');
      // Nobody has set up Google here: that is said in the dialog.
      await page.click('[data-source="google_drive"] [data-browse]');
      await page.waitForSelector('#folder-picker .banner.is-failed');
      await page.keyboard.press('Escape');

      const asked: Record<string, string>[] = [];
      await page.route('**/api/cloudbackup_gdrive_list?*', async (route) => {
        const query = Object.fromEntries(new URL(route.request().url()).searchParams);
        asked.push(query);
        const items =
          query['mode'] === 'drives'
            ? [{ id: 'drive-1', name: 'Team', type: 'drive', parents: [], drive_id: 'drive-1' }]
            : [{ id: 'folder-9', name: 'Invoices', type: 'folder', parents: ['drive-1'], drive_id: 'drive-1' }];
        await route.fulfill({ json: { status: 'success', items, nextPageToken: null } });
      });
      await page.fill('#f-gdrive_path', 'left over');
      await browseTo(page, 'google_drive', ['Team', 'Invoices']);
      expect(asked.map(({ mode, driveId, parentId }) => [mode, driveId, parentId])).toEqual([
        ['drives', undefined, undefined],
        ['children', 'drive-1', undefined],
        ['children', 'drive-1', 'folder-9'],
      ]);
      expect(asked.every((query) => query['source_connection_id'] === account)).toBe(true);
      const job = await save(page, 'Invoices of the team');
      const { source } = await demo.client.jobs.get(job);
      expect(source).toMatchObject({
        path: '',
        writable: false,
        config: { connection: account, team_drive: 'drive-1', root_folder_id: 'folder-9' },
      });
      await page.goto(`${demo.address}/jobs/${job}/edit`);
      expect(await page.inputValue('#f-gdrive_connection')).toBe(account);
      expect(await page.inputValue('#f-gdrive_root_folder_id')).toBe('folder-9');
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});

describe('an encrypted job in archive mode', () => {
  let job = '';

  it(
    'is made with a warning, and reminds of its recovery kit until somebody who knows the password has taken it',
    async () => {
      const { page, context, complaints } = await ada();
      await openForm(page, 'sftp');
      await fillSftp(page);
      await page.fill('#f-sftp_path', 'Projekte');
      expect(await page.isVisible('.for-encrypted .banner')).toBe(false);
      await page.check('input[name="encryption_enabled"]');
      await page.check('input[name="backup_mode"][value="archive"]');
      expect(await page.textContent('.for-encrypted .banner:visible')).toContain('Without the keys nobody can read');
      expect(await page.textContent('aside')).toContain('One archive each run, encrypted');
      job = await save(page, 'Sealed');
      expect(await page.textContent('main')).toContain('The recovery kit of this job was never downloaded');

      await page.click('section.banner a:has-text("Recovery kit")');
      await page.waitForURL('**/recovery-kit');
      expect(await barriersOf(page)).toEqual([]);
      await page.fill('#f-confirmation', 'a guess');
      await page.click('text=Download the kit');
      await page.waitForSelector('#f-confirmation[aria-invalid="true"]');
      expect((await demo.client.jobs.get(job)).job.recovery_kit_at).toBeNull();

      await page.fill('#f-confirmation', demo.secrets.passwords.ada);
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        tabTo(page, 'button[type="submit"]').then(async () => await page.keyboard.press('Enter')),
      ]);
      expect(download.suggestedFilename()).toBe('Recovery kit of Sealed.zip');
      expect(
        readFileSync(await download.path())
          .subarray(0, 2)
          .toString(),
      ).toBe('PK');
      await page.waitForSelector('#notices .is-good');
      expect(await page.inputValue('#f-confirmation')).toBe('');
      await page.goto(`${demo.address}/jobs/${job}`);
      expect(await page.textContent('main')).not.toContain('never downloaded');
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );

  it(
    'keeps both when it is edited, gives its files back as they were, and cannot be turned into another kind',
    async () => {
      const { page, context, complaints } = await ada();
      await page.goto(`${demo.address}/jobs/${job}/edit`);
      expect(await page.isChecked('input[name="encryption_enabled"]')).toBe(true);
      await save(page, 'Sealed for good');
      await page.click('text=Run now');
      await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
      await page.waitForSelector('#live .state.is-good', { timeout: MINUTE });

      await page.goto(`${demo.address}/jobs/${job}/edit`);
      expect(await page.isDisabled('input[name="encryption_enabled"]')).toBe(true);
      expect(await page.isDisabled('input[name="backup_mode"][value="sync"]')).toBe(true);
      await save(page, 'Sealed, and edited since');
      expect((await demo.client.jobs.get(job)).job).toMatchObject({
        name: 'Sealed, and edited since',
        backup_mode: 'archive',
        encryption_enabled: true,
      });
      expect(await page.textContent('main')).toContain(
        'One compressed archive each run, which holds everything; encrypted',
      );

      await page.goto(`${demo.address}/jobs/${job}/restore?folder=${encodeURIComponent('Pläne')}`);
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.click('a[aria-label="Download Grundriss.dwg"]'),
      ]);
      const original = readFileSync(demo.folder.path('sources', 'sftp', 'Projekte', 'Pläne', 'Grundriss.dwg'));
      expect(readFileSync(await download.path()).equals(original)).toBe(true);
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );

  it(
    'says when its data goes because the service has ended',
    async () => {
      const { page, context } = await ada();
      await demo.database
        .knex('s3_cloudbackup_jobs')
        .where({ uuid: job })
        .update({ data_state: 'ending', data_delete_at: '2126-01-01 00:00:00.000', maintenance_at: null });
      await page.goto(`${demo.address}/jobs/${job}`);
      expect(await page.textContent('section.banner.is-failed')).toContain('The backups of this job are deleted');
      await context.close();
    },
    MINUTE,
  );

  it(
    'still gives out its kit when it is deleted and its data stays',
    async () => {
      const { page, context, complaints } = await ada();
      await demo.database
        .knex('s3_cloudbackup_jobs')
        .where({ uuid: job })
        .update({ data_state: 'kept', data_delete_at: null, data_ending_since: null });
      await page.goto(`${demo.address}/jobs/${job}/delete`);
      await page.click('button:text("Delete job")');
      await page.waitForURL('**/jobs/deleted');
      expect(await barriersOf(page)).toEqual([]);
      await tabTo(page, 'tbody a[href$="/recovery-kit"]');
      await page.keyboard.press('Enter');
      await page.waitForURL(`**/jobs/${job}/recovery-kit`);
      expect(await page.textContent('main')).toContain('the deleted job');
      await page.fill('#f-confirmation', demo.secrets.passwords.ada);
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Download the kit')]);
      const kit = readFileSync(await download.path());
      expect(kit.subarray(0, 2).toString()).toBe('PK');
      expect(kit.includes('read-point.py')).toBe(true);
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});
