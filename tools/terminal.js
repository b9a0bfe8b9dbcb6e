import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

/** One clear sentence for the operator, with a code of src/errors/codes/setup.ts. */
export class ToolError extends Error {
  /**
   * @param {'ERR_TOOL_MISSING' | 'ERR_TOOL_WRONG' | 'ERR_DISK_FULL' | 'ERR_DATA_DIR' | 'ERR_USAGE'} code
   * @param {string} sentence
   */
  constructor(code, sentence) {
    super(sentence);
    this.code = code;
  }
}

/**
 * Progress goes to stderr: stdout belongs to the result.
 *
 * @param {string} line
 */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const living = new Set();

/** A signal ends our children too; without children, signals act as usual. */
const handlers = {
  SIGINT: () => endWithChildren('SIGINT', 130),
  SIGTERM: () => endWithChildren('SIGTERM', 143),
};

/**
 * @param {NodeJS.Signals} signal
 * @param {number} exitCode
 */
function endWithChildren(signal, exitCode) {
  for (const child of living) child.kill(signal);
  process.exit(exitCode);
}

/** @param {import('node:child_process').ChildProcess} child */
function began(child) {
  if (living.size === 0) for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  living.add(child);
}

/** @param {import('node:child_process').ChildProcess} child */
function ended(child) {
  living.delete(child);
  if (living.size === 0) for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
}

/** @typedef {{ code: number, output: string, missing: boolean }} Ended */

/**
 * Runs a program to its end and keeps the last 64 KiB of what it printed. Says every ten seconds that it still works.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, doing?: string, show?: boolean }} [options] `show` passes its output on
 * @returns {Promise<Ended>} `missing` when there is no such program
 */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const started = Date.now();
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    began(child);
    let output = '';
    const keep = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk.toString('utf8')).slice(-65536);
      if (options.show) process.stderr.write(chunk);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const beat = setInterval(() => {
      if (options.doing) say(`  … ${options.doing}, ${Math.round((Date.now() - started) / 1000)} s`);
    }, 10_000);
    child.once('error', (error) => {
      clearInterval(beat);
      ended(child);
      const missing = 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
      if (missing) resolve({ code: 127, output: error.message, missing: true });
      else reject(error);
    });
    child.once('close', (code, signal) => {
      clearInterval(beat);
      ended(child);
      resolve({ code: code ?? (signal === null ? 1 : 128), output, missing: false });
    });
  });
}

/**
 * Prints an error as one sentence and returns the exit code.
 *
 * @param {string} name of the executable
 * @param {unknown} error
 */
export function report(name, error) {
  const known = explained(error, error instanceof Error && 'path' in error ? String(error.path) : process.cwd());
  const code = known instanceof ToolError ? known.code : 'ERR_INTERNAL';
  say(`${name}: ${known instanceof Error ? known.message : String(known)} [${code}]`);
  if (process.env['DEBUG'] && error instanceof Error) say(String(error.stack));
  return code === 'ERR_USAGE' ? 2 : 1;
}

/**
 * Says what a system error means for the person at the terminal; any other error stays as it is.
 *
 * @param {unknown} error
 * @param {string} folder that was being written
 */
export function explained(error, folder) {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(folder);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new ToolError('ERR_DATA_DIR', `${folder} cannot be written. Run this as the user who owns it.`);
  }
  return error;
}

/** @param {string} folder */
export function diskFull(folder) {
  return new ToolError('ERR_DISK_FULL', `The disk of ${folder} is full. Free some 500 MB there, then start again.`);
}

/** @param {string} output of a child */
export function saysDiskFull(output) {
  return /no space left on device|ENOSPC|disk quota exceeded/i.test(output);
}

/**
 * The line of a child's output that tells what went wrong.
 *
 * @param {string} output
 */
export function errorLine(output) {
  const lines = stripVTControlCharacters(output)
    .split('\n')
    .map((line) => line.replace(/^[\s│]+|\s+$/g, ''))
    .filter((line) => /[a-z]/i.test(line) && !/^error:$/i.test(line));
  const telling = lines.filter((line) => /^"?(npm )?(error|err!|fatal|go:|e:)/i.test(line));
  const line = telling.at(-1) ?? lines.at(-1) ?? 'it said nothing';
  // `go … -json` puts a whole text into one JSON string: its first line says enough.
  const first = line.replace(/^"Error": "/, '').split('\\n', 1)[0] ?? '';
  return first.replace(/[\s.,"]+$/, '').slice(0, 300);
}
