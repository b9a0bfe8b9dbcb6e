import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCss } from './css.js';
import { findNode, installDependencies } from './dependencies.js';
import { root } from './place.js';
import { installRclone } from './rclone.js';
import { installWeed } from './seaweedfs.js';
import { installSystemPackages } from './system.js';
import { report } from './terminal.js';

/**
 * `npm test`: brings everything that the tests need, runs them, and closes with `N passed, N failed`. Further arguments go
 * to jest.
 */
async function main() {
  await installDependencies();
  await installSystemPackages();
  await installRclone();
  await installWeed();
  await buildCss();

  const folder = mkdtempSync(join(tmpdir(), 'e3-test-'));
  const summary = join(folder, 'summary.json');
  try {
    const code = await jest(await findNode(), summary);
    const { passed, failed } = existsSync(summary)
      ? JSON.parse(readFileSync(summary, 'utf8'))
      : { passed: 0, failed: code === 0 ? 0 : 1 };
    process.stdout.write(`${passed} passed, ${failed} failed\n`);
    return code === 0 && failed > 0 ? 1 : code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} node
 * @param {string} summary file for the counts: what jest's own processes print last cannot be foreseen
 * @returns {Promise<number>} the exit code
 */
function jest(node, summary) {
  const child = spawn(node, [join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
      E3_TEST_SUMMARY: summary,
    },
  });
  // Ctrl-C reaches jest by itself; this process waits for its end.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
  });
}

process.exitCode = await main().catch((error) => report('test', error));
