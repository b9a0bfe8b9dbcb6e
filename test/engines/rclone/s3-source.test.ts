import { isUtf8 } from 'node:buffer';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { keyOfPath, pathOfNativeName } from '../../../src/layout/encoding.ts';
import type { BucketAccess } from '../../../src/storage/port.ts';
import { ensureBucket, openS3Store } from '../../../src/storage/s3.ts';
import { NASTY_NAMES } from '../../layout/names.ts';
import { startFaultProxy, type FaultProxy } from '../../servers/fault-proxy.ts';
import { freePort } from '../../servers/ports.ts';
import { startRcloneS3, type S3Server } from '../../servers/rclone-serve.ts';
import { startSeaweedFs } from '../../servers/seaweedfs.ts';
import { copyTo, keysBelow, listAll, openEngine, s3Source, type TestEngine } from './engine.ts';

const never = new AbortController().signal;

let s3: Awaited<ReturnType<typeof startRcloneS3>>;
const engines: TestEngine[] = [];
const proxies: FaultProxy[] = [];

const LOOKED_AT = Array.from({ length: 1_200 }, (_, i) => `look/d${i % 7}/f${i}`);
const DEEP_KEY = `deep/${Array.from({ length: 200 }, () => 'd').join('/')}/leaf`;

/** `rclone serve s3` lists but does not read names that are no text, or hold its own quotation mark. */
const SERVED_NAMES = NASTY_NAMES.filter((name) => isUtf8(name) && !name.toString('utf8').includes('‛'));

/** Buckets are folders: what lies in them before the server starts needs no request. */
function writeSource(folder: string): void {
  const files: Record<string, string> = {
    'list/a.txt': 'abc',
    'list/b/c': 'hello',
    'listing-not': 'x',
    'meta/page': '<p>',
  };
  for (const name of LOOKED_AT) files[name] = name;
  files[DEEP_KEY] = 'deep';
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  for (const [i, name] of SERVED_NAMES.entries()) {
    const inner = Buffer.concat([Buffer.from(join(folder, 'names', 'in ')), name]);
    mkdirSync(inner, { recursive: true });
    writeFileSync(Buffer.concat([inner, Buffer.from('/'), name]), `inner ${i}`);
    writeFileSync(Buffer.concat([Buffer.from(join(folder, 'names/')), name]), `content ${i}`);
  }
}

let base: string;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'e3-s3-source-'));
  for (const bucket of ['source', 'backups', 'empty']) mkdirSync(join(base, bucket));
  writeSource(join(base, 'source'));
  s3 = await startRcloneS3({ folder: base, flags: ['--no-unicode-normalization'] });
});

afterEach(async () => {
  for (const engine of engines.splice(0)) engine.remove();
  for (const proxy of proxies.splice(0)) await proxy.stop();
});

afterAll(async () => {
  await s3.stop();
  rmSync(base, { recursive: true, force: true });
});

function engineOn(change: Partial<BucketAccess> = {}, path = ''): TestEngine {
  const engine = openEngine(s3Source({ ...s3.access('source'), ...change }, path), s3.access('backups'));
  engines.push(engine);
  return engine;
}

