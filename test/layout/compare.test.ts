import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { brakesHold, DEFAULT_BRAKES } from '../../src/layout/brakes.ts';
import {
  compare,
  isMoveOf,
  isUnchanged,
  judgeCopy,
  liesIn,
  sameTime,
  type Decision,
  type ListedFile,
} from '../../src/layout/compare.ts';
import { compareUtf8 } from '../../src/layout/order.ts';
import type { Entry } from '../../src/layout/types.ts';
import { asciiPath } from './names.ts';
import { collect, entryOf, streamOf } from './samples.ts';

const A = `md5:${'a'.repeat(32)}`;
const B = `md5:${'b'.repeat(32)}`;
const file = (path: string, more: Partial<ListedFile> = {}): ListedFile => ({
  path,
  size: 3,
  mtime: '2026-01-02T03:04:05Z',
  hash: null,
  ...more,
});

async function decide(files: ListedFile[], entries: Entry[], unread: string[] = []): Promise<Decision[]> {
  return await collect(compare(streamOf(files), streamOf(entries), liesIn(unread)));
}

describe('comparing source and base', () => {
  it('lets hashes decide where both are known, and size and time otherwise', () => {
    const entry = entryOf('a', { hash: A });
    expect(isUnchanged(file('a', { hash: A, mtime: '2027-01-01T00:00:00Z' }), entry)).toBe(true);
    expect(isUnchanged(file('a', { hash: B }), entry)).toBe(false);
    expect(isUnchanged(file('a'), entry)).toBe(true);
    expect(isUnchanged(file('a', { mtime: '2026-01-02T03:04:06Z' }), entry)).toBe(false);
    expect(isUnchanged(file('a', { size: 4 }), entry)).toBe(false);
    expect(isUnchanged(file('a', { size: -1 }), entry)).toBe(false);
    expect(isUnchanged(file('a', { size: -1, dated: true }), entry)).toBe(true);
    expect(isUnchanged(file('a', { size: -1, dated: true, mtime: '2026-09-09T00:00:00Z' }), entry)).toBe(false);
    expect(isUnchanged(file('a', { hash: A }), entryOf('a', { hash: null }))).toBe(true);
  });

  it('never calls a carried or failed entry unchanged, nor takes it for a moved file', () => {
    const carried = entryOf('a', { hash: A, state: 'carried' });
    expect(isUnchanged(file('a', { hash: A }), carried)).toBe(false);
    expect(isMoveOf(file('b', { hash: A }), carried)).toBe(false);
    expect(isMoveOf(file('b', { hash: A }), entryOf('a', { hash: A }))).toBe(true);
    expect(isMoveOf(file('b', { hash: A, size: 4 }), entryOf('a', { hash: A }))).toBe(false);
    expect(isMoveOf(file('b'), entryOf('a', { hash: null }))).toBe(false);
  });

  it('records the time that the source shows, with the object that is there', async () => {
    const [decision] = await decide(
      [file('a', { hash: A, mtime: '2027-01-01T00:00:00Z' })],
      [entryOf('a', { hash: A })],
    );
    expect(decision).toEqual({ kind: 'unchanged', entry: entryOf('a', { hash: A, mtime: '2027-01-01T00:00:00Z' }) });
  });

  it('carries what lay in a folder that could not be read, and deletes the rest that is gone', async () => {
    const decisions = await decide(
      [file('b')],
      ['a/x', 'a/y/z', 'ab', 'b'].map((path) => entryOf(path)),
      ['a/y'],
    );
    expect(decisions.map((d) => [d.kind, 'base' in d ? d.base?.path : 'b'])).toEqual([
      ['deleted', 'a/x'],
      ['carried', 'a/y/z'],
      ['deleted', 'ab'],
      ['unchanged', 'b'],
    ]);
    expect(liesIn([''])('anything')).toBe(true);
  });

  it('keeps a pair of names apart that differ only by unicode form', async () => {
    const [nfd, nfc] = ['e\u0301', 'é'];
    const decisions = await decide([file(nfd), file(nfc)], [entryOf(nfd)]);
    expect(decisions.map((d) => d.kind)).toEqual(['unchanged', 'copy']);
  });

  it('names every path of both sides exactly once, in order', async () => {
    const paths = fc.uniqueArray(asciiPath).map((all) => all.sort(compareUtf8));
    await fc.assert(
      fc.asyncProperty(paths, paths, async (source, base) => {
        const decisions = await decide(
          source.map((path) => file(path)),
          base.map((path) => entryOf(path)),
        );
        const seen = decisions.map(
          (d) => (d.kind === 'unchanged' ? d.entry : d.kind === 'copy' ? d.file : d.base).path,
        );
        expect(seen).toEqual([...new Set([...source, ...base])].sort(compareUtf8));
        const kinds = new Map(decisions.map((d, i) => [seen[i], d.kind]));
        for (const path of seen) {
          const both = source.includes(path) && base.includes(path);
          expect(kinds.get(path)).toBe(both ? 'unchanged' : source.includes(path) ? 'copy' : 'deleted');
        }
      }),
    );
  });

  it('takes times with and without trailing zeros for equal', () => {
    expect(sameTime('2026-01-02T03:04:05.500Z', '2026-01-02T03:04:05.5Z')).toBe(true);
    expect(sameTime('2026-01-02T03:04:05.000Z', '2026-01-02T03:04:05Z')).toBe(true);
    expect(sameTime('2026-01-02T03:04:50Z', '2026-01-02T03:04:05Z')).toBe(false);
    expect(sameTime('2026-01-02T03:04:05.050Z', '2026-01-02T03:04:05.5Z')).toBe(false);
  });
});

describe('judging a copy', () => {
  const before = file('a', { hash: A });
  const arrived = { size: 3, hash: A };

  it('stores what did not move and arrived as it was', () => {
    expect(judgeCopy({ file: before, again: before, arrived })).toBe('stored');
    expect(judgeCopy({ file: before, again: before, arrived: { size: 3, hash: null } })).toBe('stored');
    expect(judgeCopy({ file: file('a', { size: -1 }), again: file('a', { size: -1 }), arrived })).toBe('stored');
  });

  it('does not store what moved, vanished or did not arrive', () => {
    expect(judgeCopy({ file: before, again: null, arrived })).toBe('vanished');
    expect(judgeCopy({ file: before, again: { ...before, size: 4 }, arrived })).toBe('changed_meanwhile');
    expect(judgeCopy({ file: before, again: { ...before, hash: B }, arrived })).toBe('changed_meanwhile');
    expect(judgeCopy({ file: before, again: { ...before, mtime: '2027-01-02T03:04:05Z' }, arrived })).toBe(
      'changed_meanwhile',
    );
    expect(judgeCopy({ file: before, again: before, arrived: null })).toBe('not_arrived');
    expect(judgeCopy({ file: before, again: before, arrived: { size: 2, hash: null } })).toBe('not_arrived');
    expect(judgeCopy({ file: before, again: before, arrived: { size: 3, hash: B } })).toBe('not_arrived');
  });
});

describe('brakes', () => {
  it('hold above the share of the reference, and only from a hundred files on', () => {
    const holds = (deleted: number, changed: number, referenceFiles: number) =>
      brakesHold({ deleted, changed, referenceFiles }, DEFAULT_BRAKES);
    expect(holds(60, 41, 200)).toBe(true);
    expect(holds(60, 40, 200)).toBe(false);
    expect(holds(99, 0, 100)).toBe(false);
    expect(holds(100, 0, 100)).toBe(true);
    expect(holds(0, 0, 0)).toBe(false);
  });
});
