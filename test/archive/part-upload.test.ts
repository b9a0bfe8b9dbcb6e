import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { PartDigests } from '../../src/archive/part-digests.ts';
import { PART_SIZES, PartBuffers, PartUpload } from '../../src/archive/part-upload.ts';
import { ARCHIVE_SETTINGS } from '../../src/archive/settings.ts';
import { sealedSize } from '../../src/crypt/file-format.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { MemoryBucket } from '../../src/storage/memory.ts';

const MOST_PARTS = 10_000;
const signal = new AbortController().signal;

it('checksums of parts are those of their bytes; whoever waits when the thread ends hears of it, and the next one gets a new one', async () => {
  const digests = new PartDigests();
  const body = randomBytes(300_000);
  const memory = new SharedArrayBuffer(body.length);
  body.copy(Buffer.from(memory));
  const md5 = (bytes: number): string => createHash('md5').update(body.subarray(0, bytes)).digest('base64');
  const sizes = [300_000, 1, 0, 65_537];
  expect(await Promise.all(sizes.map(async (bytes) => await digests.md5(memory, bytes)))).toEqual(sizes.map(md5));
  const large = new SharedArrayBuffer(200_000_000);
  const waiting = expect(digests.md5(large, large.byteLength)).rejects.toThrow('has ended');
  await digests.close();
  await waiting;
  expect(await digests.md5(memory, 10)).toBe(md5(10));
  await digests.close();
});

describe('parts of an archive', () => {
  it('are as many as S3 takes at most in the largest object that is written, encrypted or not', () => {
    let bytes = 0;
    for (let number = 1; number <= MOST_PARTS; number += 1) bytes += PART_SIZES(number);
    expect(bytes).toBeGreaterThanOrEqual(sealedSize(ARCHIVE_SETTINGS.objectBytes));
  });

  it('fit into the memory that they may take, whatever their size', () => {
    for (const number of [1, 401, 1_001, MOST_PARTS])
      expect(PART_SIZES(number)).toBeLessThanOrEqual(ARCHIVE_SETTINGS.uploadBytes);
  });

  it('hold what was written, though their memory is used again, and never take more of it than they may', async () => {
    const bucket = new MemoryBucket();
    const store = bucket.connect();
    const buffers = new PartBuffers(3_000);
    const taken = new Set<ArrayBufferLike>();
    let most = 0;
    let under = 0;
    const slow: ObjectStore = Object.create(store, {
      beginUpload: {
        value: async (...args: Parameters<ObjectStore['beginUpload']>) => {
          const upload = await store.beginUpload(...args);
          return Object.create(upload, {
            part: {
              value: async (number: number, pieces: readonly Buffer[], { md5 = '' }: { md5?: string } = {}) => {
                expect(md5).toBe(createHash('md5').update(Buffer.concat(pieces)).digest('base64'));
                for (const { buffer } of pieces) taken.add(buffer);
                under += pieces.reduce((sum, { length }) => sum + length, 0);
                most = Math.max(most, under);
                for (let turn = 0; turn < number % 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
                // Read at the last moment, as when a part has to be sent again.
                await upload.part(number, pieces);
                under -= pieces.reduce((sum, { length }) => sum + length, 0);
              },
            },
          }) as typeof upload;
        },
      },
    }) as ObjectStore;
    const upload = new PartUpload({ store: slow, key: 'archive', parts: () => 1_000, buffers, signal });
    const body = randomBytes(50_123);
    for (let at = 0, length = 1; at < body.length; at += length, length = (length * 7) % 2_903)
      await upload.write(body.subarray(at, at + length));
    await upload.sendRest();
    await upload.complete();
    await buffers.close();
    expect(bucket.read('archive')?.body.equals(body)).toBe(true);
    expect(most).toBeGreaterThan(1_000);
    expect(most).toBeLessThanOrEqual(3_000);
    expect(taken.size).toBeLessThanOrEqual(3);
  });
});
