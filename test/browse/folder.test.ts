import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Budget } from '../../src/browse/budget.ts';
import { writeCursor } from '../../src/browse/cursors.ts';
import { openFolder, type FolderPage } from '../../src/browse/folder.ts';
import type { OpenPoint } from '../../src/browse/open-point.ts';
import { searchPoint, type Found } from '../../src/browse/search.ts';
import { isPath } from '../../src/layout/encoding.ts';
import { manifestKey } from '../../src/layout/keys.ts';
import { compareUtf8 } from '../../src/layout/order.ts';
import type { Entry } from '../../src/layout/types.ts';
import { PointPath } from '../../src/protocol/browse.ts';
import { MemoryBucket } from '../../src/storage/memory.ts';
import { CLAIM, entryOf, RUN } from '../layout/samples.ts';
import { library, PREFIX, writePoint, writeSorted } from './points.ts';

const budget = (): Budget => new Budget(60_000);

async function pointOf(paths: readonly string[], changes: Partial<Entry> = {}): Promise<OpenPoint> {
  const written = await writePoint(
    paths.map((path) => entryOf(path, changes)),
    { bucket: new MemoryBucket() },
  );
  return await library().open(written.place);
}

/** All pages of a folder, one after the other. */
async function pages(point: OpenPoint, folder: string, limit: number): Promise<FolderPage[]> {
  const all: FolderPage[] = [];
  let cursor: string | undefined;
  do {
    const page = await openFolder(point, folder, { cursor, limit, budget: budget() });
    all.push(page);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return all;
}

/** What a folder holds, by looking at every path. */
function naive(paths: readonly string[], folder: string): { folders: Map<string, number>; files: string[] } {
  const prefix = folder === '' ? '' : `${folder}/`;
  const folders = new Map<string, number>();
  const files: string[] = [];
  for (const path of paths.filter((candidate) => candidate.startsWith(prefix))) {
    const rest = path.slice(prefix.length);
    const slash = rest.indexOf('/');
    if (slash < 0) files.push(path);
    else {
      const name = prefix + rest.slice(0, slash);
      folders.set(name, (folders.get(name) ?? 0) + 1);
    }
  }
  return { folders, files: files.sort(compareUtf8) };
}

const name = fc.oneof(
  fc.constantFrom(
    'a',
    'A',
    'b',
    'a b',
    'a-',
    'a.txt',
    '0',
    'ä',
    'a\u0308',
    '😀',
    '\uffee',
    '.x',
    'İstanbul',
    'ΟΔΟΣ',
    '␊',
  ),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }),
);
const path = fc
  .array(name, { minLength: 1, maxLength: 4 })
  .map((names) => names.join('/'))
  .filter(isPath);
const tree = fc.uniqueArray(path, { minLength: 1, maxLength: 120 });

