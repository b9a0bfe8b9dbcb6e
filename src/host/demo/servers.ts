import { connect, createServer, type AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toolPath } from '../../engines/tools.ts';
import { BackupError } from '../../errors/backup-error.ts';
import { startChild, type Child } from './children.ts';

/** An S3 or SFTP server of rclone on loopback. */
export interface LocalServer extends Child {
  readonly port: number;
}

interface Common {
  readonly name: string;
  /** What it serves: for S3, each folder in it is a bucket. */
  readonly folder: string;
  /** The port of the last time, so that addresses in jobs stay right; another one when it is taken. */
  readonly port: number | null;
  readonly logFile: string;
}

export interface KeyPair {
  readonly accessKey: string;
  readonly secretKey: string;
}

export async function startS3Server(
  options: Common & { keys: readonly KeyPair[]; fresh: boolean },
): Promise<LocalServer> {
  // Repeatable options are CSV in the environment; command lines can be read by everybody on the machine.
  const keys = options.keys.map((pair) => `"${pair.accessKey},${pair.secretKey}"`).join(',');
  return await startServer(options, (port) => ({
    args: ['serve', 's3', options.folder, '--addr', `127.0.0.1:${port}`, ...cacheFlags(options.fresh)],
    env: { RCLONE_AUTH_KEY: keys },
  }));
}

export async function startSftpServer(
  options: Common & { user: string; password: string; hostKeyFile: string },
): Promise<LocalServer> {
  return await startServer(options, (port) => ({
    args: [
      'serve',
      'sftp',
      options.folder,
      '--addr',
      `127.0.0.1:${port}`,
      '--key',
      options.hostKeyFile,
      // Not those of whoever runs the demo.
      '--authorized-keys',
      '',
      '--read-only',
      ...cacheFlags(true),
    ],
    env: { RCLONE_USER: options.user, RCLONE_PASS: options.password },
  }));
}

/** What somebody changes in a source's folder should be in the next backup, not in the one after five minutes. */
function cacheFlags(fresh: boolean): string[] {
  return fresh ? ['--dir-cache-time', '1s'] : [];
}

const STARTS_WITHIN_MS = 15_000;
const TRIES = 3;

async function startServer(
  options: Common,
  command: (port: number) => { args: readonly string[]; env: Readonly<Record<string, string>> },
): Promise<LocalServer> {
  for (let tries = 1; ; tries += 1) {
    const port = options.port !== null && tries === 1 && (await isFree(options.port)) ? options.port : await freePort();
    const { args, env } = command(port);
    const child = startChild({
      name: options.name,
      program: toolPath('rclone'),
      args: [...args, '--config', '', '--log-level', 'NOTICE'],
      env,
      folder: dirname(options.logFile),
      logFile: options.logFile,
    });
    if (await answers(child, port)) return Object.assign(child, { port });
    await child.stop(0);
    // Somebody else may have taken the port between the look and the start.
    if (tries === TRIES) {
      throw new BackupError(
        'ERR_TOOL_WRONG',
        `The ${options.name} did not start: it ${await child.ended}. ${child.tail()}`,
      );
    }
  }
}

async function answers(child: Child, port: number): Promise<boolean> {
  const deadline = Date.now() + STARTS_WITHIN_MS;
  while (child.running && Date.now() < deadline) {
    if (await accepts(port)) return child.running;
    await delay(20);
  }
  return false;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
