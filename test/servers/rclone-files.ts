import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolPath } from '../../src/engines/tools.ts';
import { freePort } from './ports.ts';
import { answering } from './rclone-serve.ts';

export interface FileServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** A certificate and its key, PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

interface ServeOptions {
  readonly folder: string;
  readonly port?: number;
  /** Speaks TLS with it. */
  readonly tls?: Certificate;
  readonly flags?: readonly string[];
}

/** `rclone serve webdav` of a folder. */
export async function startWebdav(options: ServeOptions): Promise<FileServer & { readonly url: string }> {
  const server = await serve('webdav', options, []);
  return { ...server, url: `${options.tls ? 'https' : 'http'}://${server.host}:${server.port}` };
}

/** `rclone serve ftp` of a folder; with TLS, explicit FTPS that is required. */
export async function startFtp(options: ServeOptions & { publicIp?: string }): Promise<FileServer> {
  const { publicIp } = options;
  const first = await freePorts(60);
  return await serve('ftp', options, [
    ...['--passive-port', `${first}-${first + 59}`],
    ...(publicIp === undefined ? [] : ['--public-ip', publicIp]),
  ]);
}

async function serve(kind: string, options: ServeOptions, flags: readonly string[]): Promise<FileServer> {
  const port = options.port ?? (await freePort());
  const [user, password] = [`${kind}-test-user`, `${kind} test "password"`];
  const home = mkdtempSync(join(tmpdir(), `e3-${kind}-`));
  const { tls } = options;
  if (tls !== undefined) {
    writeFileSync(join(home, 'cert.pem'), tls.certificate);
    writeFileSync(join(home, 'key.pem'), tls.key, { mode: 0o600 });
  }
  const child: ChildProcess = spawn(
    toolPath('rclone'),
    [
      ...['serve', kind, '--config', '/dev/null', '--addr', `127.0.0.1:${port}`, '--no-unicode-normalization'],
      ...(tls === undefined ? [] : ['--cert', join(home, 'cert.pem'), '--key', join(home, 'key.pem')]),
      // Files may be changed behind its back.
      ...['--dir-cache-time', '1ms'],
      ...flags,
      ...(options.flags ?? []),
      options.folder,
    ],
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

/** The first of so many ports in a row that were free a moment ago, outside of the range that the system gives out by itself. */
async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    if (await allFree(Array.from({ length: count }, (_, i) => first + i))) return first;
  }
  throw new Error(`no ${count} free ports in a row`);
}

async function allFree(ports: readonly number[]): Promise<boolean> {
  const free = await Promise.all(
    ports.map(
      async (port) =>
        await new Promise<boolean>((resolve) => {
          const server = createServer();
          server.once('error', () => resolve(false));
          server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
        }),
    ),
  );
  return free.every(Boolean);
}
