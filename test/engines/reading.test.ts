import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { paced } from '../../src/engines/paced.ts';
import type { SourceReader } from '../../src/engines/port.ts';
import { rcloneReader } from '../../src/engines/rclone/reader.ts';
import { readS3 } from '../../src/sources/read-s3.ts';
import type { RemoteDefinition } from '../../src/sources/registry.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { BINARY, s3Source } from './rclone/engine.ts';

const NAMES = ['plain', 'a b/c+d%2F', '-lead', '[brackets]/]x', 'ä/日本😀', 'q?mark#hash', "it's"];
const BODY = Buffer.from('0123456789'.repeat(30_000));

let server: S3Server;
let folder: string;
const signal = new AbortController().signal;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'e3-reading-'));
  server = await startRcloneS3();
  const access = server.access('source');
  await ensureBucket(access);
  const store = openS3Store(access);
  for (const name of NAMES) await store.put(`root ]:x/${name}`, Buffer.concat([Buffer.from(name), BODY]));
  await store.put('root ]:x/empty', Buffer.alloc(0));
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const sourceAt = (change: Record<string, string> = {}): RemoteDefinition =>
  s3Source({ ...server.access('source'), ...change }, 'root ]:x');

/** Both ways to read the same objects. */
const readers: [string, (source: RemoteDefinition) => SourceReader][] = [
  [
    'rclone',
    (definition) =>
      rcloneReader({
        ...{ binary: BINARY, definition, hostKey: null, folder, signal },
        ...{ filesAtOnce: 4, bandwidth: 0, flags: [] },
      }),
  ],
  [
    'the S3 client',
    ({ origin }) => {
      if (origin.kind !== 's3') throw new Error('this source lies on S3');
      return readS3(origin, { signal });
    },
  ],
];

async function all(reader: SourceReader, path: string, size: number, first = 0): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of await reader.open({ path, size }, first)) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe.each(readers)('files of a source, read by %s', (_, open) => {
  it('come byte by byte, whatever they are called, also from the middle on', async () => {
    const reader = open(sourceAt());
    try {
      for (const name of NAMES) {
        const body = Buffer.concat([Buffer.from(name), BODY]);
        expect((await all(reader, name, body.length)).equals(body)).toBe(true);
        expect((await all(reader, name, body.length, 77_777)).equals(body.subarray(77_777))).toBe(true);
      }
      expect(await all(reader, 'empty', 0)).toEqual(Buffer.alloc(0));
    } finally {
      await reader.close();
    }
    expect(readdirSync(folder).filter((name) => name.startsWith('child-'))).toEqual([]);
  }, 60_000);

  it('that are gone, or may not be read, say so', async () => {
    const reader = open(sourceAt());
    const refused = open(sourceAt({ secretKey: 'another-secret-key' }));
    try {
      await expect(all(reader, 'gone', 5)).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
      // A refused HEAD has no body that could say more.
      await expect(all(refused, 'plain', 5)).rejects.toMatchObject({
        code: expect.stringMatching(/^(?:ERR_S3_AUTH|ERR_PERMISSION)$/),
      });
    } finally {
      await reader.close();
      await refused.close();
    }
  }, 60_000);

  it('can be left before their end', async () => {
    const reader = open(sourceAt());
    for await (const piece of await reader.open({ path: 'plain', size: BODY.length + 5 }, 0)) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await reader.close();
  }, 60_000);
});

it('parts of a file come from a server that says 200 with them, and none of a file that has another size', async () => {
  const [, open] = readers[1] as (typeof readers)[number];
  const { parts } = open(sourceAt());
  const body = Buffer.concat([Buffer.from('plain'), BODY]);
  const into = Buffer.alloc(100_000);
  const version = await parts?.read({ path: 'plain', size: body.length }, 77_777, into);
  expect(into.equals(body.subarray(77_777, 177_777))).toBe(true);
  expect(await parts?.read({ path: 'plain', size: body.length }, 0, into)).toBe(version);
  expect(await parts?.read({ path: 'plain', size: body.length + 1 }, 0, into)).toBeNull();
  expect(await parts?.read({ path: 'gone', size: body.length }, 0, into)).toBeNull();
  expect(typeof version).toBe('string');
}, 60_000);

it('a reader with a pace gives out no more than that, all files together', async () => {
  const open = async () =>
    (async function* () {
      for (let i = 0; i < 3; i += 1) yield Buffer.alloc(10_000);
    })();
  const reader: SourceReader = { filesAtOnce: 2, open, close: async () => undefined };
  const slow = paced(reader, 200_000, signal);
  const begun = performance.now();
  const read = await Promise.all([all(slow, 'a', 30_000), all(slow, 'b', 30_000)]);
  expect(read.map(({ length }) => length)).toEqual([30_000, 30_000]);
  // The last piece of 10,000 bytes is given out once the five before it have had their time.
  expect(performance.now() - begun).toBeGreaterThan(240);
  expect(paced(reader, 0, signal)).toBe(reader);
});
