import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';

const script = readFileSync(new URL('barriers.js', import.meta.url), 'utf8');

/**
 * Basic checks of a page as it is drawn: names of everything that can be used, unique ids, headings in order, and the contrast of
 * every piece of text with what lies behind it. Returns what is wrong, in words.
 */
export async function barriersOf(page: Page): Promise<string[]> {
  return await page.evaluate<string[]>(script);
}
