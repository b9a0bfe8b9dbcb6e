import { existsSync, readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { BackupError } from '../errors/backup-error.ts';

/** Programs that this package brings itself, in pinned versions. `weed` (SeaweedFS) is there for tests only. */
export type ToolName = 'rclone' | 'kopia' | 'weed';

export interface ToolVersion {
  readonly name: ToolName;
  /** The pinned version; no other one is ever put in place. */
  readonly version: string;
  readonly installed: boolean;
}

const Versions = z.record(z.enum(['rclone', 'kopia', 'weed']), z.looseObject({ version: z.string() }));
const Manifest = z.looseObject({ version: z.string() });

/**
 * Absolute path of a tool. What lies on PATH is never used. Tools are looked for below the package, or in the folder that
 * `E3_CLOUDBACKUP_TOOLS_DIR` names. Throws `ERR_TOOL_MISSING` with the command that brings the tool.
 */
export function toolPath(name: ToolName): string {
  const path = placeOf(name);
  if (existsSync(path)) return path;
  const command = basename(dirname(packageRoot())) === 'node_modules' ? 'npx e3-cloudbackup-tools' : 'npm run tools --';
  throw new BackupError('ERR_TOOL_MISSING', `${name} ${pinned(name)} is not installed. Run "${command} ${name}".`);
}

/** The pinned versions, and whether each tool is in place. */
export function toolVersions(names: readonly ToolName[] = ['rclone', 'kopia']): ToolVersion[] {
  return names.map((name) => ({ name, version: pinned(name), installed: existsSync(placeOf(name)) }));
}

/** Version of this package. */
export function packageVersion(): string {
  return Manifest.parse(readJson('package.json')).version;
}

/** Folder that holds package.json, views/, public/ and tools/: the same for the sources and for dist/. */
export function packageRoot(): string {
  const manifest = findPackageJSON(import.meta.url);
  if (manifest === undefined) throw new Error('package.json of e3-cloudbackup is missing');
  return dirname(manifest);
}

// The same rule as in tools/place.js, which runs before this file can be loaded.
function placeOf(name: ToolName): string {
  const folder = process.env['E3_CLOUDBACKUP_TOOLS_DIR'] || join(packageRoot(), 'node_modules', '.tools');
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return join(folder, `${name}-${pinned(name)}-${process.platform}-${process.arch}`, name + suffix);
}

function pinned(name: ToolName): string {
  return Versions.parse(readJson(join('tools', 'versions.json')))[name].version;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(packageRoot(), path), 'utf8'));
}
