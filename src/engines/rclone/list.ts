import { unlink } from 'node:fs/promises';
import { BackupError } from '../../errors/backup-error.ts';
import { pathOfRcloneName } from '../../layout/encoding.ts';
import { DEEPEST_FOLDER, endlessListing, MOST_ENTRIES } from '../../sources/endless.ts';
import type { ListingNotice, RemoteDefinition, RemoteOrigin } from '../../sources/registry.ts';
import type { ListingOutcome, SourceFile, SourceListing } from '../port.ts';
import { notEmpty, type RemoteCall } from './empty-files.ts';
import { FailureLog, type Failure } from './failures.ts';
import { byteLinesOf, readLog, type LogLine } from './log.ts';
import { callError, rcloneCommand, startRclone, writeFileList } from './process.ts';
import { sourceRemote } from './remotes.ts';

/** A folder that fails alone is named; so many that fail because of the connection are a listing that failed. */
const BROKEN_FOLDERS = 10;
/** Ended when not a line comes for so long: longer than rclone's own patience, and than the largest folder takes. */
const STALL_MS = 30 * 60_000;
/** Files of one call that looks at named ones. */
const LOOKS_A_CALL = 20_000;
/** From this share of all files on, listing everything is faster than asking for each. */
const DENSE = 1 / 4;

/**
 * Lists a whole source by `rclone lsf`, whose lines hold names as bytes (the JSON of `lsjson` replaces those that are no text). Its exit
 * code is looked at before anything is believed: a folder that could not be read is named in the outcome, every other failure is thrown.
 */
export function listRemote(call: RemoteCall): SourceListing {
  let settle: (outcome: ListingOutcome) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const outcome = new Promise<ListingOutcome>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  outcome.catch(() => undefined);
  async function* files(): AsyncGenerator<SourceFile> {
    try {
      const leftOut = remoteOrigin(call.definition).leftOut?.(call.signal) ?? Promise.resolve([]);
      leftOut.catch(() => undefined);
      const zero: SourceFile[] = [];
      const { zeroIsDoubtful = false } = remoteOrigin(call.definition);
      const listing = lines(call, ['--recursive']);
      let next = await listing.next();
      for (; next.done !== true; next = await listing.next()) {
        if (zeroIsDoubtful && next.value.size === 0) zero.push(next.value);
        else yield next.value;
      }
      const doubtful = await notEmpty(
        call,
        zero.map(({ path }) => path),
      );
      for (const file of zero) if (!doubtful.has(file.path)) yield file;
      const untold = [...doubtful].map((path) => ({ path, reason: 'size_untold' as const }));
      settle({ ...next.value, skipped: [...next.value.skipped, ...untold, ...(await leftOut)] });
    } catch (error) {
      fail(error);
      throw error;
    }
  }
  return { files: files(), outcome };
}

/**
 * What the source says of these files now, in the very form of its listing; missing ones are absent.
 * @param total how many files the source holds, as far as it is known
 * @param certain somebody writes over what is not there: BackupError `ERR_SOURCE_LISTING` where a file's folder could not be read, instead
 *   of a file that is absent
 */
export async function lookRemote(
  call: RemoteCall,
  paths: readonly string[],
  { total, certain = false }: { total: number | null; certain?: boolean },
): Promise<Map<string, SourceFile>> {
  if (total !== null && paths.length > 1_000 && paths.length > total * DENSE)
    return await lookAtAll(call, paths, certain);
  const found = new Map<string, SourceFile>();
  for (let start = 0; start < paths.length; start += LOOKS_A_CALL) {
    const list = await writeFileList(call.folder, paths.slice(start, start + LOOKS_A_CALL));
    try {
      const listing = lines(call, ['--recursive', '--files-from-raw', list.file, '--no-traverse']);
      for await (const file of listing) found.set(file.path, file);
    } catch (error) {
      call.signal.throwIfAborted();
      // One file that may not be looked at ends such a call; a listing only leaves it out.
      if (error instanceof LookRefused) return await lookAtAll(call, paths, certain);
      throw error;
    } finally {
      await unlink(list.file).catch(() => undefined);
    }
  }
  return found;
}

async function lookAtAll(
  call: RemoteCall,
  paths: readonly string[],
  certain: boolean,
): Promise<Map<string, SourceFile>> {
  const wanted = new Set(paths);
  const found = new Map<string, SourceFile>();
  const listing = lines(call, ['--recursive']);
  let next = await listing.next();
  for (; next.done !== true; next = await listing.next())
    if (wanted.has(next.value.path)) found.set(next.value.path, next.value);
  const { unreadable, complete } = next.value;
  const unseen = (path: string): boolean =>
    !found.has(path) && (unreadable.length === 0 ? !complete : unreadable.some((folder) => liesIn(path, folder)));
  if (certain && paths.some(unseen)) throw new BackupError('ERR_SOURCE_LISTING');
  return found;
}

function liesIn(path: string, folder: string): boolean {
  return folder === '' || path.startsWith(`${folder}/`);
}

/** A call failed because of what it was asked for, not because of the connection. */
class LookRefused extends BackupError {}

