import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolPath } from '../../src/engines/tools.ts';
import { officeFiles, shopFiles, writeFiles } from '../../src/host/demo/files.ts';
import { generateSecrets } from '../../src/host/demo/secrets.ts';
import { startS3Server, startSftpServer, type LocalServer } from '../../src/host/demo/servers.ts';
import { freePort } from '../servers/ports.ts';

const secrets = generateSecrets();
const folder = mkdtempSync(join(tmpdir(), 'e3-demo-'));
let s3: LocalServer;
let sftp: LocalServer;

beforeAll(async () => {
  mkdirSync(join(folder, 's3', 'bucket'), { recursive: true });
  writeFileSync(join(folder, 's3', 'bucket', 'Größe 1.txt'), 'one');
  mkdirSync(join(folder, 'sftp'));
  writeFileSync(join(folder, 'sftp', 'two.txt'), 'two');
  const hostKeyFile = join(folder, 'key');
  writeFileSync(hostKeyFile, secrets.sftp.hostKeyPem, { mode: 0o600 });
  const { ada, grace } = secrets.storage;
  s3 = await startS3Server({
    name: 'S3 server',
    folder: join(folder, 's3'),
    port: null,
    keys: [ada, grace],
    fresh: true,
    logFile: join(folder, 's3.log'),
  });
  sftp = await startSftpServer({
    name: 'SFTP server',
    folder: join(folder, 'sftp'),
    port: null,
    user: secrets.sftp.user,
    password: secrets.sftp.password,
    hostKeyFile,
    logFile: join(folder, 'sftp.log'),
  });
});
afterAll(async () => {
  await s3.stop();
  await sftp.stop();
  rmSync(folder, { recursive: true, force: true });
});

function list(remote: Record<string, string>, path: string): string {
  const env = Object.fromEntries(Object.entries(remote).map(([name, value]) => [`RCLONE_CONFIG_R_${name}`, value]));
  return execFileSync(
    toolPath('rclone'),
    ['lsf', `R:${path}`, '--config', '', '--retries', '1', '--low-level-retries', '1'],
    {
      env: { PATH: process.env['PATH'], ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
}

const s3Remote = (accessKey: string, secretKey: string): Record<string, string> => ({
  TYPE: 's3',
  PROVIDER: 'Rclone',
  ENDPOINT: `http://127.0.0.1:${s3.port}`,
  ACCESS_KEY_ID: accessKey,
  SECRET_ACCESS_KEY: secretKey,
});

describe('the servers of the demo', () => {
  it('serve S3 to each of the keys and to nobody else', () => {
    for (const { accessKey, secretKey } of [secrets.storage.ada, secrets.storage.grace]) {
      expect(list(s3Remote(accessKey, secretKey), 'bucket')).toBe('Größe 1.txt\n');
    }
    expect(() => list(s3Remote(secrets.storage.ada.accessKey, secrets.storage.grace.secretKey), 'bucket')).toThrow();
  });

  it('serve SFTP with the generated password and host key, and take nothing', () => {
    const pass = execFileSync(toolPath('rclone'), ['obscure', '-'], { input: secrets.sftp.password, encoding: 'utf8' });
    const remote = {
      TYPE: 'sftp',
      HOST: '127.0.0.1',
      PORT: String(sftp.port),
      USER: secrets.sftp.user,
      PASS: pass.trim(),
    };
    expect(list(remote, '')).toBe('two.txt\n');
    expect(() => list({ ...remote, USER: 'other' }, '')).toThrow();
  });

  it('keep every secret out of their command lines', () => {
    for (const server of [s3, sftp]) {
      const line = readFileSync(`/proc/${server.pid}/cmdline`, 'utf8');
      for (const secret of [secrets.storage.ada.secretKey, secrets.sftp.password]) expect(line).not.toContain(secret);
    }
  });

  it('come back at the port of the last time, or at another when it is taken', async () => {
    const wanted = await freePort();
    const options = {
      name: 'S3 server',
      folder: join(folder, 's3'),
      keys: [secrets.sourceS3],
      fresh: false,
      logFile: join(folder, 'again.log'),
    };
    const first = await startS3Server({ ...options, port: wanted });
    const second = await startS3Server({ ...options, port: wanted });
    expect(first.port).toBe(wanted);
    expect(second.port).not.toBe(wanted);
    await Promise.all([first.stop(), second.stop()]);
    expect([first.running, second.running]).toEqual([false, false]);
  });
});

describe('the files of the demo', () => {
  it('are some hundred of many sizes, with names that need care, and the same every time', () => {
    for (const make of [shopFiles, officeFiles]) {
      const files = make();
      const sizes = files.map((file) => file.content().length);
      expect(files.length).toBeGreaterThan(200);
      expect(new Set(files.map((file) => file.path)).size).toBe(files.length);
      expect(Math.min(...sizes)).toBe(0);
      expect(Math.max(...sizes)).toBeGreaterThan(1024 * 1024);
      expect(files.some((file) => file.path.includes(' ') && /[äöüß]/i.test(file.path))).toBe(true);
      const digest = (): string =>
        make()
          .reduce((hash, file) => hash.update(file.path).update(file.content()), createHash('sha256'))
          .digest('hex');
      expect(digest()).toBe(digest());
    }
  });

  it('are written with their times', () => {
    const target = join(folder, 'written');
    const [first] = shopFiles();
    if (first === undefined) throw new Error('no files');
    writeFiles(target, [first]);
    expect(readFileSync(join(target, first.path))).toEqual(first.content());
  });
});
