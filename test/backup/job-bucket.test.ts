import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readKeysOf } from '../../src/backup/crypt-keys.ts';
import { JobBucket } from '../../src/backup/job-bucket.ts';
import { OwnerGuard } from '../../src/backup/owner-marker.ts';
import { cryptKeysBytes } from '../../src/layout/crypt-keys.ts';
import { CRYPT_KEYS_KEY, manifestKey, OWNER_KEY } from '../../src/layout/keys.ts';
import { ownerBytes } from '../../src/layout/owner.ts';
import { MemoryBucket } from '../../src/storage/memory.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { ENCRYPTION } from '../model/encryption.ts';
import { KEYS, OWNER } from './job.ts';

const JOB = '01900000-0000-7000-8000-000000000000';
const MANIFEST = manifestKey('01900000-0000-7000-8000-00000000beef', 'c1-0123abcd');
const MB = 1024 ** 2;

const bucketOf = (store: ObjectStore): JobBucket => new JobBucket(store, 'p/', new AbortController().signal);
const guardOf = (bucket: JobBucket): OwnerGuard => new OwnerGuard(bucket, { ...OWNER, job: JOB }, KEYS);

describe('documents that somebody made larger than any of ours', () => {
  const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(64 * 1024, ' ')]);

  it('are no owner marker and no keys, although they begin as ours do', async () => {
    const memory = new MemoryBucket();
    const bucket = bucketOf(memory.connect());
    const [owner, keys] = [ownerBytes({ ...OWNER, job: JOB }, KEYS), cryptKeysBytes(ENCRYPTION.wrapped, JOB, KEYS)];
    memory.write(`p/${OWNER_KEY}`, owner);
    memory.write(`p/${CRYPT_KEYS_KEY}`, keys);
    expect(await guardOf(bucket).look()).toBe('ours');
    expect(await readKeysOf(bucket, JOB, KEYS)).toEqual(ENCRYPTION.wrapped);
    memory.write(`p/${OWNER_KEY}`, padded(owner));
    memory.write(`p/${CRYPT_KEYS_KEY}`, padded(keys));
    await expect(guardOf(bucket).look()).rejects.toMatchObject({
      code: 'ERR_DEST_NOT_OURS',
      details: { reason: 'unreadable' },
    });
    expect(await readKeysOf(bucket, JOB, KEYS)).toBe('unreadable');
  });

  describe('without end', () => {
    let server: Server;
    let store: ObjectStore;
    let sent = 0;
    let dropped = 0;

    beforeAll(async () => {
      const piece = Buffer.alloc(MB, '{');
      server = createServer((_request, answer) => {
        const more = (): void => {
          do sent += piece.length;
          while (!answer.destroyed && answer.write(piece));
        };
        answer.on('drain', more).once('close', () => (dropped += 1));
        more();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const keys = { accessKey: 'key', secretKey: 'secret' };
      const place = { endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', bucket: 'b', provider: 'Other' };
      store = openS3Store({ ...place, ...keys });
    });
    afterAll(() => server.closeAllConnections());
    afterAll(async () => await new Promise((resolve) => server.close(resolve)));

    const dropsAfter = async (read: () => Promise<void>, mostBytes: number): Promise<void> => {
      [sent, dropped] = [0, 0];
      await read();
      while (dropped === 0) await new Promise((resolve) => setImmediate(resolve));
      // What lies in the buffers of the connection comes on top.
      expect(sent).toBeLessThan(mostBytes + 32 * MB);
    };

    it('are read up to their limit, and the connection is dropped', async () => {
      const bucket = bucketOf(store);
      const notOurs = { code: 'ERR_DEST_NOT_OURS', details: { reason: 'unreadable' } };
      await dropsAfter(async () => await expect(guardOf(bucket).look()).rejects.toMatchObject(notOurs), 0);
      await dropsAfter(async () => expect(await readKeysOf(bucket, JOB, KEYS)).toBe('unreadable'), 0);
      const invalid = { code: 'ERR_MANIFEST_INVALID' };
      await dropsAfter(async () => await expect(bucket.get(MANIFEST)).rejects.toMatchObject(invalid), 128 * MB);
    }, 60_000);
  });
});
