import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { answering } from './rclone-serve.ts';

export interface SambaServer {
  readonly host: string;
  readonly port: number;
  /** Who runs the tests. */
  readonly user: string;
  readonly password: string;
  readonly pid: number;
  log(): string;
  stop(): Promise<void>;
}

const SMBD = ['/usr/sbin/smbd', '/usr/local/sbin/smbd', '/usr/local/samba/sbin/smbd'].find((path) => existsSync(path));

/**
 * A real Samba on loopback; needs no root and changes nothing on the machine. Names that Windows could not have it shows as short ones,
 * as Samba does unless it is told otherwise.
 * @param shares folder of each share by its name; `forbidden` ones admit nobody, `readOnly` ones let nobody write. A file that becomes larger than `largestFile` (bytes)
 *   meets a full disk
 */
export async function startSamba(options: {
  shares: Readonly<Record<string, string>>;
  forbidden?: readonly string[];
  readOnly?: readonly string[];
  largestFile?: number;
  port?: number;
}): Promise<SambaServer> {
  if (SMBD === undefined) throw new Error('smbd is not installed: install samba');
  const folder = mkdtempSync(join(tmpdir(), 'e3-samba-'));
  const port = options.port ?? (await freePort());
  const [user, password] = [userInfo().username, 'samba-test-password'];
  const folders = ['private', 'state', 'cache', 'lock', 'pid', 'ncalrpc'].map((name) => join(folder, name));
  for (const path of folders) mkdirSync(path, { mode: 0o700 });
  const conf = join(folder, 'smb.conf');
  const shares = Object.entries(options.shares).flatMap(([name, path]) => [
    `[${name}]`,
    `path = ${path}`,
    `read only = ${options.readOnly?.includes(name) ? 'yes' : 'no'}`,
    ...(options.forbidden?.includes(name) ? [`invalid users = ${user}`] : []),
  ]);
  const settings = [
    '[global]',
    'server role = standalone server',
    'workgroup = WORKGROUP',
    `smb ports = ${port}`,
    'interfaces = 127.0.0.1/8',
    'bind interfaces only = yes',
    'passdb backend = tdbsam',
    'disable netbios = yes',
    'load printers = no',
    'server min protocol = SMB2_10',
    'case sensitive = yes',
    'map archive = no',
    'dos filemode = no',
    `log file = ${join(folder, 'log')}`,
    ...['private dir', 'state directory', 'cache directory', 'lock directory', 'pid directory', 'ncalrpc dir'].map(
      (key, i) => `${key} = ${folders[i]}`,
    ),
    ...shares,
  ];
  writeFileSync(conf, `${settings.join('\n')}\n`);
  const added = spawnSync('pdbedit', ['-s', conf, '-t', '-a', '-u', user], { input: `${password}\n${password}\n` });
  if (added.status !== 0) throw new Error(`pdbedit: ${added.stderr.toString()}`);
  // At its end it signals its whole process group.
  const limit = options.largestFile === undefined ? [] : ['prlimit', `--fsize=${options.largestFile}`];
  const [program = SMBD, ...args] = [...limit, SMBD, '--foreground', '--no-process-group', '-s', conf];
  const child = spawn(program, args, { stdio: 'ignore', detached: true });
  await answering(port, () => child.exitCode !== null);
  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    pid: child.pid ?? 0,
    log: () => (existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').slice(-20_000) : ''),
    async stop() {
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        process.kill(-child.pid, 'SIGKILL');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
