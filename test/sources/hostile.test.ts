import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listRemote } from '../../src/engines/rclone/list.ts';
import { sampleNames } from '../../src/engines/rclone/sample.ts';
import { createEgressGuard, type EgressOptions } from '../../src/security/egress.ts';
import { parseSource, remoteOf, type RemoteDefinition } from '../../src/sources/registry.ts';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { checkHosts, keptToHosts } from '../../src/worker/open-source.ts';
import { BINARY, copyTo, keysBelow, listAll, openEngine, type TestEngine } from '../engines/rclone/engine.ts';
import { startFtpsFake } from '../servers/ftps-fake.ts';
import { startFtp } from '../servers/rclone-files.ts';
import { startRcloneS3 } from '../servers/rclone-serve.ts';
import { startSamba } from '../servers/samba.ts';
import { createTestCa } from '../servers/test-ca.ts';
import { startWebdavFake, type FakeFolder, type WebdavFake } from '../servers/webdav-fake.ts';

const signal = new AbortController().signal;
let s3: Awaited<ReturnType<typeof startRcloneS3>>;
let base: string;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'e3-hostile-'));
  s3 = await startRcloneS3();
  await ensureBucket(s3.access('target'));
}, 60_000);
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});
afterAll(async () => {
  await s3.stop();
  rmSync(base, { recursive: true, force: true });
});

/** As a worker opens it. */
async function open(
  type: string,
  config: Readonly<Record<string, unknown>>,
  { egress = { allow: ['127.0.0.1'] }, path = '' }: { egress?: EgressOptions; path?: string } = {},
): Promise<RemoteDefinition> {
  const source = parseSource({ type, config, path });
  const guard = createEgressGuard(egress);
  const opened = { source, definition: remoteOf(source), addresses: await checkHosts(guard, source) };
  return await keptToHosts(guard, opened, { atEnd: (work) => void endings.push(work) });
}

function engineOf(definition: RemoteDefinition): TestEngine {
  const engine = openEngine(definition, s3.access('target'));
  endings.push(() => engine.remove());
  return engine;
}

async function fake(options: Parameters<typeof startWebdavFake>[0]): Promise<WebdavFake> {
  const server = await startWebdavFake(options);
  endings.push(() => server.close());
  return server;
}

const flat =
  (files: FakeFolder) =>
  (path: string): FakeFolder | null =>
    path === '' ? files : null;

