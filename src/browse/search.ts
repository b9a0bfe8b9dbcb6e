import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import type { Budget } from './budget.ts';
import { pathAt, type ChunkIndex } from './chunk-index.ts';
import { readCursor, writeCursor } from './cursors.ts';
import { fileRow, type FileRow } from './folder.ts';
import { isBefore, rangeOf, type OpenPoint, type Place } from './open-point.ts';

export interface FoundFolder {
  readonly kind: 'folder';
  readonly name: string;
  readonly path: string;
}

export type Found = FoundFolder | (FileRow & { readonly kind: 'file' });

export interface SearchPage {
  /** In the order of their paths. */
  readonly found: readonly Found[];
  /** Files looked at since the beginning of the search, and how many there are in the folder that is searched. */
  readonly searched: number;
  readonly total: number;
  /** Cursor that goes on where this page ended; null when everything was searched. */
  readonly next: string | null;
}

/**
 * Finds files and folders by a part of their name, whatever its case and however its accents are composed; a text with a slash is looked
 * for in whole paths. Goes through the names in their order until the page is full or the time is up.
 * @param folder '' searches the whole point
 * @throws BackupError `PATH_NOT_FOUND`, `INVALID_INPUT`, `ERR_MANIFEST_INVALID`
 */
export async function searchPoint(
  point: OpenPoint,
  text: string,
  query: {
    readonly folder: string;
    readonly cursor?: string | undefined;
    readonly limit: number;
    readonly budget: Budget;
  },
): Promise<SearchPage> {
  const { folder, cursor, limit, budget } = query;
  const needles = needlesOf(text);
  if (needles.length === 0) throw invalidFields([['query', 'must not be empty']]);
  const range = await rangeOf(point, folder);
  const total = point.ordinal(range.end) - point.ordinal(range.first);
  if (total === 0 && folder !== '') throw new BackupError('PATH_NOT_FOUND');
  const found: Found[] = [];
  let place = cursor === undefined ? range.first : await point.place(readCursor(cursor, 1)[0] ?? '', range.first);
  let previous = await pathBefore(point, place, range.first);
  const inFolder = folder === '' ? 0 : folder.length + 1;
  while (isBefore(place, range.end) && found.length < limit) {
    const index = await point.index(place.chunk);
    const stop = place.chunk === range.end.chunk ? range.end.at : index.count;
    const at = collect(index, { from: place.at, stop, needles, previous, inFolder }, found, limit);
    if (at > 0) previous = pathAt(index, at - 1);
    place = at < index.count ? { chunk: place.chunk, at } : { chunk: place.chunk + 1, at: 0 };
    if (budget.spent) break;
    await budget.breathe();
  }
  const next = isBefore(place, range.end) ? writeCursor([await point.pathAt(place)]) : null;
  return { found, searched: point.ordinal(place) - point.ordinal(range.first), total, next };
}

/** The path before a place, '' at the beginning of the range: a folder that it lies in was found before. */
async function pathBefore(point: OpenPoint, place: Place, first: Place): Promise<string> {
  if (!isBefore(first, place)) return '';
  if (place.at > 0) return pathAt(await point.index(place.chunk), place.at - 1);
  const index = await point.index(place.chunk - 1);
  return pathAt(index, index.count - 1);
}

interface Stretch {
  readonly from: number;
  readonly stop: number;
  readonly needles: readonly string[];
  /** The path before `from`. */
  readonly previous: string;
  /** Length of the path, with its slash, of the folder that is searched: its own name is not found. */
  readonly inFolder: number;
}

/** Adds what a stretch of a chunk holds, line by line. Returns the number of the entry to go on with. */
function collect(index: ChunkIndex, stretch: Stretch, found: Found[], limit: number): number {
  const { from, stop, needles } = stretch;
  const text = folded(index.text);
  let line = from;
  while (found.length < limit) {
    const hit = line < stop ? nextHit(text, needles, index.starts[line] ?? 0) : null;
    if (hit === null || hit.at >= (index.starts[stop] ?? 0)) return stop;
    line = lineOf(index, hit.at, line, stop);
    const before = line > from ? pathAt(index, line - 1) : stretch.previous;
    takeLine(index, line, { ...stretch, text, before }, found);
    line += 1;
  }
  return line;
}

/** The folders of one path whose names match, unless the path before lies in them too, and the file if its name matches. */
function takeLine(
  index: ChunkIndex,
  line: number,
  about: Stretch & { readonly text: string; readonly before: string },
  found: Found[],
): void {
  const path = pathAt(index, line);
  const start = index.starts[line] ?? 0;
  const name = about.text.slice(start, start + path.length);
  let from = about.inFolder;
  for (;;) {
    const hit = nextHit(name, about.needles, from);
    if (hit === null) return;
    const slash = path.indexOf('/', hit.at + hit.length - 1);
    if (slash < 0) {
      found.push({ kind: 'file', ...fileRow(index, line) });
      return;
    }
    if (!about.before.startsWith(path.slice(0, slash + 1))) found.push(foundFolder(path.slice(0, slash)));
    from = slash + 1;
  }
}

function foundFolder(path: string): FoundFolder {
  return { kind: 'folder', path, name: path.slice(path.lastIndexOf('/') + 1) };
}

function nextHit(text: string, needles: readonly string[], from: number): { at: number; length: number } | null {
  let first: { at: number; length: number } | null = null;
  for (const needle of needles) {
    const at = text.indexOf(needle, from);
    if (at >= 0 && (first === null || at < first.at)) first = { at, length: needle.length };
  }
  return first;
}

/** The entry whose path holds this position of the text. */
function lineOf(index: ChunkIndex, position: number, from: number, stop: number): number {
  let low = from;
  let high = stop - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((index.starts[middle] ?? 0) <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A name may have its accents composed or not, depending on the system that it comes from. */
function needlesOf(text: string): string[] {
  const needles = ['NFC', 'NFD'].map((form) => folded(text.normalize(form)));
  return [...new Set(needles)].filter((needle) => needle !== '');
}

/** Lower case without any change of length, so that positions stay what they are. */
export function folded(text: string): string {
  // İ is the one letter that becomes two; a sigma at the end of a word has a form of its own.
  const lower = text.replaceAll('İ', 'i').toLowerCase().replaceAll('ς', 'σ');
  if (lower.length === text.length) return lower;
  return Array.from(text, (letter) => {
    const small = letter.toLowerCase();
    return small.length === letter.length ? small : letter;
  }).join('');
}