describe('a folder of a point', () => {
  it('holds what a plain look at all paths finds, each once, whatever the size of the pages', async () => {
    await fc.assert(
      fc.asyncProperty(tree, fc.integer({ min: 1, max: 7 }), async (paths, limit) => {
        const point = await pointOf(paths);
        const folders = new Set([
          '',
          ...paths.flatMap((p) => p.split('/').map((_, i, all) => all.slice(0, i).join('/'))),
        ]);
        for (const folder of folders) {
          const expected = naive(paths, folder);
          const read = await pages(point, folder, limit);
          const rows = read.flatMap((page) => page.folders);
          expect(new Map(rows.map((row) => [row.path, row.files]))).toEqual(expected.folders);
          expect(rows).toHaveLength(expected.folders.size);
          expect(read.flatMap((page) => page.files.map((row) => row.path))).toEqual(expected.files);
          const inside = folder === '' ? paths.length : paths.filter((p) => p.startsWith(`${folder}/`)).length;
          expect(read.map((page) => page.total)).toEqual(read.map(() => inside));
          for (const page of read) expect(page.folders.length + page.files.length).toBeLessThanOrEqual(limit);
          // Folders never come after files.
          const first = read.findIndex((page) => page.files.length > 0);
          if (first >= 0) expect(read.slice(first + 1).every((page) => page.folders.length === 0)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('tells size, time and state of each file', async () => {
    const point = await pointOf(['x'], {
      size: 12_345_678_901,
      mtime: '2026-02-03T04:05:06.789123456Z',
      state: 'carried',
    });
    const { files } = await openFolder(point, '', { limit: 5, budget: budget() });
    expect(files).toEqual([
      { path: 'x', name: 'x', size: 12_345_678_901, mtime: Date.parse('2026-02-03T04:05:06.789Z'), state: 'carried' },
    ]);
  });

  it('of many thousands of entries is read only where it is looked at', async () => {
    const paths = Array.from(
      { length: 40_000 },
      (_, i) => `${i % 2 === 0 ? 'even' : 'odd'}/${String(i).padStart(6, '0')}`,
    );
    const bucket = new MemoryBucket();
    const written = await writePoint(
      paths.map((p) => entryOf(p)),
      { bucket },
    );
    const asked: string[] = [];
    const store = bucket.connect((_operation, key) => {
      asked.push(key);
      return undefined;
    });
    const point = await library().open({ ...written.place, store });
    const page = await openFolder(point, '', { limit: 10, budget: budget() });
    expect(page.folders).toEqual([
      { name: 'even', path: 'even', files: 20_000 },
      { name: 'odd', path: 'odd', files: 20_000 },
    ]);
    expect(page.total).toBe(40_000);
    expect(written.chunks.length).toBeGreaterThan(4);
    expect(asked.filter((key) => key.includes('/chunks/')).length).toBeLessThanOrEqual(3);
  });

  it('of a million entries is opened at any place by reading a few chunks, and searched within the memory it may have', async () => {
    const nameOf = (i: number): string => `img-${String(i).padStart(7, '0')}`;
    function* entries(): Generator<Entry> {
      for (let i = 0; i < 1_000_000; i += 1) yield entryOf(`camera/${nameOf(i)}`);
    }
    const bucket = new MemoryBucket();
    const written = await writeSorted(entries(), { bucket });
    const asked: string[] = [];
    const store = bucket.connect((_operation, key) => {
      if (key.includes('/chunks/')) asked.push(key);
      return undefined;
    });
    const shelf = library(16 * 1024 * 1024);
    const open = async (): Promise<OpenPoint> => await shelf.open({ ...written.place, store });
    expect((await openFolder(await open(), '', { limit: 10, budget: budget() })).folders).toEqual([
      { name: 'camera', path: 'camera', files: 1_000_000 },
    ]);
    expect(asked.length).toBeLessThanOrEqual(3);
    // Folders come first, so the names have to be looked through once; a page does that for as long as its time lasts.
    const shown: string[] = [];
    let cursor: string | undefined;
    for (let pages = 0; shown.length < 100 && pages < 1_000; pages += 1) {
      let now = 0;
      const page = await openFolder(await open(), 'camera', {
        cursor,
        limit: 100,
        budget: new Budget(8, () => (now += 1)),
      });
      expect(page.total).toBe(1_000_000);
      shown.push(...page.files.map((file) => file.name));
      cursor = page.next ?? undefined;
    }
    expect(shown.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, i) => nameOf(i)));
    expect(asked.length).toBeLessThanOrEqual(written.chunks.length + 3);
    const before = asked.length;
    const middle = { cursor: writeCursor(['files', `camera/${nameOf(654_321)}`]), limit: 3, budget: budget() };
    expect((await openFolder(await open(), 'camera', middle)).files.map((file) => file.name)).toEqual(
      [654_321, 654_322, 654_323].map(nameOf),
    );
    expect(asked.length - before).toBeLessThanOrEqual(2);
    const found = await searchPoint(await open(), nameOf(999_999), { folder: '', limit: 10, budget: budget() });
    expect(found.found.map((hit) => hit.path)).toEqual([`camera/${nameOf(999_999)}`]);
    expect(shelf.bytes).toBeLessThanOrEqual(16 * 1024 * 1024);
  }, 180_000);

  it('stops when its time is up, and goes on from there', async () => {
    const point = await pointOf(Array.from({ length: 50 }, (_, i) => `f${String(i).padStart(2, '0')}`));
    const found: string[] = [];
    let cursor: string | undefined;
    for (let round = 0; round < 200; round += 1) {
      let now = 0;
      // Every look at the clock costs a millisecond.
      const short = new Budget(8, () => (now += 1));
      const page = await openFolder(point, '', { cursor, limit: 100, budget: short });
      found.push(...page.files.map((file) => file.name));
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(found).toHaveLength(50);
    expect(new Set(found).size).toBe(50);
  });

  it('that is not there, and a cursor that is none, are refused', async () => {
    const point = await pointOf(['a/b', 'file']);
    for (const folder of ['b', 'a/b', 'file', 'a/b/c', 'A']) {
      await expect(openFolder(point, folder, { limit: 5, budget: budget() })).rejects.toMatchObject({
        code: 'PATH_NOT_FOUND',
      });
    }
    for (const cursor of [
      'x',
      'bnVsbA',
      Buffer.from('["files",1]').toString('base64url'),
      Buffer.from('["what","a"]').toString('base64url'),
    ]) {
      await expect(openFolder(point, 'a', { cursor, limit: 5, budget: budget() })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
    }
  });
});

describe('a search', () => {
  const all = async (point: OpenPoint, text: string, folder = '', limit = 3): Promise<Found[]> => {
    const found: Found[] = [];
    let cursor: string | undefined;
    do {
      const page = await searchPoint(point, text, { folder, cursor, limit, budget: budget() });
      found.push(...page.found);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    return found;
  };

  it('finds every file and folder with the text in its name, each once, whatever the size of the pages', async () => {
    await fc.assert(
      fc.asyncProperty(
        tree,
        fc.constantFrom('a', 'A', 'ä', 'i', 'X', '😀', '.', 'σ', '0'),
        fc.integer({ min: 1, max: 5 }),
        async (paths, text, limit) => {
          const point = await pointOf(paths);
          const fold = (value: string): string => value.replaceAll('İ', 'i').toLowerCase().replaceAll('ς', 'σ');
          const needles = [fold(text.normalize('NFC')), fold(text.normalize('NFD'))];
          const matches = (value: string): boolean =>
            needles.some((needle) => fold(value.split('/').at(-1) ?? '').includes(needle));
          const folders = new Set(
            paths.flatMap((p) =>
              p
                .split('/')
                .slice(0, -1)
                .map((_, i, names) => names.slice(0, i + 1).join('/')),
            ),
          );
          const expected = [
            ...[...folders].filter(matches).map((p) => `folder ${p}`),
            ...paths.filter(matches).map((p) => `file ${p}`),
          ];
          const found = (await all(point, text, '', limit)).map((row) => `${row.kind} ${row.path}`);
          expect(found.sort()).toEqual(expected.sort());
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it('stays in its folder, whose own name it does not find', async () => {
    const point = await pointOf(['mail/mail.txt', 'mail/old/x', 'mail/oldmail/y', 'other/mail.txt']);
    expect((await all(point, 'MAIL', 'mail')).map((row) => row.path)).toEqual(['mail/mail.txt', 'mail/oldmail']);
  });

  it('with a slash looks at whole paths', async () => {
    const point = await pointOf(['a/b/c', 'a/bc', 'xa/b/d']);
    expect((await all(point, 'a/b')).map((row) => row.path)).toEqual(['a/b', 'a/bc', 'xa/b']);
  });

  it('says how far it came when its time is up, and finds the rest later', async () => {
    const paths = Array.from({ length: 30_000 }, (_, i) => `d/${String(i).padStart(6, '0')}.txt`);
    const point = await pointOf(paths);
    let now = 0;
    const page = await searchPoint(point, '029999', { folder: '', limit: 5, budget: new Budget(1, () => (now += 1)) });
    expect(page.found).toEqual([]);
    expect(page.searched).toBeGreaterThan(0);
    expect(page.searched).toBeLessThan(page.total);
    const rest = await searchPoint(point, '029999', {
      folder: '',
      cursor: page.next ?? '',
      limit: 5,
      budget: budget(),
    });
    expect(rest.found.map((row) => row.path)).toEqual(['d/029999.txt']);
    expect(rest).toMatchObject({ searched: 30_000, total: 30_000, next: null });
  });
});

describe('names that are unusual', () => {
  it('can be opened and found, whatever Unicode has', async () => {
    const odd = ['a\u0085b/x', 'line\u2028break', 'rtl\u202Etxt', 'zero\u200bwidth', '\u{10ffff}', '‛␊'];
    const point = await pointOf(odd.filter(isPath));
    const top = await openFolder(point, '', { limit: 50, budget: budget() });
    expect(top.folders.length + top.files.length).toBe(odd.filter(isPath).length);
    expect((await openFolder(point, 'a\u0085b', { limit: 5, budget: budget() })).files).toHaveLength(1);
    expect(PointPath.parse('/line\u2028break/')).toBe('line\u2028break');
    expect(PointPath.safeParse('a\nb').success).toBe(false);
  });
});

describe('a point that was tampered with or lost', () => {
  const paths = ['a', 'b/c'];
  const damage: [string, (bucket: MemoryBucket, chunk: string) => void][] = [
    ['a missing manifest', (bucket) => bucket.remove(PREFIX + manifestKey(RUN, CLAIM))],
    ['a manifest that is no JSON', (bucket) => bucket.write(PREFIX + manifestKey(RUN, CLAIM), Buffer.from('{'))],
    ['a missing chunk', (bucket, chunk) => bucket.remove(PREFIX + chunk)],
    [
      'a chunk that somebody made huge',
      (bucket, chunk) => bucket.write(PREFIX + chunk, Buffer.alloc(129 * 1024 * 1024)),
    ],
    ['a chunk of rubbish', (bucket, chunk) => bucket.write(PREFIX + chunk, Buffer.from('rubbish'))],
    [
      'a chunk that was cut',
      (bucket, chunk) =>
        bucket.write(PREFIX + chunk, (bucket.read(PREFIX + chunk)?.body ?? Buffer.alloc(0)).subarray(0, 20)),
    ],
  ];
  it.each(damage)('%s is told with its code', async (_what, harm) => {
    const bucket = new MemoryBucket();
    const written = await writePoint(
      paths.map((p) => entryOf(p)),
      { bucket },
    );
    harm(bucket, written.chunks[0]?.key ?? '');
    const look = async (): Promise<unknown> =>
      await openFolder(await library().open(written.place), 'b', { limit: 5, budget: budget() });
    await expect(look()).rejects.toMatchObject({ code: 'ERR_MANIFEST_INVALID' });
  });

  it('a manifest that somebody signed with another secret is refused', async () => {
    const bucket = new MemoryBucket();
    const written = await writePoint([entryOf('a')], { bucket });
    const key = PREFIX + manifestKey(RUN, CLAIM);
    const manifest = JSON.parse(bucket.read(key)?.body.toString() ?? '{}') as Record<string, unknown>;
    bucket.write(key, Buffer.from(JSON.stringify({ ...manifest, generation: 8 })));
    await expect(library().open(written.place)).rejects.toMatchObject({ code: 'ERR_MANIFEST_INVALID' });
  });

  it('is read again once it is whole: a failure is not remembered', async () => {
    const bucket = new MemoryBucket();
    const written = await writePoint(
      paths.map((p) => entryOf(p)),
      { bucket },
    );
    const chunk = PREFIX + (written.chunks[0]?.key ?? '');
    const body = bucket.read(chunk)?.body ?? Buffer.alloc(0);
    bucket.remove(chunk);
    const shelf = library();
    const look = async (): Promise<FolderPage> =>
      await openFolder(await shelf.open(written.place), 'b', { limit: 5, budget: budget() });
    await expect(look()).rejects.toMatchObject({ code: 'ERR_MANIFEST_INVALID' });
    bucket.write(chunk, body);
    expect((await look()).files.map((file) => file.path)).toEqual(['b/c']);
  });
});
