import type { ErrorCode } from '../../errors/catalogue.ts';
import { pathOfRcloneName, rcloneNameOfPath } from '../../layout/encoding.ts';
import { redact } from '../../security/redact.ts';
import type { ChildEnd } from '../child.ts';
import { classify, type Sides } from './error-classes.ts';
import type { LogLine } from './log.ts';

export interface Failure {
  readonly code: ErrorCode;
  /** rclone's words, without secrets and internal addresses. */
  readonly message: string;
  /** Concerns the connection, not one file. */
  readonly whole: boolean;
}

const LEVELS = new Set(['error', 'critical', 'alert', 'emergency']);
/** Summaries of what was told before, and what rclone does about it. */
const SUMMARIES =
  /^(?:Attempt \d+\/\d+ |Can't retry any|Fatal error received|Failed to (?:copy|copyto|sync|lsf|lsjson)(?: with \d+ errors)?:|not deleting )/;
/** What rclone says when a file could not be brought over; other errors that name a file say nothing about whether it arrived. */
const FILE_FAILURES =
  /^(?:Failed to copy|Failed to open|Failed to read|--files-from failed to read file|corrupted on transfer)/;

/** Collects what the log of one call says went wrong: per file, and of the call as a whole. */
export class FailureLog {
  readonly files = new Map<string, Failure>();
  readonly #sides: Sides;
  readonly #garbled: ReadonlyMap<string, readonly string[]>;
  readonly #raw: string[] = [];
  #first: Failure | null = null;
  #last: Failure | null = null;
  #inRow = 0;

  /** @param paths what the call was asked for, so that names whose bytes the log cannot show are recognised. */
  constructor(sides: Sides, paths: readonly string[] = []) {
    this.#sides = sides;
    this.#garbled = garbledNames(paths);
  }

  /** Failures one after the other that concern the connection, without any file that arrived between them. */
  get inRow(): number {
    return this.#inRow;
  }

  /** A file arrived: what failed before was not hopeless. */
  succeeded(): void {
    this.#inRow = 0;
  }

  /** Returns what the line says failed; null: nothing, or what was told before. */
  take(line: LogLine): Failure | null {
    if (line.level === 'raw') {
      if (this.#raw.length < 20) this.#raw.push(line.message);
      return null;
    }
    const summary = SUMMARIES.test(line.message);
    if (!LEVELS.has(line.level) && !summary) return null;
    const failure = { ...classify(line.message, this.#sides), message: redact(line.message) };
    this.#last = failure;
    if (summary && line.object === null) return null;
    if (failure.code !== 'ERR_TRANSFER') this.#first ??= failure;
    if (failure.whole) this.#inRow += 1;
    if (line.object !== null && FILE_FAILURES.test(line.message))
      for (const path of this.#pathsOf(line.object)) this.files.set(path, failure);
    return failure;
  }

  /**
   * Why a call ended that was not asked to; null when it did its work, or when only single files failed.
   * @param files how many it was asked for; when all of them failed for one reason that concerns all, it is the call's.
   */
  verdict(end: ChildEnd, files: number | null): Failure | null {
    if (end.reason === 'start') return { code: 'ERR_RCLONE_START', message: 'It could not be started.', whole: true };
    if (end.reason === 'signal' || end.reason === 'leash')
      return { code: 'ERR_RCLONE_KILLED', message: 'It was ended from outside.', whole: true };
    if (end.exitCode === 0) return null;
    if (this.files.size === 0) return this.#first ?? this.#last ?? this.#unexplained(end.exitCode);
    const [shared, ...others] = new Set([...this.files.values()].map(({ code, whole }) => (whole ? code : null)));
    const all = files !== null && this.files.size >= files;
    if (all && shared && others.length === 0) return [...this.files.values()][0] ?? null;
    return this.#wholeCallFailed(end.exitCode) ? (this.#first ?? this.#last) : null;
  }

  /** The failure that repeats itself, for a call that is stopped because of it. */
  get repeated(): Failure | null {
    return [...this.files.values()].at(-1) ?? this.#last;
  }

  /** 2: wrong usage or a crash; 7: rclone calls the error fatal. */
  #wholeCallFailed(exitCode: number | null): boolean {
    return exitCode === 2 || exitCode === 7;
  }

  #unexplained(exitCode: number | null): Failure {
    const crash = this.#raw.find((line) => /^(?:panic:|fatal error:|Error: )/.test(line)) ?? this.#raw[0];
    const words = crash === undefined ? '' : `: ${redact(crash).slice(0, 500)}`;
    return { code: 'ERR_TRANSFER', message: `It ended with code ${exitCode}${words}`, whole: true };
  }

  #pathsOf(object: string): readonly string[] {
    if (object.includes('\ufffd')) {
      const known = this.#garbled.get(collapse(object));
      if (known !== undefined) return known;
    }
    return [pathOfRcloneName(Buffer.from(object, 'utf8'))];
  }
}

/** rclone's log writes U+FFFD for each byte that is not UTF-8: such names by what the log makes of them. */
function garbledNames(paths: readonly string[]): Map<string, string[]> {
  const garbled = new Map<string, string[]>();
  for (const path of paths) {
    // Escaped bytes are the only reason for a name to be no text, and they are quoted by this character.
    if (!path.includes('‛')) continue;
    const shown = rcloneNameOfPath(path).toString('utf8');
    if (!shown.includes('\ufffd')) continue;
    const name = collapse(shown);
    garbled.set(name, [...(garbled.get(name) ?? []), path]);
  }
  return garbled;
}

/** Go replaces each byte, Node each cut-off sequence: a run counts as one. */
function collapse(name: string): string {
  return name.replaceAll(/\ufffd+/g, '\ufffd');
}
