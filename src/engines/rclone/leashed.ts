import { spawn, type ChildProcess } from 'node:child_process';
import { leashed } from '../leash.ts';
import type { Readable } from 'node:stream';

const BEAT_MS = 1_000;

export interface LeashedChild {
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly pid: number;
  /** Exit code, or the signal that ended the leash itself. Never rejects. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; error: Error | null }>;
  /** Asks the child to end; SIGKILL after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface LeashOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The child is killed after this many seconds without a beat. */
  readonly silenceSeconds?: number;
}

/** Starts a program on a leash. Nothing of our own environment is inherited but PATH, HOME and TMPDIR. */
export function startLeashed(program: string, args: readonly string[], options: LeashOptions): LeashedChild {
  const { file, args: words } = leashed((options.silenceSeconds ?? 30) * 1000, [program, ...args]);
  const child = spawn(file, words, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...inherited(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const beats = child.stdio[3] as NodeJS.WritableStream & { destroy(): void };
  beats.on('error', () => {});
  const timer = setInterval(() => beats.write('\n'), BEAT_MS);
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; error: Error | null }>((resolve) => {
    const finish = (code: number | null, signal: NodeJS.Signals | null, error: Error | null): void => {
      clearInterval(timer);
      beats.destroy();
      resolve({ code, signal, error });
    };
    child.once('error', (error) => finish(null, null, error));
    child.once('close', (code, signal) => finish(code, signal, null));
  });
  return {
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    pid: child.pid ?? 0,
    ended,
    stop: async (graceMs) => await stop(child, ended, graceMs),
  };
}

async function stop(child: ChildProcess, ended: Promise<unknown>, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  // Killing the leash kills the child: it asked to die with its parent.
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}

function inherited(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
