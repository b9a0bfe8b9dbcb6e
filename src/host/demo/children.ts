import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { redact } from '../../security/redact.ts';

/** A program that the demo started and will end. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves when it has ended, with a sentence about how. Never rejects. */
  readonly ended: Promise<string>;
  readonly running: boolean;
  /** Last lines of what it said, fit to be shown. */
  tail(): string;
  /** SIGTERM, and SIGKILL when it is still there after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

export interface ChildCommand {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Takes stdout and stderr. */
  readonly logFile: string;
}

/**
 * Starts a program in a process group of its own, so that Ctrl-C in the terminal reaches this process alone and everything ends in
 * order.
 */
export function startChild(command: ChildCommand): Child {
  const log = openSync(command.logFile, 'a', 0o600);
  const child = spawn(command.program, command.args, {
    env: { ...command.env },
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const state: { how: string | null } = { how: null };
  const ended = new Promise<string>((resolve) => {
    const settle = (how: string): void => {
      state.how ??= how;
      resolve(state.how);
    };
    child.once('error', (error) => settle(`could not be started (${error.message})`));
    child.once('exit', (code, signal) =>
      settle(signal === null ? `ended with code ${code}` : `was ended by ${signal}`),
    );
  });
  return {
    name: command.name,
    pid: child.pid ?? 0,
    ended,
    get running() {
      return state.how === null;
    },
    tail: () => redact(readFileSync(command.logFile, 'utf8').trimEnd().split('\n').slice(-3).join(' ')),
    stop: (graceMs = 10_000) => stopChild(child, ended, graceMs),
  };
}

async function stopChild(child: ChildProcess, ended: Promise<string>, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}

/** What a child gets of our environment: where programs, home and temporary files are, and no secret of anybody. */
export function plainEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'E3_CLOUDBACKUP_TOOLS_DIR'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
