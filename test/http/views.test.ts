import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createViews, type Model } from '../../src/http/views.ts';
import { compileTemplates } from '../../tools/templates.js';

const model: Model = {
  base: '/backup',
  adminBase: '/backup/admin',
  csrf: '"><b>',
  path: '/jobs',
  navigation: [],
  hostNavigation: [],
  theme: { name: 'host', stylesheet: null },
  identity: { kind: 'client', name: '<b>Ada</b>' },
  timezone: 'Europe/Berlin',
  now: Date.UTC(2026, 0, 2),
  product: 'Backup & more',
  status: 404,
  title: 'A <title>',
  message: 'There is no such page.',
};

describe('compiled templates', () => {
  let folder: string;
  let compiled: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'e3-views-'));
    compiled = join(folder, 'templates.cjs');
    await compileTemplates(compiled);
  });
  afterAll(async () => await rm(folder, { recursive: true, force: true }));

  it('give the same pages, escaped alike, as those that are read when a page is asked for', async () => {
    const read = createViews({ views: join(import.meta.dirname, '..', '..', 'views') });
    const ready = createViews({ compiled });
    const pages = await readdir(join(import.meta.dirname, '..', '..', 'views', 'pages'));
    let shown = 0;
    for (const name of pages) {
      const template = `pages/${name}`;
      const [one, other] = [read, ready].map((views) => {
        try {
          return views.render(template, model);
        } catch (error) {
          // What this model lacks is told by both.
          return error instanceof Error ? error.message.split('\n').at(-1) : error;
        }
      });
      expect([template, other]).toEqual([template, one]);
      if (String(one).includes('content="&quot;&gt;&lt;b&gt;"')) shown += 1;
    }
    expect(shown).toBeGreaterThan(0);
  });
});
