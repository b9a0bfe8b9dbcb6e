import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './place.js';
import { diskFull, errorLine, explained, run, say, saysDiskFull, ToolError } from './terminal.js';

const modules = join(root, 'node_modules');
// Says for which lock the packages were installed. Times of files say nothing after a checkout.
const stamp = join(modules, '.e3-installed');

/** Installs the packages of the lock, unless just these are installed. Writes neither package.json nor the lock. */
export async function installDependencies() {
  const wanted = digest();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
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
  try {
    mkdirSync(modules, { recursive: true });
    writeFileSync(stamp, wanted);
  } catch (error) {
    throw explained(error, modules);
  }
}

function digest() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const hash = createHash('sha256').update(JSON.stringify({ dependencies, devDependencies }));
  const lock = join(root, 'package-lock.json');
  if (existsSync(lock)) hash.update(readFileSync(lock));
  return `${hash.digest('hex')}\n`;
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
