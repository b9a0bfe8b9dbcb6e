import { compareUtf8 } from './order.ts';
import type { Entry } from './types.ts';

/** A file as the source's listing shows it. `size` is -1 where the source does not know it. */
export interface ListedFile {
  readonly path: string;
  readonly size: number;
  readonly mtime: string;
  readonly hash: string | null;
  /** The time moves with every change of the content: it decides where the size is not known. */
  readonly dated?: boolean;
}

/**
 * What becomes of one path. `copy` without a base is a new file, with one a changed file (or one whose last version was carried or
 * failed). Copies whose hash is that of a stored entry become "moved" in a second look at the base (`isMoveOf`).
 */
export type Decision =
  | { readonly kind: 'unchanged'; readonly entry: Entry }
  | { readonly kind: 'copy'; readonly file: ListedFile; readonly base: Entry | null }
  | { readonly kind: 'carried'; readonly base: Entry }
  | { readonly kind: 'deleted'; readonly base: Entry };

/**
 * Merges the source's files with the base's entries, both in the order of their paths' bytes, each path once. A path that the
 * listing lacks because its folder could not be read (`isUnread`) is carried, not deleted.
 */
export async function* compare(
  files: AsyncIterable<ListedFile>,
  entries: AsyncIterable<Entry>,
  isUnread: (path: string) => boolean,
): AsyncGenerator<Decision> {
  const base = entries[Symbol.asyncIterator]();
  const missing = (entry: Entry): Decision => ({ kind: isUnread(entry.path) ? 'carried' : 'deleted', base: entry });
  try {
    let next = await base.next();
    for await (const file of files) {
      let order = next.done === true ? 1 : compareUtf8(next.value.path, file.path);
      while (next.done !== true && order < 0) {
        yield missing(next.value);
        next = await base.next();
        order = next.done === true ? 1 : compareUtf8(next.value.path, file.path);
      }
      if (next.done !== true && order === 0) {
        yield decide(file, next.value);
        next = await base.next();
      } else {
        yield { kind: 'copy', file, base: null };
      }
    }
    for (; next.done !== true; next = await base.next()) yield missing(next.value);
  } finally {
    await base.return?.();
  }
}

function decide(file: ListedFile, base: Entry): Decision {
  return isUnchanged(file, base)
    ? { kind: 'unchanged', entry: file.mtime === base.mtime ? base : { ...base, mtime: file.mtime } }
    : { kind: 'copy', file, base };
}

/**
 * Where both hashes are known they decide; else size and time; of a file whose size the source does not know, the time alone if it can be
 * relied on, and otherwise it has changed. A carried or failed entry is never unchanged: what it stands for is
 * not what the source held.
 */
export function isUnchanged(file: ListedFile, base: Entry): boolean {
  if (base.state !== 'stored') return false;
  if (file.size < 0) return file.dated === true && sameTime(file.mtime, base.mtime);
  if (file.size !== base.size) return false;
  if (file.hash !== null && base.hash !== null) return file.hash === base.hash;
  return sameTime(file.mtime, base.mtime);
}

/** Whether the object of a stored entry is this very content, so that the file needs no copy of its own. */
export function isMoveOf(file: ListedFile, entry: Entry): boolean {
  return entry.state === 'stored' && file.hash !== null && file.hash === entry.hash && file.size === entry.size;
}

/** Equal instants, whatever zeros their fractions end with. */
export function sameTime(a: string, b: string): boolean {
  return a === b || withoutZeros(a) === withoutZeros(b);
}

function withoutZeros(time: string): string {
  return time.replace(/(\.\d*?)0*Z$/, '$1Z').replace('.Z', 'Z');
}

/** For `compare`: whether a path lies in one of these folders ('' is the root). */
export function liesIn(folders: readonly string[]): (path: string) => boolean {
  const known = new Set(folders);
  if (known.has('')) return () => true;
  if (known.size === 0) return () => false;
  return (path) => {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      if (known.has(path.slice(0, slash))) return true;
    }
    return false;
  };
}

/** What a claim knows of one file that it meant to copy, after the copy. */
export interface CopyEvidence {
  /** What the listing said, before. */
  readonly file: ListedFile;
  /** What the source said of it afterwards; null: it is gone. */
  readonly again: ListedFile | null;
  /** What lies in the claim's folder; null: nothing. `hash` null: the store tells none. */
  readonly arrived: { readonly size: number; readonly hash: string | null } | null;
}

export type CopyVerdict = 'stored' | 'changed_meanwhile' | 'vanished' | 'not_arrived';

/** Whether what arrived is what the source held, from before the copy until after it. */
export function judgeCopy({ file, again, arrived }: CopyEvidence): CopyVerdict {
  if (again === null) return 'vanished';
  if (!sameListing(file, again)) return 'changed_meanwhile';
  if (arrived === null) return 'not_arrived';
  if (file.size >= 0 && arrived.size !== file.size) return 'not_arrived';
  if (file.hash !== null && arrived.hash !== null && arrived.hash !== file.hash) return 'not_arrived';
  return 'stored';
}

function sameListing(before: ListedFile, after: ListedFile): boolean {
  if (before.size !== after.size || !sameTime(before.mtime, after.mtime)) return false;
  return before.hash === null || after.hash === null || before.hash === after.hash;
}
