// Restores to file servers that have no room left, or let nobody write.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isBackupError } from '../../src/errors/backup-error.ts';
import { rcloneBulk } from '../../src/restore/rclone-bulk.ts';
import { createEgressGuard } from '../../src/security/egress.ts';
import { parseSource, remoteOf, type RemoteDefinition } from '../../src/sources/registry.ts';
import { checkHosts, keptToHosts, trusting } from '../../src/worker/open-source.ts';
import { BINARY } from '../engines/rclone/engine.ts';
import { streamOf } from '../layout/samples.ts';
import { startFtpsFake } from '../servers/ftps-fake.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSamba } from '../servers/samba.ts';
import { createTestCa } from '../servers/test-ca.ts';
import { startWebdavFake } from '../servers/webdav-fake.ts';

const LARGE = 6 * 1024 * 1024;
let base: string;
let s3: S3Server & { readonly folder: string };
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'e3-full-'));
  chmodSync(base, 0o755);
  s3 = await startRcloneS3();
  mkdirSync(join(s3.folder, 'backup', 'f'), { recursive: true });
  writeFileSync(join(s3.folder, 'backup', 'f', 'small'), 'small');
  writeFileSync(join(s3.folder, 'backup', 'f', 'large'), Buffer.alloc(LARGE, 'x'));
}, 60_000);
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});
afterAll(async () => {
  await s3.stop();
  rmSync(base, { recursive: true, force: true });
});

/** As a worker opens it. */
async function open(type: string, config: Readonly<Record<string, unknown>>): Promise<RemoteDefinition> {
  const source = parseSource({ type, config, path: '' });
  const guard = createEgressGuard({ allow: ['127.0.0.1'] });
  const opened = { source, definition: trusting(remoteOf(source), base), addresses: await checkHosts(guard, source) };
  return await keptToHosts(guard, opened, { atEnd: (work) => void endings.push(work) });
}

/** What became of both files: by the call for many, and by the one for single files. */
async function restored(definition: RemoteDefinition): Promise<{ many: unknown; single: unknown }> {
  const bulk = rcloneBulk({
    ...{ binary: BINARY, from: s3.access('backup'), to: { source: definition, hostKey: null } },
    ...{ workFolder: mkdtempSync(join(base, 'work-')), transfers: 2, bandwidth: 0 },
  });
  const told = async (failed: Promise<ReadonlyMap<string, string>>): Promise<unknown> => {
    try {
      return Object.fromEntries(await failed);
    } catch (error) {
      return isBackupError(error) ? error.code : error;
    }
  };
  const how = { existing: 'replace', signal: new AbortController().signal, onProgress: () => undefined } as const;
  try {
    const names = ['large', 'small'];
    const many = await told(
      bulk.copy({
        ...how,
        fromKey: 'f',
        toPath: '',
        names: streamOf(names),
        count: 2,
        bytes: LARGE + 5,
        largest: LARGE,
      }),
    );
    const items = names.map((name) => ({ fromKey: `f/${name}`, toPath: name, size: name === 'large' ? LARGE : 5 }));
    return { many, single: await told(bulk.copySome({ ...how, items: streamOf(items), largest: LARGE })) };
  } finally {
    await bulk.close();
  }
}

describe('a restore to a server that is full', () => {
  it('is told so by a Windows share, of the files that do not fit', async () => {
    const folder = join(base, 'share');
    mkdirSync(folder);
    const samba = await startSamba({ shares: { full: folder }, largestFile: LARGE - 1 });
    endings.push(async () => await samba.stop());
    const { host, port, user, password: pass } = samba;
    const outcome = await restored(await open('smb', { host, port, user, pass, share: 'full' }));
    expect(outcome).toEqual({ many: { large: 'ERR_DISK_FULL' }, single: { large: 'ERR_DISK_FULL' } });
    expect(readdirSync(folder)).toEqual(['small']);
  }, 90_000);

  it('is told so by a WebDAV server', async () => {
    const server = await startWebdavFake({
      folder: (path) => (path === '' ? {} : null),
      answer({ method }, response) {
        if (method === 'PROPFIND') return false;
        response.writeHead(method === 'PUT' ? 507 : 201).end();
        return true;
      },
    });
    endings.push(() => server.close());
    expect(await restored(await open('webdav', { url: server.url }))).toEqual({
      many: { large: 'ERR_QUOTA', small: 'ERR_QUOTA' },
      single: { large: 'ERR_QUOTA', small: 'ERR_QUOTA' },
    });
  }, 90_000);

  it('is told so by an FTP server', async () => {
    const ca = createTestCa();
    endings.push(() => ca.remove());
    const server = await startFtpsFake({ files: {}, password: 'secret', ...ca.issue(['127.0.0.1']), full: true });
    endings.push(() => server.close());
    const at = { host: '127.0.0.1', port: server.port, user: 'me', pass: 'secret', ca_certificate: ca.certificate };
    expect(await restored(await open('nas', { protocol: 'ftp', ...at }))).toEqual({
      many: { large: 'ERR_QUOTA', small: 'ERR_QUOTA' },
      single: { large: 'ERR_QUOTA', small: 'ERR_QUOTA' },
    });
  }, 90_000);
});

describe('a restore to a server that lets nobody write', () => {
  const refused = { large: 'ERR_PERMISSION', small: 'ERR_PERMISSION' };

  it('is told so by a Windows share', async () => {
    const folder = join(base, 'read-only');
    mkdirSync(folder);
    const samba = await startSamba({ shares: { reading: folder }, readOnly: ['reading'] });
    endings.push(async () => await samba.stop());
    const { host, port, user, password: pass } = samba;
    const outcome = await restored(await open('smb', { host, port, user, pass, share: 'reading' }));
    expect(outcome).toEqual({ many: refused, single: refused });
  }, 90_000);

  it('is told so by a WebDAV server', async () => {
    const server = await startWebdavFake({
      folder: (path) => (path === '' ? {} : null),
      answer({ method }, response) {
        if (method === 'PROPFIND') return false;
        response.writeHead(403).end();
        return true;
      },
    });
    endings.push(() => server.close());
    expect(await restored(await open('webdav', { url: server.url }))).toEqual({ many: refused, single: refused });
  }, 90_000);
});
