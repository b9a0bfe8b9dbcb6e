import { BackupError } from '../../errors/backup-error.ts';
import type { ListingOutcome, SourceFile, SourceListing } from '../port.ts';
import { linesOf } from './log.ts';
import { callError, endOf, ErrorLog, readLog, startRclone, type RcloneBinary } from './process.ts';
import type { Remote } from './remotes.ts';

export interface ListRequest {
  readonly binary: RcloneBinary;
  readonly remote: Remote;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly flags: readonly string[];
  /** What "not found" means here: a store without folders knows only missing buckets. */
  readonly missing: 'ERR_SOURCE_NOT_FOUND' | 'ERR_S3_BUCKET_NOT_FOUND';
}

/** A server that does not answer is told soon: the run is tried again by itself, later. */
const PATIENCE = ['--low-level-retries', '3', '--contimeout', '20s'];

/**
 * `lsjson -R`, streamed: one line a file, whatever the size of the source. A folder that cannot be read is named in the outcome; a listing that failed
 * otherwise throws, also when files have been handed out already, so it never looks like a short one.
 */
export function listRemote(request: ListRequest): SourceListing {
  let settle: (outcome: ListingOutcome) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const outcome = new Promise<ListingOutcome>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  outcome.catch(() => undefined);
  return { files: read(request, settle, fail), outcome };
}

async function* read(
  request: ListRequest,
  settle: (outcome: ListingOutcome) => void,
  fail: (error: unknown) => void,
): AsyncIterable<SourceFile> {
  const { binary, remote, cwd, signal, flags } = request;
  signal.throwIfAborted();
  const child = startRclone(
    binary,
    ['lsjson', remote.at(''), '-R', '--files-only', '--no-mimetype', ...PATIENCE, '--log-level', 'NOTICE', ...flags],
    [remote],
    { cwd },
  );
  const stop = (): void => void child.stop(2_000);
  signal.addEventListener('abort', stop, { once: true });
  const errors = new ErrorLog();
  const unreadable: string[] = [];
  const logged = readLog(child, (line) => {
    const error = errors.take(line);
    if (error !== null && line.message.startsWith('error listing'))
      unreadable.push(isRoot(error.path) ? '' : error.path);
  });
  try {
    for await (const line of linesOf(child.stdout)) {
      const file = readFile(line);
      if (file !== null) yield file;
    }
    await logged;
    const end = endOf(await child.ended, errors);
    signal.throwIfAborted();
    const gaps = unreadable.filter((folder) => folder !== '');
    // Single folders that could not be read are told; anything else that went wrong makes the whole listing worthless.
    if (end !== null && (gaps.length === 0 || gaps.length < unreadable.length))
      throw listingError(end, request.missing);
    settle({ complete: end === null && gaps.length === 0, unreadable: gaps, skipped: [] });
  } catch (error) {
    fail(error);
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    await child.stop(500);
  }
}

function listingError(end: Parameters<typeof callError>[0], missing: ListRequest['missing']): BackupError {
  if (end.code === 'ERR_SOURCE_NOT_FOUND') return callError({ ...end, code: missing });
  return callError(end.code === 'ERR_TRANSFER' ? { ...end, code: 'ERR_SOURCE_LISTING' } : end);
}

/** Errors about the root name it by what it is, not by a path. */
function isRoot(object: string): boolean {
  return object === '' || /^(S3 (bucket|root)|sftp:\/\/|Local file system at )/.test(object);
}

interface ListedLine {
  readonly Path: string;
  readonly Size: number;
  readonly ModTime: string;
  readonly Hashes?: { readonly md5?: string };
}

function readFile(line: string): SourceFile | null {
  if (!line.startsWith('{')) return null;
  const entry = JSON.parse(line.endsWith(',') ? line.slice(0, -1) : line) as ListedLine;
  const md5 = entry.Hashes?.md5;
  return { path: entry.Path, size: entry.Size, mtime: utc(entry.ModTime), hash: md5 ? `md5:${md5}` : null };
}

/** rclone runs with TZ=UTC, so its times end in Z; trailing zeros of the fraction go. */
function utc(time: string): string {
  const plain = time.endsWith('Z') ? time : new Date(time).toISOString();
  return plain.replace(/(\.\d*?)0+Z$/, '$1Z').replace('.Z', 'Z');
}
