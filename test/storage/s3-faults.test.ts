import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { BucketAccess, ObjectStore } from '../../src/storage/port.ts';
import { ensureBucket, openS3Store, type S3Options } from '../../src/storage/s3.ts';
import { startFaultProxy, type FaultProxy, type ProxyFault } from '../servers/fault-proxy.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { deletable } from './deletable.ts';

type Plan = (request: { method: string; path: string }, before: number) => ProxyFault | undefined;

describe('S3 client on a bad line', () => {
  let server: S3Server;
  let proxy: FaultProxy | undefined;
  const keys = Array.from({ length: 2_100 }, (_, index) => `listed/${String(index).padStart(4, '0')}`);

  beforeAll(async () => {
    server = await startRcloneS3();
    await ensureBucket(server.access('bucket'));
    const store = openS3Store(server.access('bucket'));
    await Promise.all(keys.map(async (key) => await store.put(key, Buffer.from('x'))));
    await store.put('object', Buffer.alloc(100_000, 'content '));
  }, 60_000);
  afterEach(async () => {
    await proxy?.stop();
    proxy = undefined;
  });
  afterAll(async () => await server?.stop());

  async function through(plan: Plan, options: S3Options = {}): Promise<ObjectStore> {
    proxy = await startFaultProxy(server.endpoint, plan, server.access('bucket'));
    return openS3Store({ ...server.access('bucket'), endpoint: proxy.endpoint }, { backoffMs: 1, ...options });
  }
  const first =
    (fault: ProxyFault, times = 1): Plan =>
    (_request, before) =>
      before < times ? fault : undefined;

  it.each<[string, ProxyFault]>([
    ['a connection that is reset', 'reset'],
    ['an answer that is lost', 'lose-answer'],
    ['an answer that ends in the middle', 'cut'],
    ['a server that is overloaded', { status: 503, body: '<Error><Code>SlowDown</Code></Error>' }],
    ['an internal error', { status: 500 }],
    ['a gateway that has lost its server', { status: 502, body: '<html>Bad Gateway</html>' }],
  ])('repeats a request after %s', async (_name, fault) => {
    const store = await through(first(fault, 3));
    expect((await store.get('object'))?.length).toBe(100_000);
    expect(proxy?.seen).toHaveLength(4);
  });

  it('puts once more when the answer to a put was lost', async () => {
    const store = await through(first('lose-answer'));
    await store.put('lost', Buffer.from('content'));
    expect(String(await store.get('lost'))).toBe('content');
  });

  it('gives up after its attempts and says that the server cannot be reached', async () => {
    const store = await through(() => 'reset', { attempts: 3 });
    await expect(store.get('object')).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
    expect(proxy?.seen).toHaveLength(3);
  });

  it('does not repeat what will not change', async () => {
    const store = await through(() => ({ status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }));
    await expect(store.get('object')).rejects.toMatchObject({
      code: 'ERR_DEST_AUTH',
      details: { reason: 'AccessDenied' },
    });
    expect(proxy?.seen).toHaveLength(1);
  });

  it.each([
    [400, 'KeyTooLongError', 'ERR_KEY_TOO_LONG'],
    [403, 'QuotaExceeded', 'ERR_QUOTA'],
    [507, 'InsufficientStorage', 'ERR_QUOTA'],
    [400, 'InvalidRequest', 'ERR_DEST_REFUSED'],
    [404, 'NoSuchBucket', 'ERR_DEST_BUCKET_NOT_FOUND'],
    [403, 'RequestTimeTooSkewed', 'ERR_DEST_AUTH'],
  ])('maps %d %s to %s', async (status, reason, code) => {
    const store = await through(() => ({ status, body: `<Error><Code>${reason}</Code></Error>` }));
    await expect(store.put('x', Buffer.from('x'))).rejects.toMatchObject({ code });
  });

  it('takes a 404 that is not of S3 for a fault, never for a missing object', async () => {
    const store = await through(() => ({ status: 404, body: '<html>no such site</html>' }));
    await expect(store.get('object')).rejects.toMatchObject({ code: 'ERR_DEST_REFUSED' });
  });

  it('waits as long as the server asks', async () => {
    const store = await through(first({ status: 429, headers: { 'retry-after': '1' } }));
    const before = performance.now();
    await store.get('object');
    expect(performance.now() - before).toBeGreaterThan(990);
  });

  it('goes by the clock of a server that complains about ours', async () => {
    const store = await through(() => undefined);
    const late = jest
      .spyOn(Date, 'now')
      .mockImplementation(() => Math.round(performance.timeOrigin + performance.now()) - 3_600_000);
    try {
      expect((await store.get('object'))?.length).toBe(100_000);
      expect((await store.get('object'))?.length).toBe(100_000);
      expect(proxy?.seen).toHaveLength(3);
    } finally {
      late.mockRestore();
    }
  });

  it('stops waiting for a server that fell silent', async () => {
    const store = await through(() => 'hang', { idleTimeoutMs: 100, attempts: 2 });
    await expect(store.get('object')).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
    expect(proxy?.seen).toHaveLength(2);
  });

  it('can be stopped while it waits for an answer', async () => {
    const stop = new AbortController();
    const store = await through(() => {
      setImmediate(() => stop.abort(new Error('stopped by its caller')));
      return 'hang';
    });
    await expect(store.get('object', { signal: stop.signal })).rejects.toThrow('stopped by its caller');
    expect(proxy?.seen).toHaveLength(1);
  });

  it('reports a stream that broke off', async () => {
    const store = await through(first('cut'));
    const stream = (await store.stream('object')) ?? Readable.from([]);
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
  });

  it.each<[string, Plan]>([
    ['ignores version 2 of the listing', ({ path }) => ({ path: withoutVersion2(path) })],
    [
      'refuses version 2 of the listing',
      ({ path }) =>
        path.includes('list-type=2') ? { status: 501, body: '<Error><Code>NotImplemented</Code></Error>' } : undefined,
    ],
  ])('lists completely on a server that %s', async (_name, plan) => {
    const store = await through(plan);
    expect(await names(store, 'listed/')).toEqual(keys);
    expect(await names(store, 'listed/', 'listed/0999')).toEqual(keys.slice(1_000));
    const fresh = openS3Store({ ...server.access('bucket'), endpoint: proxy?.endpoint ?? '' });
    expect(await names(fresh, 'listed/', 'listed/1999')).toEqual(keys.slice(2_000));
    expect(await fresh.listFolders('')).toEqual(['listed/']);
  });

  it.each<[string, string]>([
    ['cut off without a way to go on', '<IsTruncated>true</IsTruncated>'],
    [
      'that goes round in circles',
      '<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken><KeyCount>0</KeyCount>',
    ],
  ])('never takes a listing %s for a complete one', async (_name, content) => {
    const body = `<ListBucketResult>${content}</ListBucketResult>`;
    const store = await through(() => ({ status: 200, body }), { attempts: 1 });
    await expect(names(store, '')).rejects.toMatchObject({ code: 'ERR_DEST_REFUSED' });
  });

  it.each(['', 'hello', '<html></html>', '<ListBucketResult><Contents><Key>a', '{"objects":[]}'])(
    'never takes %j for an empty listing',
    async (body) => {
      const store = await through(() => ({ status: 200, body }), { attempts: 2 });
      await expect(names(store, '')).rejects.toMatchObject({ code: 'ERR_DEST_REFUSED' });
    },
  );

  it('asks for the next page while the caller works on this one, and leaves nothing behind when it stops', async () => {
    const store = await through(() => undefined);
    for await (const object of store.list('listed/')) {
      expect(object.key).toBe('listed/0000');
      while ((proxy?.seen.length ?? 0) < 2) await new Promise((resolve) => setImmediate(resolve));
      break;
    }
    expect(proxy?.seen).toHaveLength(2);
  });

  it('deletes one by one where the server knows no multi-object delete', async () => {
    const store = await through(({ method }) =>
      method === 'POST' ? { status: 501, body: '<Error><Code>NotImplemented</Code></Error>' } : undefined,
    );
    await store.put('one', Buffer.from('1'));
    await store.put('two', Buffer.from('2'));
    await store.delete(deletable(['one', 'two', 'three']));
    expect(await store.get('one')).toBeNull();
    expect(await store.get('two')).toBeNull();
  });

  it('reports objects that a multi-object delete could not delete', async () => {
    const body = '<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>';
    const store = await through(() => ({ status: 200, body }));
    await expect(store.delete(deletable(['a', 'b']))).rejects.toMatchObject({ code: 'ERR_DEST_AUTH' });
  });

  it('takes a copy that failed after its status line for a failure', async () => {
    const store = await through(
      ({ method }) =>
        method === 'PUT' ? { status: 200, body: '<Error><Code>InternalError</Code></Error>' } : undefined,
      { attempts: 2 },
    );
    await expect(store.copy('object', 'copied')).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
  });
});

