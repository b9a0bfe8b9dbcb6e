import { describe, expect, it } from '@jest/globals';
import { ConnectionKilled, MemoryBucket, type Fault } from '../../src/storage/memory.ts';
import { describeObjectStore } from '../contract/storage.ts';

describeObjectStore(
  'in memory',
  { controlCharacters: true, emptySegments: true, backslash: true, byteOrder: true, uploads: true },
  async () => {
    const bucket = new MemoryBucket();
    return {
      store: bucket.connect(),
      wrongKey: null,
      missingBucket: null,
      beginUpload: async (key) => bucket.beginUpload(key),
      writeWithMetadata: async (key, body, metadata) => bucket.write(key, body, metadata),
      close: async () => {},
    };
  },
);

describe('faults of the bucket in memory', () => {
  const body = Buffer.from('x');
  const once = (fault: Fault): ((operation: string) => Fault | undefined) => {
    let left = 1;
    return (operation) => (operation === 'put' && left-- > 0 ? fault : undefined);
  };

  it('an error before a put leaves nothing, one after it leaves the object', async () => {
    const bucket = new MemoryBucket();
    const before = bucket.connect(once('error-before'));
    await expect(before.put('a', body)).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
    expect(bucket.keys()).toEqual([]);
    const after = bucket.connect(once('error-after'));
    await expect(after.put('a', body)).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
    expect(bucket.keys()).toEqual(['a']);
    await after.put('b', body);
    expect(bucket.keys()).toEqual(['a', 'b']);
  });

  it('a connection that died does nothing any more, while others go on', async () => {
    const bucket = new MemoryBucket();
    const dying = bucket.connect(once('die-after'));
    const other = bucket.connect();
    await expect(dying.put('a', body)).rejects.toThrow(ConnectionKilled);
    expect(dying.killed).toBe(true);
    await expect(dying.put('b', body)).rejects.toThrow(ConnectionKilled);
    await other.put('c', body);
    expect(bucket.keys()).toEqual(['a', 'c']);
    const killedBefore = bucket.connect(once('die-before'));
    await expect(killedBefore.put('d', body)).rejects.toThrow(ConnectionKilled);
    expect(bucket.keys()).toEqual(['a', 'c']);
  });

  it('a request that is held back takes effect later, even after its sender was killed', async () => {
    const bucket = new MemoryBucket();
    const { promise, resolve } = Promise.withResolvers<void>();
    const zombie = bucket.connect(once({ wait: promise }));
    const late = zombie.put('late', body);
    const outcome = expect(late).rejects.toThrow(ConnectionKilled);
    await bucket.connect().put('early', body);
    zombie.kill();
    expect(bucket.keys()).toEqual(['early']);
    resolve();
    await outcome;
    expect(bucket.keys()).toEqual(['early', 'late']);
  });

  it('a listing sees what is written between its pages', async () => {
    const bucket = new MemoryBucket({ pageSize: 2 });
    for (const key of ['a', 'b', 'c', 'd']) bucket.write(key, body);
    const seen: string[] = [];
    for await (const object of bucket.connect().list('')) {
      seen.push(object.key);
      if (object.key === 'b') bucket.remove('c');
    }
    expect(seen).toEqual(['a', 'b', 'd']);
  });
});
