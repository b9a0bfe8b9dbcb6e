import { unlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { BackupError, isBackupError } from '../../errors/backup-error.ts';
import { isTransient, type ErrorCode } from '../../errors/catalogue.ts';
import type { EngineEvent, EngineProcess, TransferOutcome, TransferProgress } from '../port.ts';
import type { Sides } from './error-classes.ts';
import { EventQueue } from './event-queue.ts';
import { writeFileList, type RcloneBinary } from './process.ts';
import type { Remote } from './remotes.ts';
import { startTransfer, type TransferCall } from './transfer.ts';

export interface CopyRequest {
  readonly binary: RcloneBinary;
  readonly source: Remote;
  readonly destination: Remote;
  readonly sides: Sides;
  /** Path of the folder below the destination's root. */
  readonly targetPath: string;
  /** A function is asked for the paths when they are needed. */
  readonly paths: readonly string[] | 'all' | (() => Promise<readonly string[]>);
  readonly bytesTotal?: number;
  /** Flags of every call, without those that choose files. */
  readonly flags: readonly string[];
  /** Flags of a call that copies everything. */
  readonly allFlags: readonly string[];
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly statsSeconds: number;
  readonly bandwidth: number;
}

type Failures = Map<string, { code: ErrorCode; message: string }>;

/**
 * Files of one call. rclone looks up every file of a list before it copies the first, and keeps what it learnt: so many take a few
 * seconds and some tens of megabytes.
 */
const FILES_A_CALL = 20_000;
/** Files that failed for a passing reason are tried once more, if they are no more than this. */
const SECOND_TRY = 1_000;
const SECOND_TRY_PAUSE_MS = 3_000;
/** The retries of single requests are told each remote (see `transferCommand`): these would go on in the middle of a file. */
const WITHOUT_RESUMING = ['--low-level-retries', '1'];

/** Copies files of the source into a folder of the destination: in calls of bounded size, which look like one. */
export function startCopy(request: CopyRequest): EngineProcess {
  return new Copy(request);
}

class Copy implements EngineProcess {
  readonly events = new EventQueue<EngineEvent>();
  readonly done: Promise<TransferOutcome>;
  readonly #request: CopyRequest;
  readonly #failed: Failures = new Map();
  #bandwidth: number;
  #current: EngineProcess | null = null;
  #stopped = false;
  #filesTotal = 0;
  /** Of the calls that are over. */
  #before = { bytes: 0, files: 0, errors: 0 };

  constructor(request: CopyRequest) {
    this.#request = request;
    this.#bandwidth = request.bandwidth;
    this.done = this.#run().finally(() => this.events.end());
  }

  async setBandwidth(bytesPerSecond: number): Promise<void> {
    this.#bandwidth = bytesPerSecond;
    await this.#current?.setBandwidth(bytesPerSecond);
  }

  async stop(options?: { graceMs?: number }): Promise<void> {
    this.#stopped = true;
    await this.#current?.stop(options);
  }

  async #run(): Promise<TransferOutcome> {
    const outcome = await this.#copy();
    for (const [path, { code, message }] of this.#failed)
      this.events.push({ type: 'file_failed', path, code, message });
    return { ...outcome, failed: this.#failed, stopped: this.#stopped || outcome.stopped };
  }

  async #copy(): Promise<TransferOutcome> {
    const { paths, signal } = this.#request;
    if (paths === 'all') return await this.#copyAll();
    if (typeof paths !== 'function') return await this.#copyInParts(paths);
    try {
      return await this.#copyInParts(await paths());
    } catch (error) {
      if (signal.aborted) return stoppedEarly();
      const fatal = isBackupError(error) ? error : new BackupError('ERR_SOURCE_LISTING');
      return { ...stoppedEarly(), fatal: { code: fatal.code, message: fatal.message }, stopped: false };
    }
  }

  async #copyAll(): Promise<TransferOutcome> {
    const outcome = await this.#call(this.#request.allFlags, undefined);
    for (const [path, failure] of outcome.failed) this.#failed.set(path, failure);
    if (isOver(outcome)) return outcome;
    return (await this.#tryAgain()) ?? outcome;
  }

  async #copyInParts(paths: readonly string[]): Promise<TransferOutcome> {
    this.#filesTotal = paths.length;
    let outcome: TransferOutcome = { failed: this.#failed, fatal: null, exitCode: 0, stopped: false };
    for (let start = 0; start < paths.length; start += FILES_A_CALL) {
      outcome = await this.#copyListed(paths.slice(start, start + FILES_A_CALL));
      for (const [path, failure] of outcome.failed) this.#failed.set(path, failure);
      if (isOver(outcome)) return outcome;
    }
    return (await this.#tryAgain()) ?? outcome;
  }

  /** A connection that broke for a moment must not leave gaps in a backup. Null: there was nothing to try. */
  async #tryAgain(): Promise<TransferOutcome | null> {
    const again = [...this.#failed].flatMap(([path, { code }]) => (isTransient(code) ? [path] : []));
    if (again.length === 0 || again.length > SECOND_TRY) return null;
    await delay(SECOND_TRY_PAUSE_MS, undefined, { signal: this.#request.signal }).catch(() => undefined);
    const outcome = await this.#copyListed(again);
    if (outcome.stopped || this.#stopped) return outcome;
    for (const path of again) this.#failed.delete(path);
    for (const [path, failure] of outcome.failed) this.#failed.set(path, failure);
    // The first round did its work: what the second one says of the whole is said of these files.
    if (outcome.fatal === null || outcome.fatal.code === 'ERR_RCLONE_KILLED') return outcome;
    for (const path of again) if (!this.#failed.has(path)) this.#failed.set(path, outcome.fatal);
    return { ...outcome, fatal: null };
  }

  async #copyListed(paths: readonly string[]): Promise<TransferOutcome> {
    const list = await writeFileList(this.#request.folder, paths);
    const selection = ['--files-from-raw', list.file, '--no-traverse'];
    try {
      const outcome = await this.#call(selection, paths);
      if (!this.#brokeOff(outcome, paths)) return outcome;
      await delay(SECOND_TRY_PAUSE_MS, undefined, { signal: this.#request.signal }).catch(() => undefined);
      return await this.#call(selection, paths);
    } finally {
      await unlink(list.file).catch(() => undefined);
    }
  }

  /** All of a few files failed, and of a source whose files are not resumed that may be one break of each. */
  #brokeOff({ fatal, failed }: TransferOutcome, paths: readonly string[]): boolean {
    const { source } = this.#request;
    if (source.resumes !== false || fatal === null || paths.length > SECOND_TRY) return false;
    return isTransient(fatal.code) && failed.size >= paths.length;
  }

  async #call(selection: readonly string[], paths: readonly string[] | undefined): Promise<TransferOutcome> {
    const { binary, source, destination, sides, targetPath, flags, folder, signal, statsSeconds } = this.#request;
    if (this.#stopped || signal.aborted) return stoppedEarly();
    const call: TransferCall = {
      ...{ binary, sides, folder, signal, statsSeconds },
      args: copyArguments({ source, destination, targetPath, flags, selection }),
      remotes: [source, destination],
      bandwidth: this.#bandwidth,
      ...(paths === undefined ? {} : { paths }),
    };
    const process = startTransfer(call);
    this.#current = process;
    let last = { bytes: 0, files: 0, errors: 0 };
    for await (const event of process.events) {
      if (event.type !== 'progress') continue;
      last = event.progress;
      this.events.push({ type: 'progress', progress: this.#overall(event.progress) });
    }
    const outcome = await process.done;
    this.#current = null;
    this.#before = {
      bytes: this.#before.bytes + last.bytes,
      files: this.#before.files + last.files,
      errors: this.#before.errors + last.errors,
    };
    return outcome;
  }

  #overall(now: TransferProgress): TransferProgress {
    const { bytesTotal = 0 } = this.#request;
    const bytes = this.#before.bytes + now.bytes;
    const total = Math.max(this.#before.bytes + now.bytesTotal, bytesTotal);
    return {
      ...now,
      bytes,
      bytesTotal: total,
      files: this.#before.files + now.files,
      filesTotal: Math.max(this.#before.files + now.filesTotal, this.#filesTotal),
      errors: this.#before.errors + now.errors,
      etaSeconds: now.speed > 0 ? Math.round((total - bytes) / now.speed) : now.etaSeconds,
    };
  }
}

export function copyArguments(options: {
  source: Remote;
  destination: Remote;
  targetPath: string;
  flags: readonly string[];
  selection: readonly string[];
}): string[] {
  const { source, destination, targetPath, flags, selection } = options;
  const once = source.resumes === false ? WITHOUT_RESUMING : [];
  return ['copy', source.at(''), destination.at(targetPath), ...selection, ...flags, ...once];
}

function stoppedEarly(): TransferOutcome {
  return { failed: new Map(), fatal: null, exitCode: null, stopped: true };
}

/** Nothing more should be started. */
function isOver(outcome: TransferOutcome): boolean {
  return outcome.fatal !== null || outcome.stopped;
}
