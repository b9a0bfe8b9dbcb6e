import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  isPath,
  keyOfPath,
  localNameOfPath,
  nativeNameOfPath,
  pathOfKey,
  pathOfNativeName,
  pathOfRcloneName,
  rcloneNameOfPath,
} from '../../src/layout/encoding.ts';
import { nativeName } from './names.ts';

/** rclone's standard form of a native name, as it lists it from a source whose encoding is `Raw`; written anew from its manual. */
function standardForm(native: Buffer): Buffer {
  const text = native.toString('latin1');
  const quoted = /(\xe2\x80\x9b|\xe2\x90[\x80-\x9f\xa1]|\xef\xbc\x8f)/g;
  if (native.equals(Buffer.from('．')) || native.equals(Buffer.from('．．'))) {
    return Buffer.from(native.toString('utf8').replaceAll('．', '‛．'));
  }
  const encoded = text
    .replace(quoted, '\xe2\x80\x9b$1')
    .replace(/[\x01-\x1f]/g, (control) => `\xe2\x90${String.fromCharCode(0x80 + control.charCodeAt(0))}`)
    .replaceAll('\x7f', '\xe2\x90\xa1');
  return Buffer.from(encoded, 'latin1');
}

describe('paths, keys and local names', () => {
  it('leaves ordinary names alone', () => {
    for (const path of ['a', 'a/b c/d.txt', 'é/日本/😀', '-x/--y', '...', '.x/..y']) {
      expect(isPath(path)).toBe(true);
      expect(keyOfPath(path)).toBe(path);
      expect(localNameOfPath(path)).toEqual(Buffer.from(path));
    }
  });

  it.each([
    ['back\\slash', 'back＼slash'],
    ['full＼back', 'full‛＼back'],
    ['a␊b', 'a␊b'],
    ['‛␊', '‛␊'],
    ['‛‛FF', '‛‛FF'],
    ['‛FF', '‛FF'],
    ['．．/x', '．．/x'],
  ])('maps the path %j to the key %j and back', (path, key) => {
    expect(isPath(path)).toBe(true);
    expect(keyOfPath(path)).toBe(key);
    expect(pathOfKey(key)).toBe(path);
  });

  it.each([
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    './a',
    'a\nb',
    '\u0000',
    '\u007f',
    '‛x',
    '‛ff',
    '\ud800',
    '‛C3‛A9',
  ])('refuses %j as a path', (text) => {
    expect(isPath(text)).toBe(false);
  });

  it('brings every name a source may hold to a key and back, no two of them to the same key', () => {
    fc.assert(
      fc.property(nativeName, nativeName, (one, other) => {
        const [path, otherPath] = [one, other].map((name) => pathOfRcloneName(standardForm(name))) as [string, string];
        expect(isPath(path)).toBe(true);
        expect(rcloneNameOfPath(path)).toEqual(standardForm(one));
        expect(pathOfKey(keyOfPath(path))).toBe(path);
        expect(keyOfPath(path)).not.toMatch(/[\u0000-\u001f\u007f\\]/);
        if (!one.equals(other)) expect(keyOfPath(path)).not.toBe(keyOfPath(otherPath));
      }),
      { numRuns: 2_000 },
    );
  });

  it("tells a path from a source's own name as from rclone's name for it, and gives the name back", () => {
    fc.assert(
      fc.property(nativeName, (name) => {
        const path = pathOfNativeName(name);
        expect(path).toBe(pathOfRcloneName(standardForm(name)));
        expect(nativeNameOfPath(path)).toEqual(name);
      }),
      { numRuns: 2_000 },
    );
    expect(pathOfNativeName('a/../b\n/．．/c')).toBe('a/．．/b␊/‛．‛．/c');
    expect(isPath(pathOfNativeName('a//b'))).toBe(false);
  });

  it('never lets a local name leave its folder', () => {
    fc.assert(
      fc.property(nativeName, (name) => {
        const local = localNameOfPath(pathOfRcloneName(standardForm(name))).toString('latin1');
        expect(['', '.', '..']).not.toContain(local);
        expect(local).not.toMatch(/[\0/]/);
      }),
    );
    expect(localNameOfPath('．．/a')).toEqual(Buffer.from('．．/a'));
    expect(localNameOfPath('a／b␀')).toEqual(Buffer.from('a／b␀'));
  });
});
