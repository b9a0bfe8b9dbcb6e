import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PointMembers } from '../../src/archive/point-members.ts';
import { serveMembers, type MemberServer } from '../../src/archive/member-server.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { memberKey } from '../../src/archive/member-keys.ts';
import type { Entry } from '../../src/layout/types.ts';
import { TestJob } from '../backup/job.ts';

const mtime = '2026-03-01T10:20:30.25Z';

describe('the endpoint that presents members of archives as objects', () => {
  let server: MemberServer;
  let job: TestJob;
  let keyOf: (path: string) => string;
  beforeAll(async () => {
    job = new TestJob({ mode: 'archive' });
    job.source.set('a/b c+%2F', { body: Buffer.from('0123456789'), mtime });
    job.source.set('empty', { body: Buffer.alloc(0), mtime });
    const { point } = await job.run();
    const entries = await job.entries(point);
    keyOf = (path) => job.prefix + memberKey(entries.get(path) as Entry);
    const signal = new AbortController().signal;
    const members = new PointMembers({ source: job.points, place: point, signal });
    server = await serveMembers(members, { bucket: 'bucket', prefix: job.prefix });
  });
  afterAll(async () => await server.close());

  it('answers HEAD and GET as a store does', async () => {
    const store = openS3Store(server.access);
    const key = keyOf('a/b c+%2F');
    expect(await store.head(key)).toMatchObject({
      size: 10,
      md5: '781e5e245d69b566979b86e28d23f2c7',
      metadata: { mtime: '1772360430.25' },
    });
    expect(String(await store.get(key))).toBe('0123456789');
    expect(await store.get(keyOf('empty'))).toEqual(Buffer.alloc(0));
    expect(await store.get(`${key}x`)).toBeNull();
    expect(await store.get(key.replace('jobs/one/', 'jobs/two/'))).toBeNull();
    const range = await store.stream(key, { range: { first: 3, last: 5 } });
    expect(String(await range?.toArray())).toBe('345');
    await expect(store.stream(key, { range: { first: 10, last: 12 } })).rejects.toMatchObject({
      code: 'ERR_DEST_REFUSED',
    });
  });

  it('writes nothing, whoever asks', async () => {
    const store = openS3Store(server.access);
    await expect(store.put(`${job.prefix}x`, Buffer.from('x'))).rejects.toMatchObject({ code: 'ERR_DEST_REFUSED' });
  });

  it('answers nobody who does not know its credentials', async () => {
    const key = keyOf('empty');
    for (const other of [{ secretKey: 'another-secret-key' }, { accessKey: 'another-access-key' }]) {
      await expect(openS3Store({ ...server.access, ...other }).get(key)).rejects.toMatchObject({
        code: 'ERR_DEST_AUTH',
      });
    }
    const bare = await fetch(`${server.access.endpoint}/bucket/${encodeURI(key)}`);
    expect(bare.status).toBe(403);
    expect(new URL(server.access.endpoint).hostname).toBe('127.0.0.1');
  });

  it('says of a damaged archive that it is damaged, not that it may be tried again', async () => {
    const [archive = ''] = job.keys('run_');
    const body = job.bucket.read(job.prefix + archive)?.body ?? Buffer.alloc(0);
    job.bucket.write(job.prefix + archive, Buffer.alloc(body.length, 7));
    const { access } = server;
    await expect(openS3Store(access).get(keyOf('a/b c+%2F'))).resolves.toBeDefined();
    const fresh = await serveMembers(
      new PointMembers({ source: job.points, place: await placeOf(job), signal: new AbortController().signal }),
      { bucket: 'bucket', prefix: job.prefix },
    );
    try {
      await expect(openS3Store(fresh.access).get(keyOf('a/b c+%2F'))).rejects.toMatchObject({
        code: 'ERR_DEST_REFUSED',
        details: { status: 409 },
      });
    } finally {
      await fresh.close();
    }
  });
});

async function placeOf(job: TestJob): Promise<{ run: string; claim: string }> {
  const key = job.keys('manifests/').find((name) => name.endsWith('.json')) ?? '';
  const [, run = '', claim = ''] = /^manifests\/([^.]+)\.(.+)\.json$/.exec(key) ?? [];
  return { run, claim };
}
