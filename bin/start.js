#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { buildCss } from '../tools/css.js';
import { findNode, installDependencies } from '../tools/dependencies.js';
import { here, pins, placeOf, root } from '../tools/place.js';
import { installRclone } from '../tools/rclone.js';
import { report } from '../tools/terminal.js';

/**
 * `npm start`: runs with Node 20 and nothing installed. Brings the dependencies, rclone and the style sheet, then hands over
 * to start.ts under the Node that the dependencies brought. All it says goes to stderr: the last line of stdout is the
 * result of `--json`.
 */

// The same text as start.ts makes of its options: here it must be there before anything is installed.
const help = `Usage: start [options]

Starts the demo: a small billing portal with e3 Cloud Backup mounted in it, an S3 server, and a worker.

      --port <port>     Port of the portal (default: 3300)
      --data-dir <dir>  Folder for all state (default: .e3)
      --once            Stop after the first backup and its restore
      --json            Print the result as one line of JSON, the last of stdout; with --once
  -h, --help            Show this text
      --version         Show the version, and the versions of the tools

All state lives in the data folder; a second start goes on with it. Ctrl-C stops everything.
With --once, the exit code is 0 only when the backup is a success and its restore equals the source.
`;

function version() {
  const { version: own } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const installed = existsSync(placeOf('rclone', here).binary) ? '' : ' (not installed)';
  return `e3-cloudbackup ${own} (start)\nnode ${process.versions.node}\nrclone ${pins.rclone.version}${installed}\n`;
}

async function main() {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(help);
    return 0;
  }
  if (args.includes('--version')) {
    process.stdout.write(version());
    return 0;
  }
  await installDependencies();
  await installRclone();
  await buildCss();
  return handOver(await findNode(), args);
}

/**
 * @param {string} node
 * @param {string[]} args
 * @returns {Promise<number>} the exit code
 */
function handOver(node, args) {
  const main = join(root, 'bin', 'start.ts');
  // The channel tells the other process when this one dies without a word.
  const child = spawn(node, [main, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
  });
}

process.exitCode = await main().catch((error) => report('start', error));
