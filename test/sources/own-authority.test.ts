// Servers whose certificate no public authority has signed: a NAS in an office, mostly.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEgressGuard } from '../../src/security/egress.ts';
import { hostsOf, parseSource, publicConfig, remoteOf, type RemoteDefinition } from '../../src/sources/registry.ts';
import type { BucketAccess } from '../../src/storage/port.ts';
import { checkHosts, keptToHosts, trusting } from '../../src/worker/open-source.ts';
import { copyTo, listAll, openEngine, type TestEngine } from '../engines/rclone/engine.ts';
import { startFtpsFake } from '../servers/ftps-fake.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { createTestCa, type TestCa } from '../servers/test-ca.ts';
import { startWebdavFake } from '../servers/webdav-fake.ts';

const FILES = { file: 'content', second: 'more' };
let office: TestCa;
let other: TestCa;
let s3: S3Server & { readonly folder: string };
let folder: string;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  [office, other] = [createTestCa(), createTestCa()];
  // A comma in its name: rclone takes a list of files.
  folder = mkdtempSync(join(tmpdir(), 'e3-own, "authority"-'));
  s3 = await startRcloneS3();
  mkdirSync(join(s3.folder, 'target'));
}, 60_000);
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});
afterAll(async () => {
  await s3.stop();
  rmSync(folder, { recursive: true, force: true });
  office.remove();
  other.remove();
});

/** As a worker opens it. */
async function open(type: string, config: Readonly<Record<string, unknown>>): Promise<RemoteDefinition> {
  const source = parseSource({ type, config, path: '' });
  const guard = createEgressGuard({ allow: ['127.0.0.1'] });
  const definition = trusting(remoteOf(source), folder);
  const opened = { source, definition, addresses: await checkHosts(guard, source) };
  return await keptToHosts(guard, opened, { atEnd: (work) => void endings.push(work) });
}

function engineOf(definition: RemoteDefinition, destination: BucketAccess = s3.access('target')): TestEngine {
  const engine = openEngine(definition, destination);
  endings.push(() => engine.remove());
  return engine;
}

async function webdavServer(): Promise<{ type: string; config: Readonly<Record<string, unknown>> }> {
  const server = await startWebdavFake({
    folder: (path) => (path === '' ? { file: FILES.file.length, second: FILES.second.length } : null),
    content: (path) => FILES[path as keyof typeof FILES],
    tls: office.issue(['127.0.0.1']),
  });
  endings.push(() => server.close());
  return { type: 'webdav', config: { url: server.url } };
}

async function ftpServer(
  encryption: 'explicit' | 'implicit',
): Promise<{ type: string; config: Readonly<Record<string, unknown>> }> {
  const issued = office.issue(['127.0.0.1']);
  const server = await startFtpsFake({
    files: FILES,
    password: 'secret',
    ...issued,
    implicit: encryption === 'implicit',
  });
  endings.push(() => server.close());
  const at = { host: '127.0.0.1', port: server.port, user: 'me', pass: 'secret' };
  return { type: 'nas', config: { protocol: 'ftp', encryption, ...at } };
}

describe.each([
  ['a WebDAV server', webdavServer],
  ['an FTP server with explicit TLS', async () => await ftpServer('explicit')],
  ['an FTP server with implicit TLS', async () => await ftpServer('implicit')],
] as const)('%s with a certificate of its own authority', (name, start) => {
  it('is read when that authority is given, and refused without it or with another', async () => {
    const { type, config } = await start();
    await expect(listAll(engineOf(await open(type, config)))).rejects.toMatchObject({ code: 'ERR_TLS' });
    const wrong = { ...config, ca_certificate: other.certificate };
    await expect(listAll(engineOf(await open(type, wrong)))).rejects.toMatchObject({ code: 'ERR_TLS' });
    const engine = engineOf(await open(type, { ...config, ca_certificate: office.certificate }));
    expect([...(await listAll(engine)).files.keys()].sort()).toEqual(['file', 'second']);
    const target = name.replaceAll(' ', '-');
    expect(await copyTo(engine, 'all', target)).toMatchObject({ fatal: null, exitCode: 0 });
    expect(readdirSync(join(s3.folder, 'target', target)).sort()).toEqual(['file', 'second']);
  }, 60_000);
});

it('the authority of a source counts for nothing else: not for the storage that is written to', async () => {
  const { cert, key } = office.issue(['127.0.0.1']);
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
  const storage = await startRcloneS3({ flags: ['--cert', files.cert, '--key', files.key] });
  endings.push(async () => await storage.stop());
  mkdirSync(join(storage.folder, 'target'));
  const access = { ...storage.access('target'), endpoint: storage.endpoint.replace('http:', 'https:') };
  const { type, config } = await webdavServer();
  const engine = engineOf(await open(type, { ...config, ca_certificate: office.certificate }), access);
  expect((await listAll(engine)).files.size).toBe(2);
  expect(await copyTo(engine, ['file'], 'x')).toMatchObject({ fatal: { code: 'ERR_TLS' } });
  expect(readdirSync(join(storage.folder, 'target'))).toEqual([]);
}, 60_000);

describe('the certificate of a source', () => {
  const parse = (pem: string) =>
    parseSource({ type: 'webdav', config: { url: 'https://nas.example.com', ca_certificate: pem }, path: '' });

  it('is kept without what stands around it, is no secret, and lies in a private file while it is used', () => {
    const source = parse(
      `Subject: mine\r\n${office.certificate.replaceAll('\n', '\r\n')}\n# end\n${other.certificate}`,
    );
    const { ca_certificate: kept } = publicConfig(source).config;
    expect(String(kept).match(/^-----BEGIN CERTIFICATE-----$/gm)).toHaveLength(2);
    expect(String(kept)).not.toMatch(/mine|# end|\r/);
    const before = readdirSync(folder);
    const { options } = trusting(remoteOf(source), folder);
    const [file] = readdirSync(folder).filter((name) => !before.includes(name));
    expect(statSync(join(folder, file ?? '')).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(options)).not.toContain('BEGIN');
    // Stored and read again it stays as it is.
    expect(parse(String(kept)).config).toEqual(source.config);
  });

  it('makes another way to the server of it: passwords that are stored go to nobody who shows another', () => {
    const ftp = { protocol: 'ftp', host: 'nas.example.com', user: 'me', pass: 'secret' };
    for (const [type, config] of [
      ['webdav', { url: 'https://nas.example.com', user: 'me', pass: 'secret' }],
      ['nas', ftp],
    ] as const) {
      const ways = [undefined, office.certificate, other.certificate].map((ca_certificate) =>
        JSON.stringify(hostsOf(parseSource({ type, config: { ...config, ca_certificate }, path: '' }))),
      );
      expect(new Set(ways).size).toBe(3);
    }
  });

  it.each([
    ['nothing of the kind', 'hello'],
    ['a private key', () => `${office.certificate}${office.issue(['x.example']).key}`],
    ['half of one', () => office.certificate.slice(0, 300)],
    ['one that is damaged', () => office.certificate.replace(/MII./, 'AAAA')],
    ['far too many', () => office.certificate.repeat(21)],
  ] as const)('is refused when it is %s', (_, given) => {
    const pem = typeof given === 'string' ? given : given();
    expect(() => parse(pem)).toThrow(
      expect.objectContaining({
        code: 'ERR_SOURCE_CONFIG',
        details: { fields: { ca_certificate: expect.any(String) } },
      }),
    );
  });
});
