import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { sortExternally } from '../../src/backup/sorted-listing.ts';
import { SpillList } from '../../src/backup/spill.ts';
import { listSource } from '../../src/backup/source-listing.ts';
import type { BackupEngine, SourceFile } from '../../src/engines/port.ts';
import { compareUtf8 } from '../../src/layout/order.ts';
import { collect, streamOf } from '../layout/samples.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e3-sort-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('sorting outside of memory', () => {
  it('sorts whatever fits or does not fit, any number of times', async () => {
    const item = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '"', 'é', '😀', '\ue000') });
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        async (items, memoryItems) => {
          const sorted = await sortExternally(streamOf(items), compareUtf8, { folder, memoryItems });
          const expected = [...items].sort(compareUtf8);
          expect(sorted.count).toBe(items.length);
          expect(await collect(sorted)).toEqual(expected);
          expect(await collect(sorted)).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps the order of equal items', async () => {
    const items = Array.from({ length: 50 }, (_, i) => ({ key: i % 3, i }));
    const sorted = await sortExternally(streamOf(items), (a, b) => a.key - b.key, { folder, memoryItems: 7 });
    expect(await collect(sorted)).toEqual([...items].sort((a, b) => a.key - b.key));
  });

  it('touches no disk for what is small', async () => {
    const before = (await readdir(folder)).length;
    await collect(await sortExternally(streamOf([3, 1, 2]), (a, b) => a - b, { folder, memoryItems: 10 }));
    expect((await readdir(folder)).length).toBe(before);
  });

  it('sorts 200,000 names with a tenth of them in memory', async () => {
    const names = Array.from({ length: 200_000 }, (_, i) => `folder ${(i * 7_919) % 200_000}/file`);
    const sorted = await sortExternally(streamOf(names), compareUtf8, { folder, memoryItems: 20_000 });
    let last = '';
    let count = 0;
    for await (const name of sorted) {
      if (compareUtf8(last, name) >= 0) throw new Error(`${last} before ${name}`);
      last = name;
      count += 1;
    }
    expect(count).toBe(names.length);
  });
});

describe('a list that spills', () => {
  it('gives back what was added, in order, also to two readers at once', async () => {
    const list = new SpillList<{ n: number }>({ folder, memoryItems: 4 });
    for (let n = 0; n < 10; n += 1) await list.add({ n });
    await list.finish();
    const expected = Array.from({ length: 10 }, (_, n) => ({ n }));
    expect(await Promise.all([collect(list), collect(list)])).toEqual([expected, expected]);
    expect(list.count).toBe(10);
  });
});

describe('the listing of a source', () => {
  const file = (path: string, mtime = '2026-01-02T03:04:05Z'): SourceFile => ({ path, size: 1, mtime, hash: null });
  const listOf = async (
    files: SourceFile[],
    outcome: Partial<Awaited<ReturnType<BackupEngine['list']>['outcome']>> = {},
  ) => {
    const settled = Promise.resolve({ complete: true, unreadable: [], skipped: [], ...outcome });
    const engine = { list: () => ({ files: streamOf(files), outcome: settled }) } as unknown as BackupEngine;
    return await listSource(engine, { signal: new AbortController().signal, space: { folder, memoryItems: 3 } });
  };

  it('is in the order of the bytes of the paths', async () => {
    const { files, bytes } = await listOf(['😀', '\ue000', 'b', 'a/b', 'a'].map((path) => file(path)));
    expect((await collect(files)).map(({ path }) => path)).toEqual(['a', 'a/b', 'b', '\ue000', '😀']);
    expect(bytes).toBe(5);
  });

  it('takes one of two files with the same name, and tells of it', async () => {
    const { files, skipped, bytes } = await listOf([file('b'), file('a'), file('b'), file('b'), file('c')]);
    expect((await collect(files)).map(({ path }) => path)).toEqual(['a', 'b', 'c']);
    expect(skipped).toEqual([{ path: 'b', code: 'DUPLICATE_NAME', outcome: 'skipped' }]);
    expect(bytes).toBe(3);
  });

  it('leaves out names that are no paths, and does not take them for deleted', async () => {
    const { files, skipped, isUnread } = await listOf([file('../x'), file('a')], {
      skipped: [
        { path: 'loop', reason: 'symlink_loop' },
        { path: 'pipe', reason: 'special_file' },
      ],
    });
    expect((await collect(files)).map(({ path }) => path)).toEqual(['a']);
    expect(skipped.map(({ path, code }) => [path, code])).toEqual([
      ['loop', 'SYMLINK_LOOP'],
      ['pipe', 'SPECIAL_FILE'],
      ['../x', 'BAD_NAME'],
    ]);
    expect(['loop', 'loop/below', '../x', 'pipe', 'gone'].map(isUnread)).toEqual([true, true, true, false, false]);
  });

  it('does not take for deleted what lies behind a link that it cannot look behind, be it a folder or a file', async () => {
    const { isUnread } = await listOf([file('a')], { complete: false, unreadable: ['data'] });
    expect(['data', 'data/below', 'database'].map(isUnread)).toEqual([true, true, false]);
  });

  it('may have gaps anywhere when it is incomplete and names no folder', async () => {
    const { isUnread, complete } = await listOf([file('a')], { complete: false });
    expect([complete, isUnread('anything')]).toEqual([false, true]);
  });

  it('gives a file a time that can be written', async () => {
    const { files } = await listOf([file('a', '+12026-01-02T03:04:05Z')]);
    expect((await collect(files))[0]?.mtime).toBe('1970-01-01T00:00:00Z');
  });
});
