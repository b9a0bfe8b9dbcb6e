import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startDemo, type Demo } from '../../src/host/demo/start.ts';
import { barriersOf } from './accessibility.ts';
import { launchChromium } from './chromium.ts';
import { signIn, tabTo } from './visitor.ts';

/** What is kept and what goes, as a customer decides it, and what lies in the bucket then. Slow: a demo with real runs. */
const MINUTE = 60_000;
const PAST = '2026-01-01 00:00:00.000';

let folder: string;
let demo: Demo;
let browser: Browser;
let job: string;
const stop = new AbortController();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e3-keeping-'));
  [demo, browser] = await Promise.all([
    startDemo({ dataDir: folder, port: 0, say: () => undefined, signal: stop.signal }),
    launchChromium(),
  ]);
  job = demo.jobs.office ?? '';
  for (let round = 0; round < 3; round += 1) {
    const { runId } = await demo.client.runs.start(job);
    await until(async () => (await demo.client.runs.get(runId)).finished_at !== null);
  }
}, 2 * MINUTE);

afterAll(async () => {
  await browser?.close();
  stop.abort();
  await demo?.stop();
  await rm(folder, { recursive: true, force: true });
}, MINUTE);

async function until(met: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + MINUTE; Date.now() < end;) {
    if (await met()) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error('waited in vain');
}

const change = async (columns: Record<string, unknown>): Promise<void> =>
  void (await demo.database.knex('s3_cloudbackup_jobs').where('uuid', job).update(columns));
const place = async (): Promise<string> => {
  const { job: view } = await demo.client.jobs.get(job);
  return demo.folder.path('storage', view.dest_bucket_name, view.dest_prefix);
};
const manifestsIn = (path: string): string[] =>
  readdirSync(join(path, 'manifests')).filter((name) => name.endsWith('.json'));
/** rclone's server takes empty folders away. */
function filesBelow(path: string): unknown[] {
  if (!existsSync(path)) return [];
  try {
    return readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  } catch {
    // A folder went while it was about to be read: there may be more.
    return ['going'];
  }
}
const marks = async (page: Page): Promise<number> => await page.locator('#timeline [data-point]').count();

it(
  'a customer keeps fewer points: previewed, undone, done after its time, with one point pinned',
  async () => {
    const { page, context, complaints } = await signIn(browser, demo, 'ada');
    const address = `${demo.address}/jobs/${job}`;
    await page.goto(address);
    expect(await marks(page)).toBe(3);

    // By keyboard to the oldest point, which is pinned.
    await tabTo(page, '#timeline [data-point]');
    await page.keyboard.press('Home');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\?point=/);
    const oldest = new URL(page.url()).searchParams.get('point');
    await page.waitForSelector(`#timeline .is-chosen[data-point="${oldest}"]`);
    await page.click('.chosen-point >> text=Pin');
    await page.waitForSelector('.chosen-point >> text=Unpin');
    expect(await page.locator('#timeline .pin').count()).toBe(1);
    expect(await barriersOf(page)).toEqual([]);

    const keepOne = async (): Promise<void> => {
      await page.goto(`${address}/edit`);
      await page.check('input[name="retention_mode"][value="keep_last_n"]');
      await page.fill('#f-retention_value', '1');
      await page.waitForSelector('#retention-preview >> text=1 of 3 restore points go');
      await page.click('button.main[type="submit"]');
      await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
      await page.waitForSelector('text=Fewer restore points will be kept');
    };
    await keepOne();
    await page.click('text=Undo');
    await page.waitForSelector('text=Fewer restore points will be kept', { state: 'detached' });
    await keepOne();
    expect(manifestsIn(await place())).toHaveLength(3);

    // The cool-off is over: the clockwork of the demo and its worker do what the preview said.
    await change({ retention_acts_at: PAST, maintenance_at: PAST });
    await until(async () => (await demo.client.points.list({ jobId: job })).rows.length === 2);
    const kept = (await demo.client.points.list({ jobId: job })).rows;
    expect(kept.map((point) => point.point_id)).toContain(oldest);
    const path = await place();
    await until(() => manifestsIn(path).length === 2);
    expect(
      manifestsIn(path)
        .map((name) => name.slice(0, 36))
        .sort(),
    ).toEqual(kept.map((point) => point.run_id).sort());
    await page.goto(address);
    expect(await marks(page)).toBe(2);
    await page.setViewportSize({ width: 390, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    expect(complaints).toEqual([]);
    await context.close();
  },
  3 * MINUTE,
);

it(
  'a customer deletes a job with its data, brings it back, and deletes it for good: nothing is left in the bucket',
  async () => {
    const { page, context, complaints } = await signIn(browser, demo, 'ada');
    const path = await place();
    const remove = async (): Promise<void> => {
      await page.goto(`${demo.address}/jobs/${job}/delete`);
      await page.check('input[name="data"][value="delete"]');
      await page.click('button.danger[type="submit"]');
      await page.waitForURL('**/jobs/deleted');
    };
    await remove();
    expect(await page.textContent('tbody')).toContain('Office');
    expect(await barriersOf(page)).toEqual([]);
    await page.click('text=Bring back');
    await page.waitForURL(/\/jobs\/[0-9a-f-]{36}$/);
    expect(await marks(page)).toBe(2);
    expect(await page.isVisible('text=Resume')).toBe(true);
    await remove();
    await change({ data_delete_at: PAST, maintenance_at: PAST });
    await until(() => filesBelow(path).length === 0);
    expect(complaints).toEqual([]);
    await context.close();
  },
  2 * MINUTE,
);
