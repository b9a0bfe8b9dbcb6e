import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { answering } from './rclone-serve.ts';

export interface SshServer {
  readonly host: string;
  readonly port: number;
  /** Who runs the tests: the only one who can sign in, and only by key. */
  readonly user: string;
  /** Private key in OpenSSH form that the server accepts. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…`, of each key the server has. */
  readonly hostKeys: readonly string[];
  readonly pid: number;
  log(): string;
  stop(): Promise<void>;
}

export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));

/** A real OpenSSH server on loopback, with new host keys at each start; needs no root and changes nothing on the machine. */
export async function startSshd(
  options: { hostKeyTypes?: readonly HostKeyType[]; port?: number } = {},
): Promise<SshServer> {
  if (SSHD === undefined) throw new Error('sshd is not installed: install openssh-server');
  const folder = mkdtempSync(join(tmpdir(), 'e3-sshd-'));
  chmodSync(folder, 0o755);
  const port = options.port ?? (await freePort());
  const hostKeyFiles = (options.hostKeyTypes ?? ['ed25519']).map((type) => newKey(join(folder, `host_${type}`), type));
  const userKey = newKey(join(folder, 'user'), 'ed25519');
  writeFileSync(join(folder, 'authorized_keys'), readFileSync(`${userKey}.pub`), { mode: 0o644 });
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...hostKeyFiles.map((file) => `HostKey ${file}`),
    `PidFile ${join(folder, 'pid')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    'PasswordAuthentication yes',
    'KbdInteractiveAuthentication no',
    'MaxStartups 10:30:100',
    'Subsystem sftp internal-sftp',
  ];
  writeFileSync(join(folder, 'config'), `${config.join('\n')}\n`);
  // What sshd gives up its rights in, when it has any.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const child = spawn(SSHD, ['-D', '-e', '-f', join(folder, 'config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-20_000)));
  await answering(port, () => child.exitCode !== null);
  return {
    host: '127.0.0.1',
    port,
    user: userInfo().username,
    privateKey: readFileSync(userKey, 'utf8'),
    hostKeys: hostKeyFiles.map((file) => readFileSync(`${file}.pub`, 'utf8').split(' ').slice(0, 2).join(' ').trim()),
    pid: child.pid ?? 0,
    log: () => said,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function newKey(path: string, type: HostKeyType): string {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', path]);
  return path;
}
