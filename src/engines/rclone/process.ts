import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { BackupError } from '../../errors/backup-error.ts';
import type { ErrorCode } from '../../errors/catalogue.ts';
import { rcloneNameOfPath } from '../../layout/encoding.ts';
import { startChild, type SupervisedChild } from '../child.ts';
import type { Remote } from './remotes.ts';

export interface RcloneBinary {
  readonly path: string;
  readonly version: string;
}

/** A call of rclone: credentials go by environment only. */
export interface RcloneCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export const REQUEST_RETRIES = '5';

/**
 * Flags that every call has. No configuration file, no password prompt, one line of JSON per message.
 *
 * Retries of one request are nested: rclone's own around those of the S3 library. Ten, the default, make an hour of a server that is
 * gone; five make a minute, and a run that fails is tried again by itself. Silence is borne for two minutes: some stores need long to
 * put a large upload together.
 */
const COMMON = [
  ...['--ask-password=false', '--use-json-log', '--log-level', 'NOTICE'],
  ...['--no-unicode-normalization', '--retries', '1', '--low-level-retries', REQUEST_RETRIES],
  ...['--contimeout', '20s', '--timeout', '2m'],
];

/** The child dies when this process is silent for so long: well before its lease can be taken over. */
const SILENCE_MS = 30_000;

/** @param args flags in them win over the common ones */
export function rcloneCommand(
  args: readonly string[],
  remotes: readonly Remote[],
  extra: Readonly<Record<string, string>> = {},
): RcloneCommand {
  const env: Record<string, string> = { ...extra };
  for (const remote of remotes) Object.assign(env, remote.env);
  const [verb = 'version', ...rest] = args;
  return { args: [verb, '--config', '', ...COMMON, ...rest], env };
}

export interface CallOptions {
  /** Private folder of the run. */
  readonly folder: string;
  /** Aborted: killed at once. */
  readonly signal?: AbortSignal;
}

/** Starts rclone on a leash. */
export function startRclone(binary: RcloneBinary, command: RcloneCommand, options: CallOptions): SupervisedChild {
  return startChild({
    program: binary.path,
    args: command.args,
    env: command.env,
    folder: options.folder,
    silenceMs: SILENCE_MS,
    ...(options.signal ? { signal: options.signal } : {}),
  });
}

/** SIGTERM, and SIGKILL when it is still there after `graceMs`. Resolves when it has ended. */
export async function stopChild(child: SupervisedChild, graceMs: number): Promise<void> {
  child.terminate();
  const timer = setTimeout(() => child.kill(), graceMs);
  await child.ended;
  clearTimeout(timer);
}

/** The error of a whole call, as what is thrown. */
export function callError(reason: { code: ErrorCode; message: string }): BackupError {
  return new BackupError(reason.code, undefined, { cause: new Error(reason.message) });
}

export interface FileList {
  readonly file: string;
  readonly count: number;
}

/**
 * Writes a list for `--files-from-raw`: rclone's own names of the paths, as bytes. Control characters are replaced in them, so each
 * name fits a line whatever the file is called.
 */
export async function writeFileList(
  folder: string,
  paths: Iterable<string> | AsyncIterable<string>,
): Promise<FileList> {
  const file = join(folder, `files-${randomUUID()}`);
  const stream = createWriteStream(file, { mode: 0o600 });
  const failed = once(stream, 'error').then(([error]) => Promise.reject(diskError(error as NodeJS.ErrnoException)));
  const written = (async () => {
    let count = 0;
    let parts: Buffer[] = [];
    for await (const path of paths) {
      parts.push(rcloneNameOfPath(path), NEWLINE);
      count += 1;
      if (parts.length < 2_000) continue;
      if (!stream.write(Buffer.concat(parts))) await once(stream, 'drain');
      parts = [];
    }
    stream.end(Buffer.concat(parts));
    await once(stream, 'close');
    return { file, count };
  })();
  return await Promise.race([written, failed]);
}

const NEWLINE = Buffer.from('\n');

function diskError(error: NodeJS.ErrnoException): Error {
  const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return isFull ? new BackupError('ERR_DISK_FULL', undefined, { cause: error }) : error;
}
