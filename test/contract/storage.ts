import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { DeletableKey } from '../../src/layout/deletable.ts';
import { ObjectTooLarge, type ObjectStore, type PendingUpload, type StoredObject } from '../../src/storage/port.ts';
import { compareUtf8 } from '../../src/layout/order.ts';
import { deletable } from '../storage/deletable.ts';

/** What a store must be told apart by, where the field itself differs. */
export interface StoreTraits {
  /** Keys with control characters (other than tab and newline) are listed as they were written. Some servers cannot. */
  readonly controlCharacters: boolean;
  /** Keys with empty path segments (`a//b`) and leading slashes exist as such; stores on top of a file system merge them. */
  readonly emptySegments: boolean;
  /** A backslash in a name is not a slash. */
  readonly backslash: boolean;
  /** Listings come in the order of the keys' bytes; stores on top of a file system sort folder by folder. */
  readonly byteOrder: boolean;
  /** Pending multipart uploads can be listed. */
  readonly uploads: boolean;
}

export interface OpenedStore {
  readonly store: ObjectStore;
  /** The same bucket with a key that the server does not accept, and a bucket that is not there; null where the store knows neither. */
  readonly wrongKey: ObjectStore | null;
  readonly missingBucket: ObjectStore | null;
  /** Begins an upload in parts that nobody completes; returns its number. */
  beginUpload(key: string): Promise<string>;
  /** Objects written with user metadata, as the transfer program writes them. */
  writeWithMetadata(key: string, body: Buffer, metadata: Record<string, string>): Promise<void>;
  close(): Promise<void>;
}

