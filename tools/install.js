import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isHere, pins, placeOf, toolsFolder } from './place.js';
import { explained, run, say, ToolError } from './terminal.js';

/** @typedef {import('./place.js').ToolName} ToolName */
/** @typedef {import('./place.js').Target} Target */

/**
 * Brings one tool to its place unless it is there already, and returns the path of its binary. The tool is made in a folder
 * beside the place and appears there by one rename, so that an interrupted or a second, simultaneous start never leaves or
 * sees half a tool.
 *
 * @param {ToolName} name
 * @param {Target} target
 * @param {(temporary: string) => Promise<string>} make makes the binary inside the given folder and returns its path
 * @returns {Promise<string>}
 */
export async function install(name, target, make) {
  const place = placeOf(name, target);
  const title = `${name} ${pins[name].version}${isHere(target) ? '' : ` for ${target.platform}-${target.arch}`}`;
  try {
    if (await isIntact(name, target)) return place.binary;
    const started = Date.now();
    await mkdir(toolsFolder(), { recursive: true });
    await removeLeftovers();
    const temporary = await mkdtemp(join(toolsFolder(), `.partial-${process.pid}-`));
    try {
      const made = await make(temporary);
      await chmod(made, 0o755);
      if (isHere(target)) await checkVersion(name, made);
      await putInPlace(name, target, made, temporary);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    say(`${title} is ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return place.binary;
  } catch (error) {
    throw explained(error, toolsFolder());
  }
}

/**
 * The stamp beside the binary tells what was put there. Size and time of change are compared at every start; the hash, a
 * quarter of a second for each tool, only when they differ.
 *
 * @param {ToolName} name
 * @param {Target} target
 */
async function isIntact(name, target) {
  const place = placeOf(name, target);
  try {
    const stamp = JSON.parse(readFileSync(place.stamp, 'utf8'));
    const { size, mtimeMs } = await stat(place.binary);
    if (stamp.pin !== pinDigest(name)) return false;
    if (size === stamp.size && mtimeMs === stamp.mtimeMs) return true;
    if (size === stamp.size && (await sha256(place.binary)) === stamp.sha256) return true;
    say(`${place.binary} was altered: it is fetched anew`);
  } catch {
    // Missing, or a stamp that cannot be read.
  }
  return false;
}

/**
 * @param {ToolName} name
 * @param {Target} target
 * @param {string} made
 * @param {string} temporary
 */
async function putInPlace(name, target, made, temporary) {
  const place = placeOf(name, target);
  const ready = join(temporary, 'ready');
  const binary = join(ready, basename(place.binary));
  await mkdir(ready);
  await rename(made, binary);
  const { size, mtimeMs } = await stat(binary);
  await writeFile(
    join(ready, 'stamp.json'),
    JSON.stringify({ pin: pinDigest(name), size, mtimeMs, sha256: await sha256(binary) }) + '\n',
  );
  await rename(place.folder, join(temporary, 'former')).catch(ignoring('ENOENT'));
  // Whoever was faster has put the same thing there.
  await rename(ready, place.folder).catch(ignoring('ENOTEMPTY', 'EEXIST'));
}

/**
 * @param {ToolName} name
 * @param {string} binary
 */
async function checkVersion(name, binary) {
  const { version, versionArguments } = pins[name];
  const { code, output } = await run(binary, versionArguments);
  const said = output.split('\n', 1)[0]?.trim() ?? '';
  const words = said.split(/[\s,]+/).map((word) => word.replace(/^v/, ''));
  if (code !== 0 || !words.includes(version)) {
    throw new ToolError('ERR_TOOL_WRONG', `${name} ${version} was expected, but what came says "${said}".`);
  }
}

/** Folders of starts that were interrupted. */
async function removeLeftovers() {
  for (const name of readdirSync(toolsFolder())) {
    const pid = /^\.partial-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(join(toolsFolder(), name), { recursive: true, force: true });
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** @param {ToolName} name */
function pinDigest(name) {
  return createHash('sha256').update(JSON.stringify(pins[name])).digest('hex');
}

/** @param {string} path */
export async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** @param {...string} codes */
function ignoring(...codes) {
  return (/** @type {NodeJS.ErrnoException} */ error) => {
    if (!codes.includes(error.code ?? '')) throw error;
  };
}
