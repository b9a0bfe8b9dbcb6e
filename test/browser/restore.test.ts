import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startDemo, type Demo } from '../../src/host/demo/start.ts';
import { barriersOf } from './accessibility.ts';
import { launchChromium } from './chromium.ts';
import { signIn, tabTo, typeInto } from './visitor.ts';

/** Getting files back as customers do it: find them, choose them, restore or download them, and look into the bucket. */
const MINUTE = 60_000;
const FILE = 'Projekte/Pläne/Grundriss.dwg';

let folder: string;
let demo: Demo;
let browser: Browser;
const stop = new AbortController();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e3-restore-'));
  [demo, browser] = await Promise.all([
    startDemo({ dataDir: folder, port: 0, say: () => undefined, signal: stop.signal }),
    launchChromium(),
  ]);
  // More points than fit beside each other on a phone.
  for (let points = 0; points < 4; points += 1) await backUp();
  writeFileSync(demo.folder.path('sources', 'sftp', 'README.txt'), 'changed meanwhile');
  // The source's server remembers its folders for a second.
  while ((await backUp()) === 0);
}, 2 * MINUTE);

afterAll(async () => {
  await browser?.close();
  stop.abort();
  await demo?.stop();
  await rm(folder, { recursive: true, force: true });
}, MINUTE);

/** Resolves to how many files were copied. */
async function backUp(): Promise<number> {
  const { runId } = await demo.client.runs.start(demo.jobs.office ?? '');
  for (;;) {
    const run = await demo.client.runs.get(runId);
    if (run.finished_at !== null) return run.objects_transferred;
    await new Promise((done) => setTimeout(done, 100));
  }
}

const restoreAddress = (): string => `${demo.address}/jobs/${demo.jobs.office}/restore`;
const inBucket = (prefix: string): string => demo.folder.path('storage', 'ada-archive', prefix);
const original = (path: string): Buffer => readFileSync(demo.folder.path('sources', 'sftp', path));

function filesBelow(root: string): string[] {
  if (!existsSync(root)) return [];
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => statSync(join(root, name)).isFile()).sort();
}

async function whenOver(page: Page): Promise<void> {
  await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
  await page.waitForSelector('#live .state:is(.is-good, .is-warning, .is-failed)', { timeout: MINUTE });
}

describe('a customer who wants files back', () => {
  it(
    'finds one by its name and restores it to a folder, with the keyboard alone; nothing else comes',
    async () => {
      const { page, context, complaints } = await signIn(browser, demo, 'ada');
      await page.goto(restoreAddress());
      await typeInto(page, '#f-q', 'GRUNDRISS');
      await page.keyboard.press('Enter');
      await page.waitForSelector('text=Searched all 261 files');
      // What was found can be gone back to: it has an address.
      expect(new URL(page.url()).searchParams.get('q')).toBe('GRUNDRISS');
      expect(await page.locator('[data-tick]').count()).toBe(1);
      await tabTo(page, '[data-tick]');
      await page.keyboard.press('Space');
      await page.waitForSelector('[data-chosen-list] >> text=Grundriss.dwg');
      await typeInto(page, '#f-dest_prefix', 'found-by-name');
      await tabTo(page, '#restore button.main');
      await page.keyboard.press('Enter');
      await whenOver(page);
      expect(await page.isVisible('#live .state.is-good')).toBe(true);
      expect(filesBelow(inBucket('found-by-name'))).toEqual([FILE]);
      expect(readFileSync(join(inBucket('found-by-name'), FILE)).equals(original(FILE))).toBe(true);
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );

  it(
    'walks through folders, chooses in several of them, and tries it with a dry run that writes nothing',
    async () => {
      const { page, context, complaints } = await signIn(browser, demo, 'ada');
      await page.goto(restoreAddress());
      await page.click('a.entry >> text=Buchhaltung');
      await page.waitForSelector('[data-folder="Buchhaltung"]');
      await page.check('[data-tick][value="Buchhaltung/2023"]');
      await page.click('.path-crumbs >> text=All files');
      await page.waitForSelector('[data-folder=""]');
      await page.check('[data-tick][value="Scans"]');
      expect(await page.locator('[data-chosen-list] li').count()).toBe(2);
      // The choice lasts, and the folder above a chosen one takes it along.
      await page.goBack();
      await page.waitForSelector('[data-folder="Buchhaltung"]');
      expect(await page.isChecked('[data-tick][value="Buchhaltung/2023"]')).toBe(true);
      await page.check('[data-tick][value="Buchhaltung"]');
      expect(await page.isDisabled('[data-tick][value="Buchhaltung/2023"]')).toBe(true);
      expect(await page.locator('[data-chosen-list] li').allInnerTexts()).toEqual([
        expect.stringContaining('Buchhaltung'),
        expect.stringContaining('Scans'),
      ]);
      await page.fill('#f-dest_prefix', 'only-tried');
      await page.getByRole('button', { name: 'Dry run' }).click();
      await whenOver(page);
      expect(await page.isVisible('#live .state.is-failed')).toBe(false);
      expect(filesBelow(inBucket('only-tried'))).toEqual([]);
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );

  it(
    'downloads a file, and an archive of a folder, to the device',
    async () => {
      const { page, context, complaints } = await signIn(browser, demo, 'ada');
      await page.goto(`${restoreAddress()}?folder=${encodeURIComponent('Projekte/Pläne')}`);
      const [file] = await Promise.all([
        page.waitForEvent('download'),
        page.click('[aria-label="Download Grundriss.dwg"]'),
      ]);
      expect(file.suggestedFilename()).toBe('Grundriss.dwg');
      expect(readFileSync(await file.path()).equals(original(FILE))).toBe(true);

      await page.check('.whole-folder [data-tick]');
      await page.check('input[name="target"][value="download"]');
      expect(await page.isVisible('#f-dest_prefix')).toBe(false);
      const [archive] = await Promise.all([page.waitForEvent('download'), page.click('[data-download-start]')]);
      expect(archive.suggestedFilename()).toMatch(/^Pläne \d{4}-\d\d-\d\d\.zip$/);
      expect(statSync(await archive.path()).size).toBeGreaterThan(statSync(await file.path()).size);
      expect(complaints).toEqual([]);
      await context.close();
    },
    2 * MINUTE,
  );

  it.each(['light', 'dark'] as const)(
    'can read and use every view of the page on a phone (%s)',
    async (scheme) => {
      const { page, context, complaints } = await signIn(browser, demo, 'ada', { scheme, width: 390 });
      const views = [
        '',
        '?folder=Buchhaltung/2022',
        '?q=a',
        `?versions=${encodeURIComponent(FILE)}`,
        '?folder=nowhere',
        '?moment=1',
      ];
      for (const view of views) {
        await page.goto(restoreAddress() + view);
        expect([view, await barriersOf(page)]).toEqual([view, []]);
        const tooWide = await page.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        expect([view, tooWide]).toEqual([view, 0]);
      }
      await page.goto(restoreAddress());
      await page.click('text=Show what changed');
      await page.waitForURL(/compare=/);
      expect(await page.textContent('#browse')).toContain('1 changed, 0 removed');
      expect(await barriersOf(page)).toEqual([]);
      expect(
        await page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
      ).toBe(0);
      expect(complaints).toEqual([]);
      await context.close();
    },
    MINUTE,
  );
});
