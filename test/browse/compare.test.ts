import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Budget } from '../../src/browse/budget.ts';
import { comparePoints, type Difference } from '../../src/browse/compare-points.ts';
import { fileVersions } from '../../src/browse/versions.ts';
import type { Entry } from '../../src/layout/types.ts';
import { MemoryBucket } from '../../src/storage/memory.ts';
import { entryOf, OTHER_RUN } from '../layout/samples.ts';
import { library, writePoint, type WrittenPoint } from './points.ts';

const budget = (): Budget => new Budget(60_000);
const md5 = (digit: string): string => `md5:${digit.repeat(32)}`;

async function two(
  before: readonly Entry[],
  after: readonly Entry[],
): Promise<{ one: WrittenPoint; other: WrittenPoint; asked: string[] }> {
  const bucket = new MemoryBucket();
  const one = await writePoint(before, { bucket });
  const other = await writePoint(after, { bucket, run: OTHER_RUN, generation: 8, base: one });
  const asked: string[] = [];
  const store = bucket.connect((_operation, key) => {
    asked.push(key);
    return undefined;
  });
  return { one: withStore(one, store), other: withStore(other, store), asked };
}

function withStore(point: WrittenPoint, store: WrittenPoint['place']['store']): WrittenPoint {
  return { ...point, place: { ...point.place, store } };
}

describe('the comparison of two points', () => {
  it('finds what a plain comparison finds, page by page', async () => {
    const entries = fc.dictionary(fc.constantFrom(...'abcdefghij'), fc.constantFrom('1', '2', '3'));
    await fc.assert(
      fc.asyncProperty(entries, entries, fc.integer({ min: 1, max: 4 }), async (before, after, limit) => {
        const list = (given: Record<string, string>): Entry[] =>
          Object.entries(given).map(([path, digit]) =>
            entryOf(`x/${path}`, { hash: md5(digit), key: entryOf(`${digit}${path}`).key }),
          );
        const { one, other } = await two(list(before), list(after));
        const shelf = library();
        const [older, newer] = [await shelf.open(one.place), await shelf.open(other.place)];
        const found: Difference[] = [];
        let cursor: string | undefined;
        let counted: object | null = null;
        do {
          const page = await comparePoints(older, newer, { folder: '', cursor, limit, budget: budget() });
          counted ??= page.counts;
          found.push(...page.differences);
          cursor = page.next ?? undefined;
        } while (cursor !== undefined);
        const kinds = (kind: string): string[] =>
          found
            .filter((row) => row.kind === kind)
            .map((row) => row.path.slice(2))
            .sort();
        const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
        const expected = {
          added: paths.filter((path) => !(path in before)),
          removed: paths.filter((path) => !(path in after)),
          changed: paths.filter((path) => path in before && path in after && before[path] !== after[path]),
        };
        expect({ added: kinds('added'), removed: kinds('removed'), changed: kinds('changed') }).toEqual(expected);
        expect(counted).toMatchObject({
          added: expected.added.length,
          removed: expected.removed.length,
          changed: expected.changed.length,
        });
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('does not read what both points share', async () => {
    const paths = Array.from({ length: 60_000 }, (_, i) => `d/${String(i).padStart(6, '0')}`);
    const changed = 'd/030000';
    const entries = (hash: string): Entry[] =>
      paths.map((path) => entryOf(path, path === changed ? { hash, key: entryOf(hash).key } : {}));
    const { one, other, asked } = await two(entries(md5('1')), entries(md5('2')));
    const shelf = library();
    const found = await comparePoints(await shelf.open(one.place), await shelf.open(other.place), {
      folder: '',
      limit: 10,
      budget: budget(),
    });
    expect(found.differences.map((row) => `${row.kind} ${row.path}`)).toEqual([`changed ${changed}`]);
    expect(one.chunks.length).toBeGreaterThan(8);
    expect(asked.filter((key) => key.includes('/chunks/'))).toHaveLength(2);
  });

  it('of a folder leaves out what lies elsewhere', async () => {
    const { one, other } = await two([entryOf('a/x'), entryOf('b/x')], [entryOf('a/y'), entryOf('b/y')]);
    const shelf = library();
    const found = await comparePoints(await shelf.open(one.place), await shelf.open(other.place), {
      folder: 'b',
      limit: 10,
      budget: budget(),
    });
    expect(found.differences.map((row) => row.path)).toEqual(['b/x', 'b/y']);
  });
});

describe('the versions of a file', () => {
  it('are one for neighbouring points with the same content, and name points without it or that cannot be read', async () => {
    const bucket = new MemoryBucket();
    const shelf = library();
    const version = async (run: number, entry: Entry | null): Promise<WrittenPoint> =>
      await writePoint([entryOf('other'), ...(entry === null ? [] : [entry])], {
        bucket,
        run: `0190aaaa-0000-7000-8000-00000000000${run}`,
      });
    const file = (digit: string, more: Partial<Entry> = {}): Entry =>
      entryOf('f/x', { hash: md5(digit), key: entryOf(`v${digit}`).key, ...more });
    const written = [
      await version(6, file('2', { state: 'carried' })),
      await version(5, file('2')),
      // Uploaded again with the same content: the same version.
      await version(4, file('2', { key: entryOf('again').key })),
      await version(3, null),
      await version(2, file('1')),
      await version(1, file('1')),
    ];
    const lost = { id: 'p7', open: () => Promise.reject(new Error('lost')) };
    const points = written.map((point, i) => ({ id: `p${i}`, open: async () => await shelf.open(point.place) }));
    const found = await fileVersions([...points, lost], 'f/x', budget());
    expect(found.versions.map(({ hash, state, points: ids }) => ({ hash, state, ids }))).toEqual([
      { hash: md5('2'), state: 'carried', ids: ['p0'] },
      { hash: md5('2'), state: 'stored', ids: ['p1', 'p2'] },
      { hash: md5('1'), state: 'stored', ids: ['p4', 'p5'] },
    ]);
    expect(found.absent).toEqual(['p3']);
    expect(found.unreadable.map(({ id }) => id)).toEqual(['p7']);
    expect(found.looked).toBe(7);
  });
});
