// Servers that let somebody in, and then do not let everything be read. Those of WebDAV, Samba, S3 and Google are in other tests of this folder.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEgressGuard } from '../../src/security/egress.ts';
import { parseSource, remoteOf } from '../../src/sources/registry.ts';
import { checkHosts, keptToHosts, trusting } from '../../src/worker/open-source.ts';
import { copyTo, listAll, openEngine, type TestEngine } from '../engines/rclone/engine.ts';
import { startFtpsFake } from '../servers/ftps-fake.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSftpFake, type FakeEntry, type FakePortion } from '../servers/sftp-fake.ts';
import { createTestCa, type TestCa } from '../servers/test-ca.ts';

let s3: S3Server & { readonly folder: string };
let ca: TestCa;
let base: string;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'e3-refusals-'));
  ca = createTestCa();
  s3 = await startRcloneS3();
  mkdirSync(join(s3.folder, 'target'));
}, 60_000);
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});
afterAll(async () => {
  await s3.stop();
  ca.remove();
  rmSync(base, { recursive: true, force: true });
});

async function opened(
  type: string,
  config: Readonly<Record<string, unknown>>,
  hostKey: string | null = null,
): Promise<TestEngine> {
  const source = parseSource({ type, config, path: type === 'sftp' ? '/' : '' });
  const guard = createEgressGuard({ allow: ['127.0.0.1'] });
  const found = { source, definition: trusting(remoteOf(source), base), addresses: await checkHosts(guard, source) };
  const definition = await keptToHosts(guard, found, { atEnd: (work) => void endings.push(work) });
  const engine = openEngine(definition, s3.access('target'), { hostKey });
  endings.push(() => engine.remove());
  return engine;
}

async function ftp(refuse: (verb: string, argument: string) => string | null): Promise<TestEngine> {
  const files = { open: 'content', closed: 'secret' };
  const server = await startFtpsFake({ files, password: 'secret', ...ca.issue(['127.0.0.1']), refuse });
  endings.push(() => server.close());
  const at = { host: '127.0.0.1', port: server.port, user: 'me', pass: 'secret', ca_certificate: ca.certificate };
  return await opened('nas', { protocol: 'ftp', ...at });
}

const TREE: Readonly<Record<string, FakePortion>> = {
  '/': { open: 4, closed: 4, 'closed folder': 'folder' },
  '/closed folder': { inside: 4 },
};

async function sftp(refuses: (path: string) => boolean): Promise<TestEngine> {
  const entry = (path: string): FakeEntry | null => {
    const slash = path.lastIndexOf('/');
    return TREE[path] === undefined ? (TREE[path.slice(0, slash) || '/']?.[path.slice(slash + 1)] ?? null) : 'folder';
  };
  const portion = (path: string, index: number): FakePortion | null => (index === 0 ? (TREE[path] ?? null) : null);
  const server = await startSftpFake({ entry, portion, content: () => 'text', refuses });
  endings.push(() => server.close());
  const { host, port, user, password: pass, hostKey } = server;
  return await opened('sftp', { host, port, user, pass }, hostKey);
}

const failuresOf = async (engine: TestEngine, target: string) => {
  const { failed, fatal } = await copyTo(engine, ['open', 'closed'], target);
  return { fatal, failed: Object.fromEntries([...failed].map(([path, { code }]) => [path, code])) };
};

describe('an FTP server', () => {
  it('that shows nobody its folder is told by its code', async () => {
    const engine = await ftp((verb) => (verb === 'MLSD' ? '550 Permission denied' : null));
    // FTP has one number for what is missing and what is forbidden, and of a folder rclone passes on no words.
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
  }, 60_000);

  it('that gives a file to nobody has it named', async () => {
    const engine = await ftp((verb, path) => (verb === 'RETR' && path === 'closed' ? '550 Permission denied' : null));
    expect([...(await listAll(engine)).files.keys()].sort()).toEqual(['closed', 'open']);
    expect(await failuresOf(engine, 'ftp')).toEqual({ fatal: null, failed: { closed: 'ERR_PERMISSION' } });
  }, 60_000);

  it('whose password has become another one, or that has too many users, is told by its code', async () => {
    const wrong = await ftp((verb) => (verb === 'PASS' ? '530 Login incorrect' : null));
    await expect(listAll(wrong)).rejects.toMatchObject({ code: 'ERR_SOURCE_AUTH' });
    const many = '530 Sorry, the maximum number of clients (3) for this user are already connected.';
    const busy = await ftp((verb) => (verb === 'PASS' ? many : null));
    await expect(listAll(busy)).rejects.toMatchObject({ code: 'ERR_RATE_LIMIT' });
  }, 90_000);
});

describe('an SFTP server', () => {
  it('that shows nobody its folder is told by its code', async () => {
    const engine = await sftp((path) => path === '/');
    await expect(listAll(engine)).rejects.toMatchObject({ code: 'ERR_PERMISSION' });
  }, 60_000);

  it('that does not let a folder and a file be read has both named, and gives the rest', async () => {
    const engine = await sftp((path) => path.includes('closed'));
    const { files, outcome } = await listAll(engine);
    expect([...files.keys()].sort()).toEqual(['closed', 'open']);
    expect(outcome).toMatchObject({ complete: false, unreadable: ['closed folder'] });
    expect(await failuresOf(engine, 'sftp')).toEqual({ fatal: null, failed: { closed: 'ERR_PERMISSION' } });
  }, 60_000);
});