describe('S3 client without a server', () => {
  const access: BucketAccess = {
    endpoint: 'http://127.0.0.1:1',
    region: '',
    bucket: 'bucket',
    accessKey: 'access-key',
    secretKey: 'secret-key',
    provider: 'Other',
  };

  it.each([
    ['refuses connections', 'http://127.0.0.1:1', 'ERR_S3_PREFLIGHT_NETWORK'],
    ['has no name in the DNS', 'http://no-such-host.invalid', 'ERR_S3_PREFLIGHT_NETWORK'],
  ])('says what is wrong with a server that %s', async (_name, endpoint, code) => {
    const store = openS3Store({ ...access, endpoint }, { attempts: 2, backoffMs: 1 });
    await expect(store.get('x')).rejects.toMatchObject({ code });
  });

  it('gives up on a server that takes the connection and says nothing in TLS', async () => {
    const server: Server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const store = openS3Store({ ...access, endpoint }, { attempts: 1, connectTimeoutMs: 100 });
    await expect(store.get('x')).rejects.toMatchObject({ code: 'ERR_S3_PREFLIGHT_NETWORK' });
    server.close();
  });

  it('refuses an endpoint that is no address', () => {
    expect(() => openS3Store({ ...access, endpoint: 'http://' })).toThrow(
      expect.objectContaining({ code: 'ERR_DEST_REFUSED' }),
    );
  });

  it('keeps keys out of its errors', async () => {
    const store = openS3Store(access, { attempts: 1 });
    const error: unknown = await store.get('x').catch((reason: unknown) => reason);
    expect(JSON.stringify(error) + String((error as Error).stack) + String((error as Error).cause)).not.toMatch(
      /secret-key|access-key/,
    );
  });
});

function withoutVersion2(path: string): string {
  return path.replace('list-type=2&', '').replace(/&start-after=[^&]*/, '');
}

async function names(store: ObjectStore, prefix: string, startAfter?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const object of store.list(prefix, startAfter === undefined ? {} : { startAfter })) keys.push(object.key);
  return keys;
}