function pageOf(objects: readonly (readonly [string, number])[], next: string | null = null): string {
  const contents = objects.map(
    ([key, size]) =>
      `<Contents><Key>${key.includes('%') ? key : encodeURIComponent(key)}</Key><LastModified>2026-01-31T02:00:00.250Z</LastModified>` +
      `<ETag>&quot;${'0'.repeat(32)}-3&quot;</ETag><Size>${size}</Size></Contents>`,
  );
  const more = next === null ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`;
  return (
    '<?xml version="1.0"?><ListBucketResult><EncodingType>url</EncodingType><KeyCount>1</KeyCount>' +
    `<IsTruncated>${next !== null}</IsTruncated>${more}${contents.join('')}</ListBucketResult>`
  );
}

/** A server that answers a listing with these keys and sizes. */
async function listingOf(objects: readonly (readonly [string, number])[]): Promise<string> {
  const proxy = await startFaultProxy(s3.endpoint, () => ({ status: 200, body: pageOf(objects) }));
  proxies.push(proxy);
  return proxy.endpoint;
}

describe('listing an S3 source', () => {
  it('tells path, size, time and MD5 of what lies at the path, and of nothing else', async () => {
    const { files, outcome } = await listAll(engineOn({}, 'list'));
    expect([...files.keys()].sort()).toEqual(['a.txt', 'b/c']);
    expect(files.get('a.txt')).toMatchObject({ size: 3, hash: 'md5:900150983cd24fb0d6963f7d28e17f72' });
    expect(files.get('a.txt')?.mtime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/);
    expect(outcome).toEqual({ complete: true, unreadable: [], skipped: [] });
  });

  it('asks for nothing but the listing, also where objects came in parts', async () => {
    const objects = Array.from({ length: 500 }, (_, i) => [`part${i}`, 10_000_000] as const);
    const { files } = await listAll(engineOn({ endpoint: await listingOf(objects) }));
    expect(files.size).toBe(500);
    expect(files.get('part7')).toEqual({
      path: 'part7',
      size: 10_000_000,
      mtime: '2026-01-31T02:00:00.25Z',
      hash: null,
    });
    expect(proxies[0]?.seen).toHaveLength(1);
  });

  it('names keys that can be no paths, and leaves folder markers out', async () => {
    const { files, outcome } = await listAll(
      engineOn({
        endpoint: await listingOf([
          ['a//b', 1],
          ['/lead', 1],
          ['folder/', 0],
          ['content/', 5],
          ['up/../x', 1],
          ['line\nbreak', 1],
          ['no %FF%C3 text%C3%A9', 1],
        ]),
      }),
    );
    expect([...files.keys()]).toEqual(['up/．．/x', 'line␊break', 'no ‛FF‛C3 texté']);
    expect(outcome.complete).toBe(true);
    expect(outcome.skipped).toEqual([
      { path: 'a//b', reason: 'bad_name' },
      { path: '/lead', reason: 'bad_name' },
      { path: 'content/', reason: 'bad_name' },
    ]);
  });

  it('of an empty bucket is empty and complete', async () => {
    const { files, outcome } = await listAll(engineOn({ bucket: 'empty' }));
    expect(files.size).toBe(0);
    expect(outcome.complete).toBe(true);
  });

  it('fails as a whole when a page of it fails, also when the pages before it were read', async () => {
    const first = await startFaultProxy(s3.endpoint, ({ path }) =>
      path.includes('continuation-token=')
        ? { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }
        : { status: 200, body: pageOf([['a', 1]], 'more') },
    );
    proxies.push(first);
    const listing = engineOn({ endpoint: first.endpoint }).list({ signal: never });
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { path } of listing.files) seen.push(path);
    };
    await expect(read()).rejects.toMatchObject({ code: 'ERR_PERMISSION' });
    await expect(listing.outcome).rejects.toMatchObject({ code: 'ERR_PERMISSION' });
    // The first files are held back until it is known what their ETags are worth.
    expect(seen).toEqual([]);
  });

  it.each([
    ['a wrong secret', { secretKey: 'wrong-wrong-wrong' }, 'ERR_S3_AUTH'],
    ['an unknown key', { accessKey: 'who-is-this' }, 'ERR_S3_AUTH'],
    ['a missing bucket', { bucket: 'missing' }, 'ERR_S3_BUCKET_NOT_FOUND'],
    ['an unknown host', { endpoint: 'http://storage.invalid' }, 'ERR_HOST_UNKNOWN'],
  ] as const)('says what is wrong with %s', async (_name, change, code) => {
    await expect(listAll(engineOn(change))).rejects.toMatchObject({ code });
  });

  it('says that the connection was refused', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await expect(listAll(engineOn({ endpoint }))).rejects.toMatchObject({ code: 'ERR_CONNECTION_REFUSED' });
  });

  it('ends with the reason of its signal', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(listAll(engineOn(), abort.signal)).rejects.toBe(reason);
  });
});

describe('looking again at an S3 source', () => {
  it('tells of each file what the listing told, whether few or many are asked for', async () => {
    const engine = engineOn({}, 'look');
    const { files } = await listAll(engine);
    expect(await engine.look([...files.keys()], { signal: never })).toEqual(files);
    const few = [...files.keys()].filter((_, i) => i % 400 === 3);
    const seen = await engine.look([...few, 'd0/never', 'd1'], { signal: never });
    expect([...seen.keys()].sort()).toEqual([...few].sort());
    for (const path of few) expect(seen.get(path)).toEqual(files.get(path));
    expect(await engine.look([], { signal: never })).toEqual(new Map());
  });
});

describe('copying an S3 source', () => {
  async function everyNameArrives(source: BucketAccess): Promise<void> {
    const engine = engineOn(source, 'names');
    const { files } = await listAll(engine);
    expect(files.size).toBeGreaterThan(SERVED_NAMES.length);
    const store = openS3Store(s3.access('backups'));
    const original = openS3Store(source);
    for (const paths of [[...files.keys()], 'all'] as const) {
      const target = `names-${source.provider}-${paths.length}`;
      expect(await copyTo(engine, paths, target)).toMatchObject({ fatal: null, exitCode: 0 });
      expect(await keysBelow(store, `${target}/`)).toEqual([...files.keys()].map(keyOfPath).sort());
      for await (const { key } of original.list('names/')) {
        const path = pathOfNativeName(key.slice('names/'.length));
        const [there, here] = await Promise.all([original.get(key), store.get(`${target}/${keyOfPath(path)}`)]);
        expect(here).toEqual(there);
      }
    }
  }

  it('brings objects of every key to the key of their path', async () => {
    await everyNameArrives(s3.access('source'));
  });

  it('brings keys of 200 levels', async () => {
    expect(await copyTo(engineOn(), [DEEP_KEY], 't')).toMatchObject({ exitCode: 0 });
    expect(await keysBelow(openS3Store(s3.access('backups')), 't/')).toEqual([DEEP_KEY]);
  });

  it('keeps the time of an object', async () => {
    const engine = engineOn({}, 'meta');
    await copyTo(engine, ['page'], 'meta');
    const head = await openS3Store(s3.access('backups')).head('meta/page');
    expect(head?.metadata['mtime']).toMatch(/^\d+(\.\d+)?$/);
  });

  it('copies a part, in several calls when it is large, and counts it as one', async () => {
    const engine = engineOn({}, 'look');
    const paths = [...(await listAll(engine)).files.keys()].slice(0, 300);
    const transfer = engine.copy({ paths, targetKey: 'part', signal: never, bytesTotal: 3_000_000 });
    let last = null;
    for await (const event of transfer.events) if (event.type === 'progress') last = event.progress;
    expect(await transfer.done).toMatchObject({ fatal: null, exitCode: 0, stopped: false });
    expect(last).toMatchObject({ files: 300, filesTotal: 300, errors: 0, bytesTotal: 3_000_000 });
    expect(await keysBelow(openS3Store(s3.access('backups')), 'part/')).toHaveLength(300);
  });

  it('passes over files that vanished: whoever looks at what arrived sees it', async () => {
    const engine = engineOn({}, 'list');
    expect(await copyTo(engine, ['a.txt', 'gone'], 'vanished')).toMatchObject({ fatal: null });
    expect(await keysBelow(openS3Store(s3.access('backups')), 'vanished/')).toEqual(['a.txt']);
  });

  describe('from SeaweedFS', () => {
    let seaweed: S3Server;
    beforeAll(async () => {
      seaweed = await startSeaweedFs({ provider: 'Other' });
      await ensureBucket(seaweed.access('source'));
    });
    afterAll(async () => {
      await seaweed.stop();
    });

    it('brings objects of every key to the key of their path', async () => {
      const access = seaweed.access('source');
      const store = openS3Store(access);
      const names = NASTY_NAMES.filter((name) => isUtf8(name)).map(String);
      // Not every server takes every key; those that it shows have to come through.
      const put = names.map(async (name, i) => await store.put(`names/${name}`, Buffer.from(`s${i}`)));
      await Promise.allSettled(put);
      await everyNameArrives(access);
    });

    it('brings keys of 1,024 bytes', async () => {
      const folder = Array.from({ length: 4 }, (_, i) => String(i).repeat(240)).join('/');
      const key = `${folder}/${'v'.repeat(1_024 - folder.length - 1)}`;
      const access = seaweed.access('source');
      await openS3Store(access).put(key, Buffer.from('long'));
      const engine = openEngine(s3Source(access), seaweed.access('long'));
      engines.push(engine);
      await ensureBucket(seaweed.access('long'));
      // Below any prefix it is too long for the destination: that one file fails, and says why.
      const outcome = await copyTo(engine, [key], 'below');
      expect(outcome.failed.get(key)?.code).toBe('ERR_KEY_TOO_LONG');
      expect(outcome.fatal).toBeNull();
    });
  });
});
