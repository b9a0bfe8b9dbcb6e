import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBucket, openS3Store } from '../../src/storage/s3.ts';
import { sourceContract, type SourceUnderTest } from '../contract/source.ts';
import { keysBelow } from '../engines/rclone/engine.ts';
import { startFtp, startWebdav } from '../servers/rclone-files.ts';
import { startRcloneS3, type S3Server } from '../servers/rclone-serve.ts';
import { startSamba } from '../servers/samba.ts';
import { startSeaweedFs } from '../servers/seaweedfs.ts';
import { startSshd } from '../servers/sshd.ts';

/** The part of a fixture that is a folder of this machine, which some server serves. */
function servedFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'e3-served-'));
  chmodSync(folder, 0o777);
  return {
    folder,
    put(path: Buffer, content: string): void {
      const file = Buffer.concat([Buffer.from(`${folder}/`), path]);
      mkdirSync(file.subarray(0, file.lastIndexOf(0x2f)), { recursive: true });
      writeFileSync(file, content);
    },
    digest: () => treeDigest(folder),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function treeDigest(folder: string): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }).sort((a, b) =>
    join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
  )) {
    const path = join(entry.parentPath, entry.name);
    hash.update(`${path} ${statSync(path).mtimeMs}\n`);
    if (entry.isFile()) hash.update(readFileSync(path));
  }
  return hash.digest('hex');
}

const isText = (name: Buffer): boolean => Buffer.from(name.toString()).equals(name);

/** `rclone serve` replaces characters in its own way, and does not find again what it showed so. */
const isPlain = (name: Buffer): boolean => isText(name) && !/[\u0000-\u001f\u007f‛␀-␡．／＼]/.test(name.toString());

sourceContract('OpenSSH', async (): Promise<SourceUnderTest> => {
  const served = servedFolder();
  const sshd = await startSshd();
  return {
    type: 'sftp',
    config: { host: sshd.host, port: sshd.port, user: sshd.user, private_key: sshd.privateKey },
    path: served.folder,
    ...(sshd.hostKeys[0] === undefined ? {} : { hostKey: sshd.hostKeys[0] }),
    md5: false,
    shows: () => true,
    put: served.put,
    digest: served.digest,
    wrongSecret: { config: { user: 'nobody-of-that-name' }, code: 'ERR_SFTP_AUTH' },
    atPort: (port) => ({ port }),
    missing: { path: join(served.folder, 'nowhere'), code: 'ERR_SOURCE_NOT_FOUND' },
    async stop() {
      await sshd.stop();
      served.remove();
    },
  };
});

sourceContract('Samba', async (): Promise<SourceUnderTest> => {
  const served = servedFolder();
  const samba = await startSamba({ shares: { 'my files': served.folder } });
  mkdirSync(join(served.folder, 'place'));
  return {
    type: 'smb',
    config: { host: samba.host, port: samba.port, share: 'my files', user: samba.user, pass: samba.password },
    path: 'place',
    md5: false,
    // The protocol's names are UTF-16: Samba keeps quiet about others. Of those that Windows cannot have it shows short forms.
    shows: (name) => isText(name) && !/[\u0000-\u001f"*:<>?|\\]|[ .]$/.test(name.toString()),
    put: (path, content) => served.put(Buffer.concat([Buffer.from('place/'), path]), content),
    digest: served.digest,
    wrongSecret: { config: { pass: 'wrong' }, code: 'ERR_SOURCE_AUTH' },
    atPort: (port) => ({ port }),
    missing: { path: 'nowhere', code: 'ERR_SOURCE_NOT_FOUND' },
    async stop() {
      await samba.stop();
      served.remove();
    },
  };
});

sourceContract('rclone serve webdav', async (): Promise<SourceUnderTest> => {
  const served = servedFolder();
  const webdav = await startWebdav({ folder: served.folder });
  return {
    type: 'webdav',
    config: { url: webdav.url, user: webdav.user, pass: webdav.password },
    path: '',
    md5: false,
    shows: isPlain,
    put: served.put,
    digest: served.digest,
    wrongSecret: { config: { pass: 'wrong' }, code: 'ERR_SOURCE_AUTH' },
    atPort: (port) => ({ url: `http://127.0.0.1:${port}` }),
    missing: { path: 'nowhere', code: 'ERR_SOURCE_NOT_FOUND' },
    async stop() {
      await webdav.stop();
      served.remove();
    },
  };
});

sourceContract('rclone serve ftp', async (): Promise<SourceUnderTest> => {
  const served = servedFolder();
  const ftp = await startFtp({ folder: served.folder });
  return {
    type: 'nas',
    config: {
      ...{ protocol: 'ftp', encryption: 'none' },
      ...{ host: ftp.host, port: ftp.port, user: ftp.user, pass: ftp.password },
    },
    path: '',
    md5: false,
    shows: isPlain,
    put: served.put,
    digest: served.digest,
    wrongSecret: { config: { pass: 'wrong' }, code: 'ERR_SOURCE_AUTH' },
    atPort: (port) => ({ port }),
    missing: { path: 'nowhere', code: 'ERR_SOURCE_NOT_FOUND' },
    async stop() {
      await ftp.stop();
      served.remove();
    },
  };
});

async function s3Place(
  server: S3Server,
  shows: (name: Buffer) => boolean,
  stop: () => Promise<void>,
): Promise<SourceUnderTest> {
  const access = server.access('source-bucket');
  await ensureBucket(access);
  const store = openS3Store(access);
  const { endpoint, region, accessKey, secretKey } = access;
  return {
    type: 's3_compatible',
    config: { endpoint, region, bucket: 'source-bucket', access_key: accessKey, secret_key: secretKey },
    path: 'place',
    md5: true,
    shows,
    put: async (path, content) => await store.put(`place/${path.toString()}`, Buffer.from(content)),
    digest: async () => (await keysBelow(store, '')).join('\n'),
    wrongSecret: { config: { secret_key: 'wrong-secret-key' }, code: 'ERR_S3_AUTH' },
    atPort: (port) => ({ endpoint: `http://127.0.0.1:${port}` }),
    // Buckets have no folders.
    missing: { path: 'nowhere', code: null },
    stop,
  };
}

sourceContract('SeaweedFS', async () => {
  const server = await startSeaweedFs();
  return await s3Place(server, isText, async () => await server.stop());
});

sourceContract('rclone serve s3', async () => {
  const server = await startRcloneS3({ flags: ['--no-unicode-normalization'] });
  return await s3Place(server, isPlain, async () => await server.stop());
});
