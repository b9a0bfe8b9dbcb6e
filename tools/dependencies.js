import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './place.js';
import { diskFull, errorLine, run, say, saysDiskFull, ToolError } from './terminal.js';

const modules = join(root, 'node_modules');
/** Installs the packages of the lock, unless just these are installed. Writes neither package.json nor the lock. */
export async function installDependencies() {
  if (areInstalled()) return;
  say('Installing dependencies with npm (about 40 s the first time)');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // `npm ci` refuses a lock that lacks the optional packages of other platforms; `install` takes the same versions from it.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--include=dev', '--loglevel=error'];
  const { code, output, missing } = await run(npm, args, { cwd: root, doing: 'installing' });
  if (missing) throw new ToolError('ERR_TOOL_MISSING', 'npm is missing. Install Node with npm, then run this again.');
  if (saysDiskFull(output)) throw diskFull(root);
  if (/EACCES|EROFS/.test(output)) {
    throw new ToolError('ERR_DATA_DIR', `The folder ${root} cannot be written. Run this as the user who owns it.`);
  }
  if (code !== 0) {
    throw new ToolError(
      'ERR_TOOL_MISSING',
      `npm could not install the dependencies (${errorLine(output)}). Check the network and npm's registry, then run this again.`,
    );
  }
}

/** Compares the lock with the record that npm itself keeps. Times of files say nothing after a checkout. */
function areInstalled() {
  const manifest = read('package.json');
  const lock = read('package-lock.json');
  const installed = read('node_modules/.package-lock.json');
  if (!manifest || !lock || !installed) return false;
  const { '': top, ...wanted } = lock.packages;
  for (const kind of ['dependencies', 'devDependencies']) {
    if (JSON.stringify(top[kind]) !== JSON.stringify(manifest[kind])) return false;
  }
  return Object.entries(wanted).every(([path, { version, optional, devOptional, peer }]) => {
    const present = installed.packages[path];
    // Optional packages are there or not, as the platform is; peers likewise, as npm decides.
    return present ? present.version === version : Boolean(optional || devOptional || peer);
  });
}

/**
 * @param {string} path
 * @returns {any} null when there is no such file
 */
function read(path) {
  return existsSync(join(root, path)) ? JSON.parse(readFileSync(join(root, path), 'utf8')) : null;
}

/**
 * The Node that runs TypeScript: the one that the package `node` brings, whatever started this. Call it after
 * `installDependencies`.
 */
export async function findNode() {
  const own = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
  for (const node of [own, process.execPath]) {
    const { code, output } = await run(node, ['--version']);
    const major = Number(/^v(\d+)\./.exec(output)?.[1]);
    if (code === 0 && major >= 24) return node;
  }
  throw new ToolError(
    'ERR_TOOL_MISSING',
    'Node 24 is missing: npm did not run the install script of the package "node". Run "npm rebuild node --ignore-scripts=false", or start this with Node 24.',
  );
}
