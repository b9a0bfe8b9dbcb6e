import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DeletableKeys } from '../../src/layout/deletable.ts';
import { archiveKey, chunkKey, fileKey, manifestKey, okKey, tombstoneKey } from '../../src/layout/keys.ts';
import { CLAIM, RUN } from './samples.ts';

const keys = new DeletableKeys('jobs/one/');

describe('keys that may be deleted', () => {
  it.each([
    [fileKey(RUN, CLAIM, 'a/b.txt'), 'file'],
    [fileKey(RUN, CLAIM, '．．/x'), 'file'],
    [archiveKey(RUN, CLAIM, 2), 'archive'],
    [chunkKey('a'.repeat(64), RUN, CLAIM), 'chunk'],
    [manifestKey(RUN, CLAIM), 'manifest'],
    [okKey(RUN, CLAIM), 'ok'],
    [tombstoneKey(RUN, CLAIM), 'tombstone'],
  ])('%s', (key, kind) => {
    expect(keys.read(key)).toEqual({ key: `jobs/one/${key}`, kind, run: RUN, claim: CLAIM });
    expect(keys.of(key)).toBe(`jobs/one/${key}`);
  });

  it.each([
    '',
    'e3-owner.json',
    'e3-keys.json',
    'notes.txt',
    'kopia.repository',
    'kopia.blobcfg',
    'p27b4cb4e6d1a8f2c3f7a9b0d5e6f7a8b-s0123456789abcdef',
    'q27b4cb4e6d1a8f2c3f7a9b0d5e6f7a8b-s0123456789abcdef',
    '_log_20260101000000_0123_1767225600_1767225600_1_0123456789abcdef',
    'xn0_0123456789abcdef',
    `run_${RUN}/${CLAIM}/note.txt`,
    `run_${RUN}/${CLAIM}/files/`,
    `run_${RUN}/${CLAIM}/files//x`,
    `run_${RUN}/${CLAIM}/files/../../../other/x`,
    `run_${RUN}/${CLAIM}/files/a/..`,
    `run_${RUN}/${CLAIM}/files/./x`,
    `run_${RUN}/${CLAIM}/files/a/`,
    `run_${RUN}/${CLAIM}/files/\udcff`,
    `run_${RUN}/c0-00000000/files/x`,
    `run_${RUN.toUpperCase()}/${CLAIM}/files/x`,
    `/run_${RUN}/${CLAIM}/files/x`,
    `x/run_${RUN}/${CLAIM}/files/x`,
    `manifests/${RUN}.${CLAIM}.json.bak`,
    `manifests/${RUN}.${CLAIM}.json/x`,
    `manifests/chunks/${'a'.repeat(63)}.${RUN}.${CLAIM}`,
  ])('%p is none', (key) => {
    expect(keys.read(key)).toBeNull();
    expect(() => keys.of(key)).toThrow(RangeError);
  });

  it('lie below the prefix and have a shape of the format, whatever is asked', () => {
    const part = fc.constantFrom('run_', RUN, '/', CLAIM, 'files', '..', '.', 'manifests', 'chunks', 'json', 'x', '');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const read = keys.read(parts.join(''));
        if (read === null) return;
        expect(read.key).toMatch(/^jobs\/one\/(?:run_[0-9a-f-]{36}\/c|manifests\/)/);
        expect(read.key.split('/')).not.toContain('..');
      }),
    );
  });

  it('end with the keys of an encrypted job and the owner marker', () => {
    expect(keys.last).toEqual(['jobs/one/e3-keys.json', 'jobs/one/e3-owner.json']);
  });

  it.each(['', '/', 'jobs', 'jobs//', '../', 'a/../b/', '/a/', 'a\\b/'])('are refused below %p', (prefix) => {
    expect(() => new DeletableKeys(prefix)).toThrow(RangeError);
  });
});
