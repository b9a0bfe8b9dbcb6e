import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createCipheriv } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { Patience, readAhead, type FileContent } from '../../../src/archive/read-ahead.ts';
import { readLarge } from '../../../src/archive/read-large.ts';
import type { BackupEngine, SourceFile } from '../../../src/engines/port.ts';
import { parseSource, remoteOf } from '../../../src/sources/registry.ts';
import { ensureBucket, openS3Store } from '../../../src/storage/s3.ts';
import { startRcloneS3, type S3Server } from '../../servers/rclone-serve.ts';
import { startWebdavFake, type WebdavFake } from '../../servers/webdav-fake.ts';
import { copyAll, openConnectedWorld, type ConnectedWorld } from '../../sources/connected.ts';
import { openEngine, type TestEngine } from './engine.ts';

const signal = new AbortController().signal;
const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});

function noise(bytes: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** What an archive is given of one file that it reads whole. */
async function contentOf(engine: BackupEngine, path: string): Promise<FileContent> {
  const reader = engine.read({ signal });
  async function* one(): AsyncGenerator<SourceFile> {
    yield { path, size: -1, mtime: '2026-01-01T00:00:00Z', hash: null };
  }
  try {
    for await (const { content } of readAhead(one(), reader, new Patience())) return content;
    throw new Error('nothing was read');
  } finally {
    await reader.close();
  }
}

describe('a document whose size nobody knows', () => {
  const TEXT = 'a line of a document\n'.repeat(10_000);
  let world: ConnectedWorld;
  let target = 0;
  beforeAll(async () => void (world = await openConnectedWorld()), 60_000);
  afterAll(async () => await world.close());
  afterEach(() => {
    world.fake.google.intercept = null;
    world.fake.dropbox.intercept = null;
  });

  const services = {
    google: {
      path: 'Report.docx',
      async open() {
        const { google } = world.fake;
        google.document('Report', 'document', TEXT);
        const engine = world.engine(await world.open(await world.connect('google_drive'), 'google_drive'));
        /** The first so many exports break off in their middle. */
        const cut = (times: number): void => {
          let left = times;
          google.intercept = ({ host }) =>
            host === 'docs.google.com' && (left -= 1) >= 0
              ? { body: Buffer.from(TEXT.slice(0, TEXT.length >> 1)), cut: true }
              : null;
        };
        return { engine, cut };
      },
    },
    dropbox: {
      path: 'Notes.html',
      async open() {
        const { dropbox } = world.fake;
        dropbox.file('Notes.paper', TEXT, {
          is_downloadable: false,
          export_info: { export_as: 'markdown', export_options: ['markdown', 'html'] },
        });
        const engine = world.engine(await world.open(await world.connect('dropbox'), 'dropbox'));
        const cut = (times: number): void => {
          let left = times;
          dropbox.intercept = (request) => {
            if (request.path !== '/2/files/export' || (left -= 1) < 0) return null;
            dropbox.intercept = null;
            const whole = dropbox.answer(request);
            cut(left);
            const body = whole.body as Buffer;
            return { ...whole, body: body.subarray(0, body.length >> 1), cut: true };
          };
        };
        return { engine, cut };
      },
    },
  };

  it.each(['google', 'dropbox'] as const)(
    'of %s, whose export breaks off, is read again, and never taken for whole',
    async (name) => {
      const { engine, cut } = await services[name].open();
      const { path } = services[name];
      expect(await contentOf(engine, path)).toEqual({ kind: 'whole', body: Buffer.from(TEXT) });
      cut(1);
      expect(await contentOf(engine, path)).toEqual({ kind: 'whole', body: Buffer.from(TEXT) });
      cut(1_000);
      expect(await contentOf(engine, path)).toMatchObject({ kind: 'failed', error: { code: 'ERR_NETWORK' } });
    },
    60_000,
  );

  it.each(['google', 'dropbox'] as const)(
    'of %s, whose export breaks off, is copied whole or not at all',
    async (name) => {
      const { engine, cut } = await services[name].open();
      const { path } = services[name];
      cut(1);
      target += 1;
      const { failed } = await copyAll(engine, `broken${target}`, [path]);
      expect([...failed]).toEqual([]);
      const copied = await openS3Store(world.s3.access('copies')).get(`broken${target}/${path}`);
      expect(copied?.toString()).toBe(TEXT);
    },
    60_000,
  );
});

describe('a WebDAV server that knows no ranges, and breaks off', () => {
  const BODY = noise(3 * 1024 * 1024 + 17);
  const BROKEN_AT = 1_200_000;
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startRcloneS3();
    await ensureBucket(s3.access('target'));
  }, 60_000);
  afterAll(async () => await s3.stop());

  async function open(body = BODY): Promise<{ engine: TestEngine; server: WebdavFake }> {
    let gets = 0;
    const server = await startWebdavFake({
      folder: (path) => (path === '' ? { large: body.length } : null),
      answer({ method }, response) {
        if (method !== 'GET') return false;
        gets += 1;
        response.writeHead(200, { 'content-length': body.length });
        if (gets > 1) {
          // Slow in its end: what takes in the file has time to answer before it is sent more than that.
          response.write(body.subarray(0, -BROKEN_AT));
          setTimeout(() => response.end(body.subarray(-BROKEN_AT)), 1_500);
        } else response.write(body.subarray(0, BROKEN_AT), () => setImmediate(() => response.destroy()));
        return true;
      },
    });
    const config = { url: server.url };
    const engine = openEngine(remoteOf(parseSource({ type: 'webdav', config, path: '' })), s3.access('target'));
    endings.push(
      () => server.close(),
      () => engine.remove(),
    );
    return { engine, server };
  }

  const large = (body: Buffer): SourceFile => ({
    ...{ path: 'large', size: body.length, mtime: '2026-01-01T00:00:00Z', hash: null },
  });

  it('gets no file into an archive that is put together of two beginnings', async () => {
    const { engine } = await open();
    const reader = engine.read({ signal });
    try {
      await expect(buffer(readLarge(large(BODY), reader))).rejects.toMatchObject({ code: 'ERR_RESUME_DIFFERS' });
    } finally {
      await reader.close();
    }
  }, 60_000);

  it('is read again from the beginning where the two could not be told apart', async () => {
    const zeros = Buffer.concat([Buffer.alloc(2 * 1024 * 1024), BODY]);
    const { engine } = await open(zeros);
    const reader = engine.read({ signal });
    try {
      expect((await buffer(readLarge(large(zeros), reader))).equals(zeros)).toBe(true);
    } finally {
      await reader.close();
    }
  }, 60_000);

  it('has its file copied whole or not at all', async () => {
    const { engine } = await open();
    const copying = engine.copy({ paths: ['large'], targetKey: 'copied', signal });
    for await (const event of copying.events) void event;
    const outcome = await copying.done;
    expect([...outcome.failed]).toEqual([]);
    const copied = await openS3Store(s3.access('target')).get('copied/large');
    expect(copied?.equals(BODY)).toBe(true);
  }, 60_000);
});