/** Holds an ObjectStore to its port (src/storage/port.ts). */
export function describeObjectStore(title: string, traits: StoreTraits, open: () => Promise<OpenedStore>): void {
  describe(`object store: ${title}`, () => {
    let opened: OpenedStore;
    let store: ObjectStore;
    beforeAll(async () => {
      opened = await open();
      store = opened.store;
    }, 60_000);
    afterAll(async () => await opened?.close(), 30_000);

    it('gives back what was put', async () => {
      const body = Buffer.from([0, 1, 2, 253, 254, 255]);
      await store.put('plain/a.bin', body);
      expect(await store.get('plain/a.bin')).toEqual(body);
      await store.put('plain/empty', Buffer.alloc(0));
      expect(await store.get('plain/empty')).toEqual(Buffer.alloc(0));
    });

    it('reads no more of an object than it may', async () => {
      await store.put('plain/bounded', Buffer.alloc(300_000, 'x'));
      expect((await store.get('plain/bounded', { mostBytes: 300_000 }))?.length).toBe(300_000);
      for (const mostBytes of [0, 1_000, 299_999]) {
        await expect(store.get('plain/bounded', { mostBytes })).rejects.toBeInstanceOf(ObjectTooLarge);
      }
      expect(await store.get('plain/never', { mostBytes: 0 })).toBeNull();
    });

    it('answers a missing object with null, not with an error', async () => {
      expect(await store.get('missing/object')).toBeNull();
      expect(await store.head('missing/object')).toBeNull();
      expect(await store.stream('missing/object')).toBeNull();
      expect(await store.copy('missing/object', 'missing/target')).toBe(false);
      expect(await store.head('missing/target')).toBeNull();
      await store.delete(deletable(['missing/object', 'missing/other']));
    });

    it('shows size, MD5 and time in HEAD and in listings alike', async () => {
      const before = Date.now();
      const body = Buffer.from('twelve bytes');
      await store.put('facts/object', body);
      const head = await store.head('facts/object');
      const [listed] = await collect(store.list('facts/'));
      expect(head).toMatchObject({ key: 'facts/object', size: 12, md5: md5(body) });
      expect(listed).toMatchObject({ key: 'facts/object', size: 12, md5: md5(body) });
      expect(Math.abs((listed?.lastModified ?? 0) - before)).toBeLessThan(10_000);
      expect(Math.abs((head?.lastModified ?? 0) - before)).toBeLessThan(10_000);
    });

    it('carries a body of several megabytes', async () => {
      const body = Buffer.alloc(9 * 1024 * 1024 + 7, 'some text that repeats, ');
      await store.put('large/object', body);
      expect((await store.head('large/object'))?.md5).toBe(md5(body));
      expect(md5((await store.get('large/object')) ?? Buffer.alloc(0))).toBe(md5(body));
    });

    it('streams the whole object, and a range of it', async () => {
      await store.put('ranges/digits', Buffer.from('0123456789'));
      expect(await text(store, 'ranges/digits')).toBe('0123456789');
      expect(await text(store, 'ranges/digits', { first: 0, last: 0 })).toBe('0');
      expect(await text(store, 'ranges/digits', { first: 3, last: 6 })).toBe('3456');
      expect(await text(store, 'ranges/digits', { first: 8, last: 100 })).toBe('89');
    });

    it('lists exactly the keys below a prefix, each once', async () => {
      const keys = ['lists/a', 'lists/b/c', 'lists/b/d/e', 'lists/b-2', 'lists-beside/x', 'list'];
      for (const key of keys) await store.put(key, Buffer.from(key));
      expect(sorted(await names(store.list('lists/')))).toEqual(['lists/a', 'lists/b-2', 'lists/b/c', 'lists/b/d/e']);
      expect(await names(store.list('lists/b/d/'))).toEqual(['lists/b/d/e']);
      expect(await names(store.list('nothing/here/'))).toEqual([]);
    });

    it('lists folders directly below a prefix', async () => {
      for (const key of ['folders/one/x', 'folders/one/y/z', 'folders/two words/x', 'folders/file'])
        await store.put(key, Buffer.from(key));
      expect(sorted(await store.listFolders('folders/'))).toEqual(['folders/one/', 'folders/two words/']);
      expect(await store.listFolders('folders/one/')).toEqual(['folders/one/y/']);
      expect(await store.listFolders('nothing/here/')).toEqual([]);
    });

    it('lists more keys than fit into a page, and goes on after a given one', async () => {
      const keys = Array.from({ length: 2_345 }, (_, index) => `pages/${String(index).padStart(5, '0')}`);
      await inParallel(keys, async (key) => await store.put(key, Buffer.from('x')));
      expect(await names(store.list('pages/'))).toEqual(keys);
      expect(await names(store.list('pages/', { startAfter: 'pages/01999' }))).toEqual(keys.slice(2_000));
      expect(await names(store.list('pages/', { startAfter: 'pages/00099x' }))).toEqual(keys.slice(100));
      await store.delete(deletable(keys));
      expect(await names(store.list('pages/'))).toEqual([]);
    }, 120_000);

    it('stops listing when the caller has seen enough', async () => {
      for (const key of ['enough/1', 'enough/2', 'enough/3']) await store.put(key, Buffer.from(key));
      for await (const object of store.list('enough/')) {
        expect(object.key).toBe('enough/1');
        break;
      }
    });

    it.each(ODD_NAMES)('keeps the name %j byte by byte', async (name) => {
      const key = `odd/${createHash('md5').update(name).digest('hex')}/${name}`;
      const body = Buffer.from(`body of ${name}`);
      await store.put(key, body);
      expect(await store.get(key)).toEqual(body);
      expect((await store.head(key))?.size).toBe(body.length);
      expect(await names(store.list(key.slice(0, 37)))).toEqual([key]);
      expect(await store.copy(key, `${key}.copy`)).toBe(true);
      expect(await store.get(`${key}.copy`)).toEqual(body);
      await store.delete(deletable([key, `${key}.copy`]));
      expect(await names(store.list(key.slice(0, 37)))).toEqual([]);
    });

    it('keeps names in folders with odd names when it lists them', async () => {
      for (const folder of ['a b', 'a+b', '100%', 'ü', '日本'])
        await store.put(`odd-folders/${folder}/x`, Buffer.from('x'));
      const folders = ['a b', 'a+b', '100%', 'ü', '日本'].map((folder) => `odd-folders/${folder}/`);
      expect(sorted(await store.listFolders('odd-folders/'))).toEqual(sorted(folders));
    });

    (traits.controlCharacters ? it : it.failing)('keeps control characters in names', async () => {
      const key = 'control/a\u0001b\u001fc\u007fd';
      await store.put(key, Buffer.from('x'));
      const other = 'control/\u0002';
      await store.put(other, Buffer.from('y'));
      expect(await store.get(key)).toEqual(Buffer.from('x'));
      expect(sorted(await names(store.list('control/')))).toEqual(sorted([key, other]));
      await store.delete(deletable([key, other]));
      expect(await names(store.list('control/'))).toEqual([]);
    });

    (traits.backslash ? it : it.failing)('keeps a backslash in a name', async () => {
      await store.put('backslash/a\\b', Buffer.from('x'));
      expect(await names(store.list('backslash/'))).toEqual(['backslash/a\\b']);
    });

    (traits.emptySegments ? it : it.failing)('keeps empty path segments apart', async () => {
      for (const key of ['empty//segment', 'empty/segment', 'empty///segment']) await store.put(key, Buffer.from(key));
      expect(sorted(await names(store.list('empty/')))).toEqual(['empty///segment', 'empty//segment', 'empty/segment']);
    });

    (traits.byteOrder ? it : it.failing)('lists in the order of the keys\u2019 bytes', async () => {
      const keys = ['order/a', 'order/a-b', 'order/a/b', 'order/a0', 'order/\u{1f600}', 'order/\uffee', 'order/Z'];
      for (const key of keys) await store.put(key, Buffer.from('x'));
      expect(await names(store.list('order/'))).toEqual([...keys].sort(compareUtf8));
    });

    it('copies within the bucket, metadata along', async () => {
      const metadata = { colour: 'green', 'with-dash': 'a=b; c' };
      await opened.writeWithMetadata('copies/from', Buffer.from('content'), metadata);
      expect((await store.head('copies/from'))?.metadata).toMatchObject(metadata);
      expect(await store.copy('copies/from', 'copies/to')).toBe(true);
      expect(await store.get('copies/to')).toEqual(Buffer.from('content'));
      expect((await store.head('copies/to'))?.metadata).toMatchObject(metadata);
      expect(await store.get('copies/from')).toEqual(Buffer.from('content'));
    });

    it('deletes what it is given and nothing else', async () => {
      const keys = Array.from({ length: 1_200 }, (_, index) => `deletes/${index}`);
      await inParallel([...keys, 'deletes-beside'], async (key) => await store.put(key, Buffer.from('x')));
      await store.delete(deletable(keys.slice(1)));
      expect(sorted(await names(store.list('deletes')))).toEqual(['deletes-beside', 'deletes/0']);
      await store.delete(deletable(['deletes/0']));
      await store.delete([]);
      expect(await names(store.list('deletes'))).toEqual(['deletes-beside']);
    }, 120_000);

    it('makes an object of parts that came in any order, and shows nothing of it before', async () => {
      const parts = [5, 6, 1].map((mebibytes, index) =>
        Buffer.alloc(mebibytes * 1024 * 1024 + index, `part ${index} of it, `),
      );
      const upload = await store.beginUpload('in-parts/an object', { contentType: 'application/zstd' });
      const [first, second, third] = parts as [Buffer, Buffer, Buffer];
      await Promise.all([
        upload.part(3, [third]),
        upload.part(1, [first.subarray(0, 1_000), first.subarray(1_000)]),
        upload.part(2, [second]),
      ]);
      expect(await names(store.list('in-parts/'))).toEqual([]);
      await upload.complete();
      const whole = Buffer.concat(parts);
      expect(md5((await store.get('in-parts/an object')) ?? Buffer.alloc(0))).toBe(md5(whole));
      const head = await store.head('in-parts/an object');
      expect(head?.size).toBe(whole.length);
      // Some servers know the MD5 of the whole all the same.
      expect([null, md5(whole)]).toContain(head?.md5);
      expect(await uploads(store, 'in-parts/')).toEqual([]);
    }, 60_000);

    it('leaves nothing of an upload in parts that was aborted', async () => {
      const upload = await store.beginUpload('given-up/object');
      await upload.part(1, [Buffer.alloc(5 * 1024 * 1024)]);
      await upload.abort();
      await upload.abort();
      await expect(upload.complete()).rejects.toThrow();
      expect(await names(store.list('given-up/'))).toEqual([]);
      expect(await uploads(store, 'given-up/')).toEqual([]);
    }, 60_000);

    it('drops uploads in parts that nobody completed', async () => {
      const key = 'uploads/large file+1';
      const first = await opened.beginUpload(key);
      const second = await opened.beginUpload(key);
      const beside = await opened.beginUpload('uploads-beside/x');
      const pending = (await uploads(store, 'uploads/')).map((upload) => [upload.key, upload.uploadId]);
      if (traits.uploads) {
        expect(pending.sort()).toEqual(
          [
            [key, first],
            [key, second],
          ].sort(),
        );
      }
      const [doomed, doomedBeside] = deletable([key, 'uploads-beside/x']) as [DeletableKey, DeletableKey];
      for (const uploadId of [first, second, first]) await store.abortUpload(doomed, uploadId);
      expect(await uploads(store, 'uploads/')).toEqual([]);
      if (traits.uploads) expect(await uploads(store, 'uploads-beside/')).toHaveLength(1);
      await store.abortUpload(doomedBeside, beside);
      expect(await names(store.list('uploads'))).toEqual([]);
    });

    it('says whether it keeps versions', async () => {
      expect(['off', 'unknown']).toContain(await store.versioning());
    });

    it('serves many requests at once', async () => {
      const keys = Array.from({ length: 200 }, (_, index) => `parallel/${index}`);
      await Promise.all(keys.map(async (key) => await store.put(key, Buffer.from(key))));
      const bodies = await Promise.all(keys.map(async (key) => await store.get(key)));
      expect(bodies.map(String)).toEqual(keys);
    });

    it('stops at once when its signal says so', async () => {
      const reason = new Error('no longer wanted');
      const signal = AbortSignal.abort(reason);
      await expect(store.get('plain/a.bin', { signal })).rejects.toBe(reason);
      await expect(store.put('plain/never', Buffer.from('x'), { signal })).rejects.toBe(reason);
      await expect(names(store.list('plain/', { signal }))).rejects.toBe(reason);
      expect(await store.get('plain/never')).toBeNull();
    });

    it('tells a refused key and a missing bucket apart', async () => {
      for (const [other, code] of [
        [opened.wrongKey, 'ERR_DEST_AUTH'],
        [opened.missingBucket, 'ERR_DEST_BUCKET_NOT_FOUND'],
      ] as const) {
        if (other === null) continue;
        await expect(other.get('plain/a.bin')).rejects.toMatchObject({ code });
        await expect(other.head('plain/a.bin')).rejects.toMatchObject({ code });
        await expect(other.put('plain/b.bin', Buffer.from('x'))).rejects.toMatchObject({ code });
        await expect(names(other.list(''))).rejects.toMatchObject({ code });
        await expect(other.listFolders('')).rejects.toMatchObject({ code });
      }
    });
  });
}

