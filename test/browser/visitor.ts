import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ADA, ADMIN, GRACE } from '../../src/host/demo/seed.ts';
import type { Demo } from '../../src/host/demo/start.ts';
import { complaintsOf } from './chromium.ts';

export interface Visitor {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly complaints: string[];
}

export type Who = 'ada' | 'grace' | 'admin';
const names: Readonly<Record<Who, string>> = { ada: ADA, grace: GRACE, admin: ADMIN };

/** A browser of its own in which this person has signed in at the host's sign-in page, led there by ours. */
export async function signIn(
  browser: Browser,
  demo: Demo,
  who: Who,
  options: { scheme?: 'light' | 'dark'; width?: number; javaScript?: boolean } = {},
): Promise<Visitor> {
  const context = await browser.newContext({
    colorScheme: options.scheme ?? 'light',
    viewport: { width: options.width ?? 1280, height: 900 },
    javaScriptEnabled: options.javaScript ?? true,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const complaints = complaintsOf(page);
  await page.goto(who === 'admin' ? `${demo.address}/admin` : demo.address);
  await page.fill('#user', names[who]);
  await page.fill('#password', demo.secrets.passwords[who]);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${demo.address}/**`);
  return { page, context, complaints };
}

export const idIn = (page: Page, kind: 'jobs' | 'runs'): string =>
  new RegExp(`/${kind}/([0-9a-f-]{36})`).exec(page.url())?.[1] ?? '';

/** Tab until the element has the focus: only what a keyboard reaches is reached. */
export async function tabTo(page: Page, selector: string): Promise<void> {
  for (let steps = 0; steps < 80; steps += 1) {
    if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`the tab key does not lead to ${selector}`);
}

export async function typeInto(page: Page, selector: string, text: string): Promise<void> {
  await tabTo(page, selector);
  await page.keyboard.press('Control+A');
  await page.keyboard.type(text);
}

/** Where the demo's SFTP source answers: its own job of it knows. */
export async function sftpAddress(demo: Demo): Promise<{ host: string; port: number }> {
  const { source } = await demo.client.jobs.get(demo.jobs.office ?? '');
  return { host: String(source.config['host']), port: Number(source.config['port']) };
}