/** Files as the lines of one call tell them; returns what the log told of it. */
async function* lines(call: RemoteCall, selection: readonly string[]): AsyncGenerator<SourceFile, ListingOutcome> {
  const { binary, definition, hostKey = null, folder, signal, mostEntries = MOST_ENTRIES } = call;
  const { md5, dated = false, listFlags = [] } = remoteOrigin(definition);
  const remote = sourceRemote('SRC', definition, { hostKey });
  const command = rcloneCommand(
    [
      ...['lsf', remote.at(''), ...selection, '--separator', SEPARATOR, '--time-format', TIME_FORMAT],
      ...(md5 ? ['--format', 'hstp', '--hash', 'MD5'] : ['--format', 'stp']),
      ...listFlags,
    ],
    [remote],
  );
  const child = startRclone(binary, command, { folder, signal });
  const log = new ListingLog(definition);
  const silence = setTimeout(() => child.kill(), STALL_MS);
  const logged = (async () => {
    for await (const line of readLog(child.stderr)) {
      silence.refresh();
      log.take(line);
    }
  })();
  let ended = false;
  let entries = 0;
  try {
    for await (const line of byteLinesOf(child.stdout)) {
      silence.refresh();
      entries += 1;
      if (entries > mostEntries) throw endlessListing();
      const file = readLine(line, md5);
      if (file === null) continue;
      if (depthOf(file.path) >= DEEPEST_FOLDER) throw endlessListing();
      yield dated && file.size < 0 ? { ...file, dated } : file;
    }
    await logged;
    const end = await child.ended;
    ended = true;
    signal.throwIfAborted();
    if (end.reason === 'stopped') throw new BackupError('ERR_NETWORK', 'Nothing came any more.');
    return log.outcome(log.failures.verdict(end, null));
  } finally {
    clearTimeout(silence);
    if (!ended) child.kill();
    await logged.catch(() => undefined);
  }
}

/** Cannot stand in a name: control characters are replaced in rclone's own spelling. */
const SEPARATOR = '\t';
/** Go's way to write RFC 3339 with as many digits as there are; in UTC, because of the child's `TZ`. */
const TIME_FORMAT = '2006-01-02T15:04:05.999999999Z07:00';
const TAB = 0x09;
const SLASH = 0x2f;

function depthOf(path: string): number {
  let depth = 1;
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) depth += 1;
  return depth;
}

/** Null for a folder, whose name ends in a slash. */
function readLine(line: Buffer, md5: boolean): SourceFile | null {
  const fields: string[] = [];
  let start = 0;
  for (let left = md5 ? 3 : 2; left > 0; left -= 1) {
    const end = line.indexOf(TAB, start);
    if (end === -1) return null;
    fields.push(line.toString('latin1', start, end));
    start = end + 1;
  }
  if (line[line.length - 1] === SLASH) return null;
  const hash = md5 ? (fields.shift() ?? '') : '';
  const [size = '-1', mtime = ''] = fields;
  return {
    path: pathOfRcloneName(line.subarray(start)),
    size: Number(size),
    mtime,
    hash: /^[0-9a-f]{32}$/.test(hash) ? `md5:${hash}` : null,
  };
}

/** What the log of a listing says went wrong, by folder and as a whole. */
class ListingLog {
  readonly failures: FailureLog;
  readonly #notice: NonNullable<RemoteOrigin['notice']>;
  readonly #unreadable = new Map<string, Failure>();
  readonly #notices: ListingNotice[] = [];
  #explained = true;

  constructor(definition: RemoteDefinition) {
    this.failures = new FailureLog({ SRC: definition.side, DST: definition.side });
    this.#notice = remoteOrigin(definition).notice ?? (() => null);
  }

  take(line: LogLine): void {
    const notice = this.#notice(line);
    if (notice !== null) {
      this.#notices.push(notice);
      return;
    }
    const failure = this.failures.take(line);
    if (failure === null) return;
    const folder = line.message.startsWith('error listing: ') ? line.object : null;
    if (folder === null || folder === '') this.#explained = false;
    else this.#unreadable.set(folderOf(folder), failure);
  }

  /** @throws BackupError when the listing is good for nothing */
  outcome(verdict: Failure | null): ListingOutcome {
    if (this.#notices.some(({ type }) => type === 'failed')) throw new BackupError('ERR_SOURCE_LISTING');
    if (verdict !== null) {
      const named = [...this.#unreadable.values()];
      const broken = named.length > BROKEN_FOLDERS && named.every(({ whole }) => whole);
      if (!this.#explained || named.length === 0 || broken) throw refusal(verdict);
    }
    const incomplete = this.#notices.flatMap((notice) => (notice.type === 'incomplete' ? [notice.path] : []));
    const unreadable = [...new Set([...this.#unreadable.keys(), ...incomplete])];
    const skipped = this.#notices.flatMap((notice) =>
      notice.type === 'skipped' ? [{ path: notice.path, reason: notice.reason }] : [],
    );
    return { complete: unreadable.length === 0, unreadable, skipped };
  }
}

function refusal({ whole, ...failure }: Failure): BackupError {
  const code = failure.code === 'ERR_TRANSFER' ? 'ERR_SOURCE_LISTING' : failure.code;
  return whole
    ? callError({ ...failure, code })
    : new LookRefused(code, undefined, { cause: new Error(failure.message) });
}

/** The log shows no bytes that are not text: then the first folder above whose name is known. */
function folderOf(object: string): string {
  const segments = object.split('/');
  const garbled = segments.findIndex((segment) => segment.includes('\ufffd'));
  const known = garbled === -1 ? segments : segments.slice(0, garbled);
  return pathOfRcloneName(Buffer.from(known.join('/')));
}

function remoteOrigin({ origin }: RemoteDefinition): RemoteOrigin {
  if (origin.kind !== 'remote') throw new BackupError('ERR_INTERNAL', 'This source is listed by its own protocol.');
  return origin;
}
