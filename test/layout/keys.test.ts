import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  archiveKey,
  chunkKey,
  claimFolder,
  claimName,
  claimNumber,
  enclosingPrefixes,
  fileKey,
  isKeyTooLong,
  manifestKey,
  normalisePrefix,
  okKey,
  parseClaimFolder,
  parseClaimName,
  parseKey,
  parseRunFolder,
  prefixesOverlap,
  prefixHash,
  runFolder,
  tombstoneKey,
} from '../../src/layout/keys.ts';

const RUN = '0190aaaa-0000-7000-8000-000000000001';
const JOB = '0190bbbb-0000-7000-8000-000000000002';
const CLAIM = 'c3-00ff00ff';
const HASH = 'a'.repeat(64);

describe('key names', () => {
  it('are read back as what they were made from', () => {
    expect(parseKey(fileKey(RUN, CLAIM, 'a/b c\\d'))).toEqual({
      kind: 'file',
      run: RUN,
      claim: CLAIM,
      name: 'a/b c＼d',
    });
    expect(parseKey(archiveKey(RUN, CLAIM))).toEqual({ kind: 'archive', run: RUN, claim: CLAIM, part: 1 });
    expect(parseKey(archiveKey(RUN, CLAIM, 2))).toEqual({ kind: 'archive', run: RUN, claim: CLAIM, part: 2 });
    expect(parseKey(chunkKey(HASH, RUN, CLAIM))).toEqual({ kind: 'chunk', hash: HASH, run: RUN, claim: CLAIM });
    expect(parseKey(manifestKey(RUN, CLAIM))).toEqual({ kind: 'manifest', run: RUN, claim: CLAIM });
    expect(parseKey(okKey(RUN, CLAIM))).toEqual({ kind: 'ok', run: RUN, claim: CLAIM });
    expect(parseKey(tombstoneKey(RUN, CLAIM))).toEqual({ kind: 'tombstone', run: RUN, claim: CLAIM });
    expect(parseRunFolder(runFolder(RUN))).toBe(RUN);
    expect(parseClaimFolder(claimFolder(RUN, CLAIM))).toEqual({ run: RUN, claim: CLAIM });
  });

  it('have the spelling of the format', () => {
    expect(fileKey(RUN, CLAIM, 'a')).toBe(`run_${RUN}/c3-00ff00ff/files/a`);
    expect(archiveKey(RUN, CLAIM, 12)).toBe(`run_${RUN}/c3-00ff00ff/archive.tar.zst.012`);
    expect(chunkKey(HASH, RUN, CLAIM)).toBe(`manifests/chunks/${HASH}.${RUN}.${CLAIM}`);
    expect(manifestKey(RUN, CLAIM)).toBe(`manifests/${RUN}.${CLAIM}.json`);
  });

  it.each([
    '',
    'x',
    `run_${RUN}/${CLAIM}/files/`,
    `run_${RUN}/${CLAIM}/file/a`,
    `run_${RUN}/c0-00ff00ff/files/a`,
    `run_${RUN}/c03-00ff00ff/files/a`,
    `run_${RUN.toUpperCase()}/${CLAIM}/files/a`,
    `run_${RUN}/${CLAIM}/archive.tar.zst.2`,
    `manifests/${RUN}.${CLAIM}.json.bak`,
    `manifests/${RUN}.${CLAIM}`,
    `manifests/chunks/${HASH.slice(1)}.${RUN}.${CLAIM}`,
    `x/manifests/${RUN}.${CLAIM}.json`,
    '../e3-owner.json',
  ])('does not take %j for anything of the format', (key) => {
    expect(parseKey(key)).toBeNull();
  });

  it('names a claim by its number and four random bytes', () => {
    expect(claimName(3, Buffer.from('00ff00ff', 'hex'))).toBe('c3-00ff00ff');
    expect(parseClaimName('c3-00ff00ff')).toEqual({ number: 3, name: 'c3-00ff00ff' });
    expect(() => claimName(0, Buffer.alloc(4))).toThrow(RangeError);
    expect(() => claimNumber('c3')).toThrow(RangeError);
  });

  it('counts the bytes of a whole key', () => {
    const fits = 1024 - 'p/'.length;
    expect(isKeyTooLong('p/', 'a'.repeat(fits))).toBe(false);
    expect(isKeyTooLong('p/', 'a'.repeat(fits + 1))).toBe(true);
    expect(isKeyTooLong('p/', 'é'.repeat(511))).toBe(false);
    expect(isKeyTooLong('p/', 'é'.repeat(512))).toBe(true);
  });
});

describe('prefixes', () => {
  it('have one spelling, and an empty one is the job itself', () => {
    expect(normalisePrefix('', JOB)).toBe(`e3-${JOB}/`);
    expect(normalisePrefix('/', JOB)).toBe(`e3-${JOB}/`);
    expect(normalisePrefix('/a/b', JOB)).toBe('a/b/');
    expect(normalisePrefix('a/b//', JOB)).toBe('a/b/');
  });

  it.each(['a//b', 'a/../b', '..', 'a\nb', 'a\\b', 'a＼b', '\u007f', 'x'.repeat(401), '\ud800'])(
    'refuses %j',
    (text) => {
      expect(() => normalisePrefix(text, JOB)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    },
  );

  it('overlap when one lies in the other, compared by bytes', () => {
    expect(prefixesOverlap('a/', 'a/')).toBe(true);
    expect(prefixesOverlap('a/', 'a/b/')).toBe(true);
    expect(prefixesOverlap('a/b/', 'a/')).toBe(true);
    expect(prefixesOverlap('a/', 'ab/')).toBe(false);
    expect(prefixesOverlap('a/', 'A/')).toBe(false);
    expect(prefixesOverlap('é/', 'e\u0301/')).toBe(false);
  });

  it('overlap exactly when one is the other or among its enclosing prefixes', () => {
    const prefix = fc
      .array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 4 })
      .map((parts) => `${parts.join('/')}/`);
    fc.assert(
      fc.property(prefix, prefix, (a, b) => {
        const nested = a === b || enclosingPrefixes(a).includes(b) || enclosingPrefixes(b).includes(a);
        expect(prefixesOverlap(a, b)).toBe(nested);
      }),
    );
    expect(enclosingPrefixes('a/b/c/')).toEqual(['a/', 'a/b/']);
  });

  it('are hashed together with their bucket', () => {
    expect(prefixHash('ab', 'c/')).not.toBe(prefixHash('a', 'bc/'));
  });
});
