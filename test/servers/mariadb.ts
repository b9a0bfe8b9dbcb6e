import { spawn, type ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, chmodSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './ports.ts';

export interface MariaDb {
  readonly port: number;
  readonly socketPath: string;
  readonly folder: string;
  readonly pid: number;
  /** Runs SQL as the server's administrator. */
  admin(sql: string): string;
  /** Freezes and thaws the server: connections hang, none is refused. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/**
 * A real MariaDB as an unprivileged child process on a temporary folder and free port.
 * `durable` keeps every commit's fsync, as benchmarks need; tests that only look at behaviour do without.
 */
export async function startMariaDb(
  options: { durable?: boolean; folder?: string; port?: number } = {},
): Promise<MariaDb> {
  const base = options.durable || !existsSync('/dev/shm') ? tmpdir() : '/dev/shm';
  const folder = options.folder ?? mkdtempSync(join(base, 'e3-mariadb-'));
  const user = process.getuid?.() === 0 ? ['--user=nobody'] : [];
  const fresh = !existsSync(join(folder, 'data'));
  if (fresh) {
    chmodSync(folder, 0o777);
    execFileSync(
      'mariadb-install-db',
      [
        '--no-defaults',
        ...user,
        `--datadir=${folder}/data`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        '--skip-name-resolve',
      ],
      { stdio: 'ignore' },
    );
  }
  const port = options.port ?? (await freePort());
  const socketPath = join(folder, 's.sock');
  const child: ChildProcess = spawn(
    'mariadbd',
    [
      '--no-defaults',
      ...user,
      `--datadir=${folder}/data`,
      `--socket=${socketPath}`,
      `--pid-file=${folder}/pid`,
      `--tmpdir=${folder}`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--skip-log-bin',
      '--max-connections=400',
      '--innodb-buffer-pool-size=64M',
      '--innodb-log-file-size=32M',
      `--innodb-flush-log-at-trx-commit=${options.durable ? 1 : 0}`,
      `--innodb-doublewrite=${options.durable ? 1 : 0}`,
      '--performance-schema=OFF',
      `--log-error=${folder}/error.log`,
    ],
    { stdio: 'ignore' },
  );
  const admin = (sql: string): string =>
    execFileSync('mariadb', ['--no-defaults', '-uroot', `--socket=${socketPath}`, '-N', '-B', '-e', sql], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  for (let tries = 0; ; tries += 1) {
    try {
      admin('SELECT 1');
      break;
    } catch (error) {
      if (child.exitCode !== null || tries > 300)
        throw new Error(`mariadbd did not start; see ${folder}/error.log`, { cause: error });
      await delay(50);
    }
  }
  return {
    port,
    socketPath,
    folder,
    pid: child.pid ?? 0,
    admin,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async stop() {
      child.kill('SIGCONT');
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await ended;
      }
      if (!options.folder) rmSync(folder, { recursive: true, force: true });
    },
  };
}
