import { toolsFolder } from './place.js';
import { diskFull, errorLine, run, saysDiskFull, ToolError } from './terminal.js';

/** @typedef {import('./place.js').Target} Target */

/** True when there is a Go that runs. */
export async function hasGo() {
  return (await run('go', ['version'])).code === 0;
}

const architectures = /** @type {Record<string, string>} */ ({ x64: 'amd64', arm64: 'arm64' });

/**
 * Runs `go` for a target platform. What was downloaded and compiled stays in Go's own caches, so an interrupted build goes on
 * where it stopped. Returns stdout and stderr.
 *
 * @param {string[]} args
 * @param {{ cwd: string, target: Target, what: string, doing: string }} options `what` is named in the error
 */
export async function go(args, { cwd, target, what, doing }) {
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    GOOS: target.platform === 'win32' ? 'windows' : target.platform,
    GOARCH: architectures[target.arch] ?? target.arch,
    GOWORK: 'off',
  };
  const { code, output, missing } = await run('go', args, { cwd, env, doing });
  if (missing)
    throw new ToolError('ERR_TOOL_MISSING', `${what} needs Go. Install Go and put it on PATH, then run this again.`);
  if (code === 0) return output;
  if (saysDiskFull(output)) throw diskFull(`Go's caches or of ${toolsFolder()}`);
  if (/checksum mismatch|SECURITY ERROR/.test(output)) {
    throw new ToolError(
      'ERR_TOOL_WRONG',
      `The Go module of ${what} has another hash than the pinned one, so it was not used.`,
    );
  }
  throw new ToolError(
    'ERR_TOOL_MISSING',
    `${what} could not be built with Go (${errorLine(output)}). Check the network and the version of Go, then run this again.`,
  );
}