describe('a WebDAV server', () => {
  it('that leads elsewhere leads nowhere inside', async () => {
    const inside = await fake({ folder: flat({ secret: 6 }), content: () => 'secret' });
    const server = await fake({
      folder: flat({ moved: 6, stays: 2 }),
      content: () => 'ok',
      answer({ method, path }, response) {
        if (method !== 'GET' || path !== 'moved') return false;
        response.writeHead(302, { location: `${inside.url}/secret` }).end();
        return true;
      },
    });
    const allow = [`127.0.0.1:${server.port}`];
    const engine = engineOf(await open('webdav', { url: server.url }, { egress: { allow } }));
    const { files } = await listAll(engine);
    expect([...files.keys()].sort()).toEqual(['moved', 'stays']);
    const outcome = await copyTo(engine, 'all', 'redirect');
    expect([...outcome.failed].map(([path, { code }]) => [path, code])).toEqual([['moved', 'HOST_NOT_ALLOWED']]);
    expect(await keysBelow(openS3Store(s3.access('target')), 'redirect/')).toEqual(['stays']);
    expect(inside.seen).toEqual([]);
  }, 60_000);

  it('whose name leads inside is not connected to', async () => {
    const server = await fake({ folder: flat({}) });
    const url = `http://cloud.example.com:${server.port}`;
    const resolve = async (): Promise<string[]> => ['127.0.0.1'];
    await expect(open('webdav', { url }, { egress: { resolve } })).rejects.toMatchObject({ code: 'HOST_NOT_ALLOWED' });
    let asked = 0;
    const moving = async (): Promise<string[]> => ((asked += 1) === 1 ? ['93.184.215.14'] : ['127.0.0.1']);
    const definition = await open('webdav', { url }, { egress: { resolve: moving } });
    await expect(listAll(engineOf(definition))).rejects.toMatchObject({ code: 'HOST_NOT_ALLOWED' });
    expect(server.seen).toEqual([]);
  }, 60_000);

  it('that lies about sizes costs only the files it lies about', async () => {
    const server = await fake({
      folder: flat({ longer: 5, shorter: 50, right: 5 }),
      content: (path) => (path === 'right' ? 'right' : 'twenty bytes of data'),
    });
    const engine = engineOf(await open('webdav', { url: server.url }));
    await listAll(engine);
    const outcome = await copyTo(engine, 'all', 'lies');
    expect([...outcome.failed.keys()].sort()).toEqual(['longer', 'shorter']);
    expect(outcome.fatal).toBeNull();
    // What arrived of a file that failed is referred to by nothing.
    const arrived = await keysBelow(openS3Store(s3.access('target')), 'lies/');
    expect(arrived.filter((key) => !outcome.failed.has(key))).toEqual(['right']);
  }, 60_000);

  it('that tells no size of a file has it named, instead of an empty file in the backup', async () => {
    const server = await fake({
      folder: flat({ 'not empty': 0, empty: 0, right: 5 }),
      content: (path) => ({ empty: '', right: 'right' })[path] ?? 'twenty bytes of data',
    });
    const { files, outcome } = engineOf(await open('webdav', { url: server.url })).list({ signal });
    const seen: string[] = [];
    for await (const { path } of files) seen.push(path);
    expect(seen.sort()).toEqual(['empty', 'right']);
    expect(await outcome).toMatchObject({ complete: true, skipped: [{ path: 'not empty', reason: 'size_untold' }] });
  }, 60_000);

  it.each([
    ['folders in folders', { again: null, more: null }, 300],
    ['a folder in itself', { again: null, file: 1 }, 100_000],
  ] as const)(
    'that lists %s for ever is given up',
    async (_, content, mostEntries) => {
      const server = await fake({ folder: () => content });
      const definition = await open('webdav', { url: server.url });
      const { files } = listRemote({ binary: BINARY, definition, folder: base, signal, mostEntries });
      await expect(
        (async () => {
          for await (const file of files) expect(file.path).toMatch(/file$/);
        })(),
      ).rejects.toMatchObject({ code: 'ERR_SOURCE_LISTING' });
    },
    90_000,
  );

  it('that does not let a folder be read has it named, and nothing of it is missing', async () => {
    const tree: Readonly<Record<string, FakeFolder>> = {
      '': { open: null, closed: null, a: 1 },
      open: { b: 1 },
      closed: { c: 1 },
    };
    for (const status of [403, 500]) {
      const server = await fake({
        folder: (path) => tree[path] ?? null,
        answer({ method, path }, response) {
          if (method !== 'PROPFIND' || path !== 'closed') return false;
          response.writeHead(status).end();
          return true;
        },
      });
      const { files, outcome } = await listAll(engineOf(await open('webdav', { url: server.url })));
      expect([...files.keys()].sort()).toEqual(['a', 'open/b']);
      expect(outcome).toEqual({ complete: false, unreadable: ['closed'], skipped: [] });
    }
  }, 90_000);

  it('that holds a file and a folder of one name keeps both', async () => {
    const server = await fake({
      folder: (path) => (path === '' ? { 'x/': null, x: 1 } : path === 'x' ? { y: 1 } : null),
      content: () => '1',
    });
    const { files } = await listAll(engineOf(await open('webdav', { url: server.url })));
    expect([...files.keys()]).toEqual(expect.arrayContaining(['x/y']));
  }, 60_000);

  it.each([
    [401, 'ERR_SOURCE_AUTH'],
    [403, 'ERR_PERMISSION'],
    [404, 'ERR_SOURCE_NOT_FOUND'],
    [405, 'ERR_SOURCE_NOT_FOUND'],
    [429, 'ERR_RATE_LIMIT'],
    [503, 'ERR_NETWORK'],
    [507, 'ERR_QUOTA'],
  ] as const)(
    'that answers with %s is told by its code',
    async (status, code) => {
      const server = await fake({
        folder: flat({}),
        answer: (_, response) => {
          response.writeHead(status).end();
          return true;
        },
      });
      const definition = await open('webdav', { url: server.url });
      const look = { binary: BINARY, definition, hostKey: null, cwd: base, signal, limit: 5 };
      await expect(sampleNames(look)).rejects.toMatchObject({ code });
    },
    60_000,
  );

  it('needs a certificate that is valid for its name', async () => {
    const ca = createTestCa();
    endings.push(() => ca.remove());
    const server = await fake({ folder: flat({ a: 1 }), tls: ca.issue(['other.example.com']) });
    const look = async (url: string) => ({
      ...{ binary: BINARY, definition: await open('webdav', { url }), hostKey: null, cwd: base, signal, limit: 5 },
    });
    await expect(sampleNames(await look(server.url))).rejects.toMatchObject({ code: 'ERR_TLS' });
    expect(server.seen).toEqual([]);
  }, 60_000);
});

