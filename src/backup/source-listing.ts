import { BackupError } from '../errors/backup-error.ts';
import type { BackupEngine, ListingOutcome, SourceFile } from '../engines/port.ts';
import { liesIn, type ListedFile } from '../layout/compare.ts';
import { isMtime } from '../layout/entries.ts';
import { isPath } from '../layout/encoding.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { FileProblem, FileProblemCode } from './ledger.ts';
import type { LineFormat } from './line-file.ts';
import { sortExternally } from './sorted-listing.ts';
import { SpillList, type Replayable, type SpillSpace } from './spill.ts';

/** The source as one listing showed it. */
export interface ListedSource {
  /** In the order of the bytes of their paths, each path once. */
  readonly files: Replayable<ListedFile>;
  readonly bytes: number;
  /** Every folder was read. */
  readonly complete: boolean;
  readonly unreadable: readonly string[];
  /** Whether a path that the listing lacks may still be at the source. */
  readonly isUnread: (path: string) => boolean;
  /** Names that were left out. */
  readonly skipped: readonly FileProblem[];
}

const FILE_LINES: LineFormat<ListedFile> = {
  write: ({ path, size, mtime, hash, dated }) =>
    JSON.stringify(dated === true ? [path, size, mtime, hash, true] : [path, size, mtime, hash]),
  read: (line) => {
    const [path, size, mtime, hash, dated] = JSON.parse(line) as [string, number, string, string | null, true?];
    return dated === true ? { path, size, mtime, hash, dated } : { path, size, mtime, hash };
  },
};

const SKIP_CODES = {
  symlink: 'SYMLINK',
  symlink_loop: 'SYMLINK_LOOP',
  special_file: 'SPECIAL_FILE',
  bad_name: 'BAD_NAME',
  unexportable: 'UNEXPORTABLE',
  duplicate: 'DUPLICATE_NAME',
  size_untold: 'SIZE_UNTOLD',
} as const satisfies Record<ListingOutcome['skipped'][number]['reason'], FileProblemCode>;

/** Where a time cannot be written as the format wants it (years beyond 9999), the file is dated here, the same each time. */
const NO_TIME = '1970-01-01T00:00:00Z';

/**
 * Lists the whole source once and sorts it outside of memory. `onProgress` hears how many files were seen.
 * @throws BackupError when nothing could be listed.
 */
export async function listSource(
  engine: BackupEngine,
  options: { signal: AbortSignal; space: SpillSpace; onProgress?: (files: number) => void },
): Promise<ListedSource> {
  const listing = engine.list({ signal: options.signal });
  // When `files` throws, nobody asks for the outcome any more.
  listing.outcome.catch(() => undefined);
  const bad: FileProblem[] = [];
  const sorted = await sortExternally(
    wellFormed(listing.files, bad, options.onProgress),
    (a, b) => compareUtf8(a.path, b.path),
    options.space,
    FILE_LINES,
  );
  const outcome = await listing.outcome;
  const { files, bytes, duplicates } = await distinct(sorted, options.space);
  const skipped = outcome.skipped.map(({ path, reason }) => skip(path, SKIP_CODES[reason]));
  return {
    files,
    bytes,
    complete: outcome.complete,
    unreadable: outcome.unreadable,
    isUnread: unread(outcome, bad),
    skipped: [...skipped, ...bad, ...duplicates],
  };
}

/** A listing that has gaps, but does not say where, may have them anywhere; a name that was left out may still be there. */
function unread(outcome: ListingOutcome, bad: readonly FileProblem[]): (path: string) => boolean {
  if (!outcome.complete && outcome.unreadable.length === 0) return () => true;
  const inFolder = liesIn(outcome.unreadable);
  // What looks like a folder that cannot be read may be a link to a file.
  const unreadable = new Set(outcome.unreadable);
  const leftOut = outcome.skipped
    .filter(({ reason }) => reason !== 'special_file' && reason !== 'symlink')
    .map(({ path }) => path);
  const names = new Set([...leftOut, ...bad.map(({ path }) => path)]);
  const inLeftOut = liesIn([...names]);
  return (path) => inFolder(path) || unreadable.has(path) || names.has(path) || inLeftOut(path);
}

async function* wellFormed(
  files: AsyncIterable<SourceFile>,
  bad: FileProblem[],
  onProgress: ((files: number) => void) | undefined,
): AsyncGenerator<ListedFile> {
  let seen = 0;
  for await (const file of files) {
    seen += 1;
    if (seen % 1_000 === 0) onProgress?.(seen);
    if (!isPath(file.path)) bad.push(skip(file.path, 'BAD_NAME'));
    else yield isMtime(file.mtime) ? file : { ...file, mtime: NO_TIME };
  }
}

/** Some sources hold two files of one name: the first is taken, the others are named in the report. */
async function distinct(
  sorted: Replayable<ListedFile>,
  space: SpillSpace,
): Promise<{ files: Replayable<ListedFile>; bytes: number; duplicates: FileProblem[] }> {
  const duplicates = new Set<string>();
  let bytes = 0;
  let last: string | null = null;
  for await (const file of sorted) {
    if (file.path === last) duplicates.add(file.path);
    else bytes += Math.max(file.size, 0);
    last = file.path;
  }
  if (duplicates.size === 0) return { files: sorted, bytes, duplicates: [] };
  const files = new SpillList<ListedFile>(space, FILE_LINES);
  last = null;
  for await (const file of sorted) {
    if (file.path !== last) await files.add(file);
    last = file.path;
  }
  await files.finish();
  return { files, bytes, duplicates: [...duplicates].map((path) => skip(path, 'DUPLICATE_NAME')) };
}

function skip(path: string, code: FileProblemCode): FileProblem {
  return { path, code, outcome: 'skipped' };
}

/** ERR_SOURCE_EMPTY, or why an empty listing says nothing. Called before anything is written. */
export function requireFiles(source: ListedSource, allowEmpty: boolean): void {
  if (source.files.count > 0) return;
  if (!source.complete) throw new BackupError('ERR_SOURCE_LISTING');
  if (!allowEmpty) throw new BackupError('ERR_SOURCE_EMPTY');
}
