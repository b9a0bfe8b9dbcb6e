import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { BackupError } from '../errors/backup-error.ts';
import { HEARTBEAT_FD, leashed, LEASH_LET_GO, requireLeash } from './leash.ts';
import { killGroup, killLeftover, recordOf, type ProcessRecord } from './process-record.ts';

export interface ChildCommand {
  readonly program: string;
  /** Everybody on the machine can read these: never a secret. */
  readonly args: readonly string[];
  /** All that the child gets beside a few harmless variables of ours (`PATH`, proxies, certificates …). */
  readonly env: Readonly<Record<string, string>>;
  /** Private folder of the run: working directory, `HOME` and temporary files of the child, and where its record lies. */
  readonly folder: string;
  /** The child dies when this process is silent for so long. */
  readonly silenceMs: number;
  /** Aborted: the child is killed at once, and no heartbeat is sent any more. */
  readonly signal?: AbortSignal;
}

export interface ChildEnd {
  /** The program's; null when it did not end by itself. */
  readonly exitCode: number | null;
  /**
   * `exit` by itself; `signal` by a signal that came from outside; `stopped` because `terminate`, `kill` or the signal of the
   * command asked for it; `leash` because this process was silent for too long; `start` it could not be started.
   */
  readonly reason: 'exit' | 'signal' | 'stopped' | 'leash' | 'start';
}

/** A program that lives no longer than its supervisor. */
export interface SupervisedChild {
  readonly record: ProcessRecord | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Never rejects. Settles when the process has ended; what it wrote may still wait in the streams. */
  readonly ended: Promise<ChildEnd>;
  /** SIGTERM. */
  terminate(): void;
  /** SIGKILL, to the whole group. */
  kill(): void;
}

/** Heartbeats that may get lost in a busy moment before the leash acts. */
const BEATS_PER_SILENCE = 5;
const RECORD_NAME = /^child-\d+\.json$/;
const Record = z.object({ pid: z.number().int().positive(), startedAtTicks: z.string().min(1) });

/**
 * Starts a program on a leash, in a process group of its own (Ctrl-C in a terminal reaches the supervisor only), with a scrubbed
 * environment, and notes it in its folder for `endLeftChildren`.
 * @throws BackupError `ERR_TOOL_MISSING` when there is nothing to make a leash of; the signal's reason when it is aborted already.
 */
export function startChild(command: ChildCommand): SupervisedChild {
  command.signal?.throwIfAborted();
  requireLeash();
  const { file, args } = leashed(command.silenceMs, [command.program, ...command.args]);
  const child = spawn(file, args, {
    cwd: command.folder,
    env: { ...harmlessEnvironment(), HOME: command.folder, TMPDIR: command.folder, TZ: 'UTC', ...command.env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const heartbeat = child.stdio[HEARTBEAT_FD] as Writable;
  const { pid } = child;
  const record = pid === undefined ? null : recordOf(pid);
  const recordFile = record === null ? null : writeRecord(command.folder, record);

  let stopped = false;
  const signalGroup = (signal: 'SIGTERM' | 'SIGKILL'): void => {
    if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    stopped = true;
    if (signal === 'SIGKILL') killGroup(pid);
    else child.kill(signal);
  };
  const kill = (): void => signalGroup('SIGKILL');

  heartbeat.on('error', () => {}); // The leash is gone: its end is reported by `ended`.
  const timer = setInterval(() => heartbeat.write('\n'), command.silenceMs / BEATS_PER_SILENCE);
  command.signal?.addEventListener('abort', kill, { once: true });

  const ended = new Promise<ChildEnd>((resolve) => {
    const settle = (end: ChildEnd): void => {
      clearInterval(timer);
      heartbeat.destroy();
      command.signal?.removeEventListener('abort', kill);
      if (recordFile !== null) rmSync(recordFile, { force: true });
      resolve(end);
    };
    child.on('error', () => settle({ exitCode: null, reason: 'start' }));
    child.once('exit', (code, signal) => settle(endOf(code, signal, stopped)));
  });
  return {
    record,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    ended,
    terminate: () => signalGroup('SIGTERM'),
    kill,
  };
}

/** Kills what a supervisor that is dead left running, by the records in the run's folder. */
export async function endLeftChildren(folder: string): Promise<void> {
  for (const name of readdirSync(folder).filter((entry) => RECORD_NAME.test(entry))) {
    const path = join(folder, name);
    const record = readRecord(path);
    if (record !== null && !(await killLeftover(record))) {
      throw new BackupError('ERR_INTERNAL', `Process ${record.pid}, left by an earlier worker, does not end.`);
    }
    rmSync(path, { force: true });
  }
}

function endOf(code: number | null, signal: NodeJS.Signals | null, stopped: boolean): ChildEnd {
  if (stopped) return { exitCode: code, reason: 'stopped' };
  if (code === LEASH_LET_GO) return { exitCode: null, reason: 'leash' };
  // 127 and 126: setpriv found no program, or could not run it.
  if (code === 127 || code === 126) return { exitCode: null, reason: 'start' };
  if (signal !== null || code === null || code > 128) return { exitCode: code, reason: 'signal' };
  return { exitCode: code, reason: 'exit' };
}

/** An allow list: RCLONE_*, KOPIA_*, AWS_* and whatever else lies in our environment must not act on the child. */
function harmlessEnvironment(): Record<string, string> {
  const names = ['PATH', 'LANG', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
  const kept: Record<string, string> = {};
  for (const name of [...names, ...names.map((upper) => upper.toLowerCase())]) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

function writeRecord(folder: string, record: ProcessRecord): string {
  const path = join(folder, `child-${record.pid}.json`);
  writeFileSync(path, JSON.stringify(record), { mode: 0o600 });
  return path;
}

function readRecord(path: string): ProcessRecord | null {
  try {
    return Record.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    // Cut off while it was written: the leash has ended the child, for its supervisor died in that moment.
    return null;
  }
}
