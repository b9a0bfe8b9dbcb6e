import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { errorLine, run, say, ToolError } from './terminal.js';

/** What the tests drive beside the tools of this package: a program, or a file, and the Debian package that has it. */
const needed = /** @type {const} */ ([
  ['mariadbd', 'mariadb-server'],
  ['mariadb-install-db', 'mariadb-server'],
  ['mariadb', 'mariadb-client'],
  ['chromium', 'chromium'],
  ['sshd', 'openssh-server'],
  ['ssh-keygen', 'openssh-client'],
  ['smbd', 'samba'],
  ['ceph-mon', 'ceph-mon'],
  ['ceph-osd', 'ceph-osd'],
  ['radosgw', 'radosgw'],
  ['bwrap', 'bubblewrap'],
  ['setpriv', 'util-linux'],
  ['zstd', 'zstd'],
  ['unzip', 'unzip'],
  ['openssl', 'openssl'],
  ['/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf', 'fonts-dejavu-core'],
]);

/** Installs the packages that the tests need and that are missing, where this user may; else says which they are. */
export async function installSystemPackages() {
  const missing = [...new Set(needed.filter(([what]) => !isThere(what)).map(([, name]) => name))];
  if (missing.length === 0) return;
  const command = `apt-get install ${missing.join(' ')}`;
  const sudo = await howToBecomeRoot();
  if (sudo === null || !isThere('apt-get')) {
    const advice = isThere('apt-get') ? `Run "${command}" as root` : 'Install what these Debian packages bring';
    throw new ToolError('ERR_TOOL_MISSING', `The tests need ${missing.join(', ')}. ${advice}, then run this again.`);
  }
  say(`Installing for the tests: ${missing.join(', ')}`);
  const apt = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', 'DPkg::Lock::Timeout=300', '-qq'];
  await asRoot([...apt, 'update'], 'apt-get update');
  await asRoot([...apt, 'install', '--yes', '--no-install-recommends', ...missing], command);
  const still = needed.filter(([what]) => !isThere(what)).map(([what]) => what);
  if (still.length > 0)
    throw new ToolError('ERR_TOOL_MISSING', `${still.join(', ')} is still missing after "${command}".`);
}

/**
 * @param {string[]} commandLine
 * @param {string} title
 */
async function asRoot([program = '', ...args], title) {
  const { code, output } = await run(program, args, { doing: title });
  if (code !== 0)
    throw new ToolError(
      'ERR_TOOL_MISSING',
      `"${title}" failed (${errorLine(output)}). Run it as root, then run this again.`,
    );
}

/** The words that stand before a command of root, or null where this user may not. */
async function howToBecomeRoot() {
  if (process.getuid?.() === 0) return [];
  return (await run('sudo', ['-n', 'true'])).code === 0 ? ['sudo', '-n'] : null;
}

/** @param {string} what a program's name, or the path of a file */
function isThere(what) {
  if (what.startsWith('/')) return existsSync(what);
  // Servers lie in sbin, which is not on everybody's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];
  return folders.some((folder) => isExecutable(join(folder, what)));
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