describe('an FTP server', () => {
  it('whose answers name another host is read all the same, from its own', async () => {
    const folder = join(base, 'ftp');
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'content');
    const ftp = await startFtp({ folder, publicIp: '10.1.2.3' });
    endings.push(async () => await ftp.stop());
    const { host, port, user, password: pass } = ftp;
    const config = { protocol: 'ftp', encryption: 'none', host, port, user, pass };
    const engine = engineOf(await open('nas', config));
    expect([...(await listAll(engine)).files.keys()]).toEqual(['file']);
    expect(await copyTo(engine, 'all', 'ftp')).toMatchObject({ fatal: null, exitCode: 0 });
  }, 60_000);

  it.each(['explicit', 'implicit'] as const)(
    'with TLS (%s) is read when its certificate is good, and refused when it is not',
    async (encryption) => {
      const ca = createTestCa();
      endings.push(() => ca.remove());
      const pass = 'ftps password';
      const ftp = await startFtpsFake({
        ...{ files: { file: 'content', second: 'more' }, password: pass },
        ...{ ...ca.issue(['localhost']), implicit: encryption === 'implicit' },
      });
      endings.push(() => ftp.close());
      const config = { protocol: 'ftp', encryption, host: 'localhost', port: ftp.port, user: 'me', pass };
      const definition = await open('nas', config, { egress: { allow: ['localhost'] } });
      await expect(listAll(engineOf(definition))).rejects.toMatchObject({ code: 'ERR_TLS' });
      const before = process.env['SSL_CERT_FILE'];
      process.env['SSL_CERT_FILE'] = ca.file;
      try {
        const engine = engineOf(definition);
        expect([...(await listAll(engine)).files.keys()].sort()).toEqual(['file', 'second']);
        expect(await copyTo(engine, 'all', encryption)).toMatchObject({ fatal: null, exitCode: 0 });
      } finally {
        if (before === undefined) delete process.env['SSL_CERT_FILE'];
        else process.env['SSL_CERT_FILE'] = before;
      }
      expect(await keysBelow(openS3Store(s3.access('target')), `${encryption}/`)).toEqual(['file', 'second']);
      expect(ftp.seen.filter(({ secure }) => !secure).map(({ command }) => command)).toEqual(
        encryption === 'implicit' ? [] : expect.not.arrayContaining([`PASS ${pass}`]),
      );
    },
    60_000,
  );

  it('without TLS is not sent a password where TLS is wanted', async () => {
    const ftp = await startFtp({ folder: base });
    endings.push(async () => await ftp.stop());
    const { host, port, user, password: pass } = ftp;
    const definition = await open('nas', { protocol: 'ftp', host, port, user, pass });
    await expect(listAll(engineOf(definition))).rejects.toMatchObject({ code: 'ERR_TLS' });
  }, 60_000);
});

describe('a Windows share', () => {
  it('that does not exist, or admits nobody, is told by its code', async () => {
    const folder = join(base, 'smb');
    mkdirSync(folder);
    const samba = await startSamba({ shares: { open: folder, closed: folder }, forbidden: ['closed'] });
    endings.push(async () => await samba.stop());
    const { host, port, user, password: pass } = samba;
    const at = async (share: string) => await listAll(engineOf(await open('smb', { host, port, user, pass, share })));
    expect((await at('open')).files.size).toBe(0);
    await expect(at('closed')).rejects.toMatchObject({ code: 'ERR_PERMISSION' });
    await expect(at('nowhere')).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
  }, 60_000);
});
