import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toolPath } from '../../src/engines/tools.ts';
import type { BucketAccess } from '../../src/storage/port.ts';
import { freePort } from './ports.ts';

export interface S3Server {
  readonly endpoint: string;
  readonly pid: number;
  /** Access as the only user there is; the bucket need not exist. */
  access(bucket: string): BucketAccess;
  stop(): Promise<void>;
}

/**
 * `rclone serve s3` on a temporary folder: the S3 server of the demo. Buckets are folders below `folder`.
 */
export async function startRcloneS3(
  options: { folder?: string; port?: number; flags?: readonly string[] } = {},
): Promise<S3Server & { readonly folder: string }> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'e3-rclone-s3-'));
  const port = options.port ?? (await freePort());
  const [accessKey, secretKey] = ['rclone-test-access', 'rclone-test-secret'];
  const child = spawn(
    toolPath('rclone'),
    ['serve', 's3', '--config', '/dev/null', '--addr', `127.0.0.1:${port}`, ...(options.flags ?? []), folder],
    {
      stdio: 'ignore',
      env: {
        PATH: process.env['PATH'], // A list in CSV: without the quotes it would be two keys.
        RCLONE_AUTH_KEY: `"${accessKey},${secretKey}"`,
      },
    },
  );
  await answering(port, () => child.exitCode !== null);
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    endpoint,
    folder,
    pid: child.pid ?? 0,
    access: (bucket) => ({ endpoint, region: 'us-east-1', bucket, accessKey, secretKey, provider: 'Rclone' }),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface SftpServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** `rclone serve sftp` of a folder: takes a password without any account of the machine. Its host key is a new one each time. */
export async function startRcloneSftp(options: { folder: string; port?: number }): Promise<SftpServer> {
  const port = options.port ?? (await freePort());
  const [user, password] = ['sftp-test-user', 'sftp-test-password'];
  const home = mkdtempSync(join(tmpdir(), 'e3-rclone-sftp-'));
  const child = spawn(
    toolPath('rclone'),
    ['serve', 'sftp', '--config', '/dev/null', '--addr', `127.0.0.1:${port}`, options.folder],
    // Host keys are kept in the cache folder, so that would be the same ones for all.
    { stdio: 'ignore', env: { PATH: process.env['PATH'], HOME: home, RCLONE_USER: user, RCLONE_PASS: password } },
  );
  await answering(port, () => child.exitCode !== null);
  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    pid: child.pid ?? 0,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Waits until something accepts connections on the port. */
export async function answering(port: number, gone: () => boolean, limitMs = 30_000): Promise<void> {
  for (const end = Date.now() + limitMs; Date.now() < end; await delay(25)) {
    if (gone()) throw new Error(`the server for port ${port} ended at once`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
  }
  throw new Error(`nothing answered on port ${port}`);
}
