import { beforeEach, describe, expect, it } from '@jest/globals';
import { openJobCipher } from '../../src/crypt/job-cipher.ts';
import { cryptKeysBytes } from '../../src/layout/crypt-keys.ts';
import { CRYPT_KEYS_KEY, OWNER_KEY, parseKey } from '../../src/layout/keys.ts';
import { macKeysOf } from '../../src/layout/mac.ts';
import { ENCRYPTION } from '../model/encryption.ts';
import { KEYS, TestJob } from './job.ts';

let job: TestJob;
beforeEach(() => {
  job = new TestJob({ encryption: ENCRYPTION });
  job.source.write('folder/first file', 'its content');
  job.source.write('folder/second', 'other content');
});

const write = (key: string, body: Buffer): void => job.bucket.write(job.prefix + key, body);

describe('an encrypted job', () => {
  it('shows neither names nor content in its bucket, and keeps the source’s checksums', async () => {
    const { run, point } = await job.run();
    const bodies = job.keys().map((key) => [key, job.read(key)] as const);
    expect(bodies.map(([key]) => parseKey(key)?.kind).sort()).toEqual(
      ['chunk', 'crypt_keys', 'file', 'file', 'manifest', 'ok', 'owner'].sort(),
    );
    for (const [key, body] of bodies) expect(`${key} ${body}`).not.toMatch(/folder|first|second|content|"files"/);
    const entries = await job.entries(point);
    expect(entries.get('folder/second')).toMatchObject({
      size: 13,
      hash: job.source.listed('folder/second', job.source.read('folder/second') ?? { body: Buffer.alloc(0), mtime: '' })
        .hash,
      key: `run_${run.uuid}/${run.claimName}/files/${ENCRYPTION.cipher.keyOfPath('folder/second')}`,
      state: 'stored',
    });
  });

  it('refers to what is there: unchanged and moved files are not copied again', async () => {
    await job.run();
    job.source.set('moved/to', job.source.read('folder/second') ?? null);
    job.source.set('folder/second', null);
    const { statistics } = await job.run();
    expect(statistics).toMatchObject({ filesCopied: 0, moved: 1, unchanged: 1 });
  });

  it('of a source without checksums records none', async () => {
    job = new TestJob({ encryption: ENCRYPTION, hashes: false });
    job.source.write('a', 'content');
    const { point } = await job.run();
    expect((await job.entries(point)).get('a')).toMatchObject({ hash: null, size: 7, state: 'stored' });
  });

  it('reports a file whose encrypted name is too long for a key, and stores the others', async () => {
    job.source.write(Array.from({ length: 4 }, () => 'n'.repeat(200)).join('/'), 'deep');
    const { status, request } = await job.run();
    expect(status).toBe('warning');
    expect(request.report?.files).toMatchObject([{ code: 'ERR_KEY_TOO_LONG', outcome: 'failed' }]);
  });
});

describe('the wrapped keys in the bucket', () => {
  it('are put before anything encrypted is, behind the owner marker', async () => {
    const puts: string[] = [];
    const store = job.bucket.connect((operation, key) => {
      if (operation === 'put') puts.push(key.slice(job.prefix.length));
      return undefined;
    });
    await job.run({ store });
    expect(puts.slice(0, 2)).toEqual([OWNER_KEY, CRYPT_KEYS_KEY]);
  });

  it.each([
    ['missing', null],
    ['damaged', Buffer.from('{}')],
    ['somebody else’s', cryptKeysBytes(ENCRYPTION.wrapped, '01900000-0000-7000-8000-000000000000', KEYS)],
    ['forged', Buffer.alloc(0)],
    ['far too large', Buffer.alloc(200_000, '{')],
  ])('are put anew when they are %s', async (kind, body) => {
    await job.run();
    const good = job.read(CRYPT_KEYS_KEY);
    if (body === null) job.bucket.remove(job.prefix + CRYPT_KEYS_KEY);
    else write(CRYPT_KEYS_KEY, kind === 'forged' ? Buffer.from(good.replace('AAAA', 'BBBB')) : body);
    await job.run();
    expect(job.read(CRYPT_KEYS_KEY)).toBe(good);
  });

  it('are put anew when the envelope was written with a new secret', async () => {
    await job.run();
    job.encryption = { ...ENCRYPTION, wrapped: { ...ENCRYPTION.wrapped, value: 'v2:89abcdef:BBBB' } };
    await job.run();
    expect(job.read(CRYPT_KEYS_KEY)).toContain('v2:89abcdef:BBBB');
  });

  it('of another installation’s secret stop the job: they may be the only ones', async () => {
    await job.run();
    const others = macKeysOf([{ keyId: 'ffffffff', secret: 'another secret' }]);
    write(CRYPT_KEYS_KEY, cryptKeysBytes(ENCRYPTION.wrapped, job.uuid, others));
    const before = job.keys();
    await expect(job.run()).rejects.toMatchObject({ code: 'ERR_KEY_UNKNOWN' });
    expect(job.keys()).toEqual(before);
  });

  it('stop a job that has other keys, or none, before it writes anything', async () => {
    await job.run();
    const before = job.keys();
    const cipher = await openJobCipher({ password: 'another', password2: 'pair' });
    job.encryption = { cipher, wrapped: { ...ENCRYPTION.wrapped, key: '01900000-0000-7000-8000-00000000beef' } };
    await expect(job.run()).rejects.toMatchObject({ code: 'ERR_CRYPT_KEYS_OTHER' });
    job.encryption = null;
    await expect(job.run()).rejects.toMatchObject({ code: 'ERR_CRYPT_KEYS_OTHER' });
    expect(job.keys()).toEqual(before);
  });

  it('that somebody put into the folder of a plain job mean nothing', async () => {
    job.encryption = null;
    await job.run();
    write(CRYPT_KEYS_KEY, Buffer.from('{"format":1}'));
    expect((await job.run()).status).toBe('success');
  });
});

describe('what was altered in an encrypted bucket', () => {
  it.each([
    ['manifest', (key: string) => parseKey(key)?.kind === 'manifest'],
    ['chunk', (key: string) => parseKey(key)?.kind === 'chunk'],
  ])('is noticed in a %s', async (_, isIt) => {
    await job.run();
    const key = job.keys().find(isIt) ?? '';
    write(key, Buffer.from('plain text in its place'));
    job.source.write('new', 'file');
    await expect(job.run()).rejects.toMatchObject({ code: 'ERR_MANIFEST_INVALID' });
  });
});
