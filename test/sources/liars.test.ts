// Sources whose listing tells other sizes than their files have. WebDAV and Google Drive are in hostile.test.ts and google-drive.test.ts.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupEngine } from '../../src/engines/port.ts';
import { createEgressGuard } from '../../src/security/egress.ts';
import { parseSource, remoteOf, type RemoteDefinition } from '../../src/sources/registry.ts';
import { checkHosts, keptToHosts, trusting } from '../../src/worker/open-source.ts';
import { openS3Store } from '../../src/storage/s3.ts';
import { openEngine } from '../engines/rclone/engine.ts';
import { startFtpsFake } from '../servers/ftps-fake.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSftpFake } from '../servers/sftp-fake.ts';
import { createTestCa } from '../servers/test-ca.ts';
import { TestJob } from '../backup/job.ts';
import { openConnectedWorld } from './connected.ts';

const CONTENT: Readonly<Record<string, string>> = {
  longer: 'twenty bytes of data',
  shorter: 'twenty bytes of data',
  right: 'right',
};
/** What is claimed of them. */
const SIZES: Readonly<Record<string, number>> = { longer: 5, shorter: 50, right: 5 };

let s3: S3Server & { readonly folder: string };
let base: string;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'e3-liars-'));
  s3 = await startRcloneS3();
  mkdirSync(join(s3.folder, 'target'));
}, 60_000);
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});
afterAll(async () => {
  await s3.stop();
  rmSync(base, { recursive: true, force: true });
});

async function opened(
  type: string,
  config: Readonly<Record<string, unknown>>,
  hostKey: string | null = null,
): Promise<BackupEngine> {
  const source = parseSource({ type, config, path: type === 'sftp' ? '/' : '' });
  const guard = createEgressGuard({ allow: ['127.0.0.1'] });
  const definition = trusting(remoteOf(source), base);
  const found = { source, definition, addresses: await checkHosts(guard, source) };
  return engineOf(await keptToHosts(guard, found, { atEnd: (work) => void endings.push(work) }), hostKey);
}

function engineOf(definition: RemoteDefinition, hostKey: string | null = null): BackupEngine {
  const engine = openEngine(definition, s3.access('target'), { hostKey });
  endings.push(() => engine.remove());
  return engine;
}

async function sftp(): Promise<BackupEngine> {
  const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const server = await startSftpFake({
    portion: (_path, index) => (index === 0 ? SIZES : null),
    entry: (path) => (nameOf(path) === '' ? 'folder' : (SIZES[nameOf(path)] ?? null)),
    content: (path) => CONTENT[nameOf(path)] ?? '',
  });
  endings.push(() => server.close());
  const { host, port, user, password: pass, hostKey } = server;
  return await opened('sftp', { host, port, user, pass }, hostKey);
}

async function ftp(): Promise<BackupEngine> {
  const ca = createTestCa();
  endings.push(() => ca.remove());
  const server = await startFtpsFake({ files: CONTENT, sizes: SIZES, password: 'secret', ...ca.issue(['127.0.0.1']) });
  endings.push(() => server.close());
  const at = { host: '127.0.0.1', port: server.port, user: 'me', pass: 'secret', ca_certificate: ca.certificate };
  return await opened('nas', { protocol: 'ftp', ...at });
}

async function s3Source(): Promise<BackupEngine> {
  const modified = 'Thu, 01 Jan 2026 00:00:00 GMT';
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://s3');
    if (searchParams.has('list-type')) {
      const contents = Object.entries(SIZES).map(
        ([key, size]) =>
          `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
      );
      const head = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>';
      return void response.end(`${head}<KeyCount>3</KeyCount>${contents.join('')}</ListBucketResult>`);
    }
    const key = pathname.split('/').at(-1) ?? '';
    const content = CONTENT[key];
    if (content === undefined) return void response.writeHead(404).end();
    const length = request.method === 'HEAD' ? (SIZES[key] ?? 0) : content.length;
    response.writeHead(200, { 'content-length': String(length), 'last-modified': modified });
    return void response.end(request.method === 'HEAD' ? undefined : content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endings.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return await opened('s3_compatible', { endpoint, bucket: 'b', access_key: 'a', secret_key: 's' });
}

async function dropbox(): Promise<BackupEngine> {
  const world = await openConnectedWorld();
  endings.push(async () => await world.close());
  for (const [name, content] of Object.entries(CONTENT)) {
    const size = SIZES[name];
    world.fake.dropbox.file(name, content, size === undefined ? {} : { size });
  }
  return engineOf(await world.open(await world.connect('dropbox'), 'dropbox'));
}

const liars = { 'an-s3-server': s3Source, 'an-sftp-server': sftp, 'an-ftp-server': ftp, dropbox };

describe('sources that lie about sizes', () => {
  // Side by side: most of the time goes by between one attempt and the next.
  it.each(['sync', 'archive'] as const)(
    'cost only the files that they lie about (%s)',
    async (mode) => {
      const store = openS3Store(s3.access('target'));
      const told = await Promise.all(
        Object.entries(liars).map(async ([name, start]) => {
          const job = new TestJob({ prefix: `${mode}-${name}/`, mode });
          const { status, point, events } = await job.run({ store, engine: await start() });
          const problems = events.flatMap((event) => (event.code === 'FILE_PROBLEMS' ? event.params.problems : []));
          const [{ stored, failed }, paths] = [point, problems.map(({ path }) => path).sort()];
          return { name, status, stored, failed, paths };
        }),
      );
      expect(told).toEqual(
        Object.keys(liars).map((name) => ({
          ...{ name, status: 'warning', stored: 1, failed: 2, paths: ['longer', 'shorter'] },
        })),
      );
    },
    120_000,
  );
});
