#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCss } from '../tools/css.js';
import { findNode, installDependencies } from '../tools/dependencies.js';
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

      --port <port>      Port of the portal (default: 3300)
      --data-dir <dir>   Folder for all state (default: .e3)
      --once             Stop after the first backup and its restore
      --json             Print the result as one line of JSON, the last of stdout
  -h, --help             Show this text
      --version          Show the version, and the versions of the tools
`;

async function main() {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(help);
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
  const main = join(dirname(fileURLToPath(import.meta.url)), 'start.ts');
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