async function uploads(store: ObjectStore, prefix: string): Promise<PendingUpload[]> {
  const all: PendingUpload[] = [];
  for await (const upload of store.listUploads(prefix)) all.push(upload);
  return all;
}

const ODD_NAMES = [
  'with space',
  ' leading and trailing ',
  'plus+sign',
  'per%cent',
  'per%20cent',
  'and&amp;ersand',
  `quo"tes' and \`ticks\``,
  'question?mark=1&b=2',
  'hash#tag',
  'semi;colon,comma',
  'new\nline',
  'tab\tstop',
  '-leading-dash',
  '.leading-dot',
  'trailing.dot.',
  '~tilde!star*(paren)[bracket]{brace}<angle>|pipe^caret$',
  'umlaut-\u00e4',
  'umlaut-a\u0308',
  '日本語',
  '\u{1f600}emoji',
  'right-to-left-\u05e9\u05dc',
  'zero\u200bwidth\ufeff',
  'a'.repeat(200),
];

async function collect(objects: AsyncIterable<StoredObject>): Promise<StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const object of objects) all.push(object);
  return all;
}

async function names(objects: AsyncIterable<StoredObject>): Promise<string[]> {
  return (await collect(objects)).map((object) => object.key);
}

async function text(store: ObjectStore, key: string, range?: { first: number; last: number }): Promise<string> {
  const stream = await store.stream(key, range ? { range } : {});
  if (stream === null) throw new Error('the object is missing');
  return String(await buffer(stream));
}

function sorted(keys: readonly string[]): string[] {
  return [...keys].sort(compareUtf8);
}

function md5(body: Buffer): string {
  return createHash('md5').update(body).digest('hex');
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const next = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, next));
}
