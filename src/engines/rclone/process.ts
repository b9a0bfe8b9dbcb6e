import { BackupError } from '../../errors/backup-error.ts';
import type { ErrorCode } from '../../errors/catalogue.ts';
import { redact } from '../../security/redact.ts';
import { LEASH_LET_GO } from '../leash.ts';
import { startLeashed, type LeashedChild } from './leashed.ts';
import { classify } from './error-classes.ts';
import { linesOf, readLogLine, type LogLine } from './log.ts';
import type { Remote } from './remotes.ts';

export interface RcloneBinary {
  readonly path: string;
  readonly version: string;
}

/** Flags that every call has. No configuration file, no password prompt, one line of JSON per message. */
const COMMON = [
  '--config',
  '',
  '--ask-password=false',
  '--use-json-log',
  '--no-unicode-normalization',
  '--retries',
  '1',
];

/** A call of rclone: credentials go by environment only. */
export interface RcloneCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export function rcloneCommand(
  args: readonly string[],
  remotes: readonly Remote[],
  extra: Readonly<Record<string, string>> = {},
): RcloneCommand {
  const env: Record<string, string> = { TZ: 'UTC', ...extra };
  for (const remote of remotes) Object.assign(env, remote.env);
  return { args: [...args, ...COMMON], env };
}

/** Starts rclone on a leash. */
export function startRclone(
  binary: RcloneBinary,
  args: readonly string[],
  remotes: readonly Remote[],
  options: { cwd: string; env?: Readonly<Record<string, string>> },
): LeashedChild {
  const command = rcloneCommand(args, remotes, options.env);
  return startLeashed(binary.path, command.args, { env: command.env, cwd: options.cwd });
}

/** What the log of a call said went wrong. */
export class ErrorLog {
  readonly #byObject = new Map<string, { code: ErrorCode; message: string }>();
  #last: { code: ErrorCode; message: string } | null = null;
  #first: { code: ErrorCode; message: string } | null = null;

  /** Takes errors that name an object by the object, others as the call's own. */
  take(line: LogLine): { path: string; code: ErrorCode; message: string } | null {
    if (!['error', 'critical', 'alert', 'emergency'].includes(line.level) && !line.message.startsWith('Failed to '))
      return null;
    if (/^Attempt \d+\/\d+ (failed|succeeded)|^Can't retry any|^Fatal error received/.test(line.message)) return null;
    const found = { code: classify(line.message), message: redact(line.message) };
    this.#last = found;
    if (found.code !== 'ERR_TRANSFER') this.#first ??= found;
    if (line.object === null) return null;
    this.#byObject.set(line.object, found);
    return { path: line.object, ...found };
  }

  get byObject(): ReadonlyMap<string, { code: ErrorCode; message: string }> {
    return this.#byObject;
  }

  /** The most telling error of the call, or null. */
  get worst(): { code: ErrorCode; message: string } | null {
    return this.#first ?? this.#last;
  }
}

/** Why a call ended that was not asked to: null when it did its work. */
export function endOf(
  ended: { code: number | null; signal: NodeJS.Signals | null; error: Error | null },
  errors: ErrorLog,
): { code: ErrorCode; message: string } | null {
  if (ended.error !== null) return { code: 'ERR_RCLONE_START', message: 'The transfer program could not be started.' };
  if (ended.code === 0) return null;
  // 128 + signal: somebody ended rclone itself; a signal: somebody ended the leash, and rclone with it.
  if (
    ended.signal !== null ||
    ended.code === 137 ||
    ended.code === 143 ||
    ended.code === 130 ||
    ended.code === LEASH_LET_GO
  ) {
    return { code: 'ERR_RCLONE_KILLED', message: 'The transfer program was ended from outside.' };
  }
  if (ended.code === 127 || ended.code === 126)
    return { code: 'ERR_RCLONE_START', message: 'The transfer program could not be started.' };
  return (
    errors.worst ?? {
      code: ended.code === 3 || ended.code === 4 ? 'ERR_SOURCE_NOT_FOUND' : 'ERR_TRANSFER',
      message: `The transfer program ended with code ${ended.code}.`,
    }
  );
}

/** Reads a log to its end, handing over each line. */
export async function readLog(child: LeashedChild, take: (line: LogLine) => void): Promise<void> {
  for await (const text of linesOf(child.stderr)) {
    const line = readLogLine(text);
    if (line !== null) take(line);
  }
}

/** The error of a whole call, as what is thrown. */
export function callError(reason: { code: ErrorCode; message: string }): BackupError {
  return new BackupError(reason.code, undefined, { cause: new Error(reason.message) });
}
