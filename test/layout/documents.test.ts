import { describe, expect, it } from '@jest/globals';
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { manifestKey } from '../../src/layout/keys.ts';
import { macKeysOf } from '../../src/layout/mac.ts';
import { manifestBytes, parseManifest } from '../../src/layout/manifest.ts';
import { judgeOwner, ownerBytes, readOwner } from '../../src/layout/owner.ts';
import { CLAIM, JOB, KEYS, manifestOf, OTHER_RUN, RUN } from './samples.ts';

const KEY = manifestKey(RUN, CLAIM);
const OWNER = { installation: 'e3 Berlin', database: 'cluster-1', acceptedDatabases: ['cluster-2'], job: JOB };

function tampered(bytes: Buffer, change: Record<string, unknown>): Buffer {
  return Buffer.from(JSON.stringify({ ...(JSON.parse(bytes.toString()) as object), ...change }));
}

describe('a manifest', () => {
  it('reads back, and is canonical JSON signed as the format says', () => {
    const bytes = manifestBytes(manifestOf(), KEYS);
    const { mac, ...rest } = parseManifest(bytes, { key: KEY, job: JOB }, KEYS);
    expect(rest).toEqual({ ...manifestOf(), key_id: '0123abcd' });
    const text = bytes.toString();
    expect(text.startsWith('{"bytes":6,"carried":0,"chunks":[{"entries":2,"first_path":"a","key":')).toBe(true);
    const key = Buffer.from(hkdfSync('sha256', 'a secret of the tests', '', `e3/layout-mac${JOB}`, 32));
    const unsigned = text.replace(`"mac":"${mac}",`, '');
    expect(createHmac('sha256', key).update(unsigned).digest('hex')).toBe(mac);
  });

  it('is still accepted when a former secret signed it, and names the key that is missing', () => {
    const bytes = manifestBytes(manifestOf(), KEYS);
    const rotated = macKeysOf([
      { keyId: 'ffffffff', secret: 'new' },
      { keyId: '0123abcd', secret: 'a secret of the tests' },
    ]);
    expect(parseManifest(bytes, { key: KEY, job: JOB }, rotated).run).toBe(RUN);
    const without = macKeysOf([{ keyId: 'ffffffff', secret: 'new' }]);
    expect(() => parseManifest(bytes, { key: KEY, job: JOB }, without)).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_UNKNOWN', details: { keyId: '0123abcd' } }),
    );
  });

  it.each<[string, Record<string, unknown>]>([
    ['another generation', { generation: 8 }],
    ['a wrong MAC', { mac: '0'.repeat(64) }],
    ['a short MAC', { mac: '00' }],
    ['another run', { run: OTHER_RUN }],
    ['another job', { job: OTHER_RUN }],
    ['another format', { format: 2 }],
    ['an unknown field', { extra: true }],
    ['counts that do not add up', { stored: 1 }],
    ['chunks that do not add up', { files: 3, stored: 3 }],
    ['a chunk outside of its folder', { chunks: [{ key: '../x', first_path: 'a', entries: 2 }] }],
  ])('is refused with %s', (_, change) => {
    const bytes = tampered(manifestBytes(manifestOf(), KEYS), change);
    expect(() => parseManifest(bytes, { key: KEY, job: JOB }, KEYS)).toThrow(
      expect.objectContaining({ code: 'ERR_MANIFEST_INVALID' }),
    );
  });

  it('is refused under another name and when it is not JSON', () => {
    const refused = expect.objectContaining({ code: 'ERR_MANIFEST_INVALID' });
    const bytes = manifestBytes(manifestOf(), KEYS);
    expect(() => parseManifest(bytes, { key: manifestKey(OTHER_RUN, CLAIM), job: JOB }, KEYS)).toThrow(refused);
    expect(() => parseManifest(bytes.subarray(1), { key: KEY, job: JOB }, KEYS)).toThrow(refused);
  });

  it('of another job does not verify even when its job is rewritten', () => {
    const foreign = manifestBytes(manifestOf({ job: OTHER_RUN }), KEYS);
    expect(() => parseManifest(tampered(foreign, { job: JOB }), { key: KEY, job: JOB }, KEYS)).toThrow('');
  });
});

describe('the owner marker', () => {
  const bytes = ownerBytes(OWNER, KEYS);

  it('is ours for this job, installation and database, replicas included', () => {
    expect(judgeOwner(bytes, OWNER, KEYS)).toBe('ours');
    expect(judgeOwner(bytes, { ...OWNER, database: 'cluster-2', acceptedDatabases: ['cluster-1'] }, KEYS)).toBe('ours');
    expect(readOwner(bytes)).toMatchObject({ format: 1, encoding: 'Slash,BackSlash,Ctl,Del,InvalidUtf8,Dot' });
  });

  it('tells what speaks against it', () => {
    expect(judgeOwner(bytes, { ...OWNER, installation: 'e3 Bonn' }, KEYS)).toBe('installation');
    expect(judgeOwner(bytes, { ...OWNER, database: 'copy' }, KEYS)).toBe('database');
    expect(judgeOwner(bytes, { ...OWNER, job: RUN }, KEYS)).toBe('job');
    expect(judgeOwner(tampered(bytes, { database: 'cluster-2' }), OWNER, KEYS)).toBe('forged');
    expect(judgeOwner(tampered(bytes, { key_id: 'ffffffff' }), OWNER, KEYS)).toBe('unknown_key');
    expect(judgeOwner(Buffer.from('{}'), OWNER, KEYS)).toBe('unreadable');
    expect(judgeOwner(Buffer.from('<'), OWNER, KEYS)).toBe('unreadable');
  });

  it('is the same bytes each time', () => {
    const hash = (body: Buffer) => createHash('sha256').update(body).digest('hex');
    expect(hash(ownerBytes(OWNER, KEYS))).toBe(hash(bytes));
  });
});
