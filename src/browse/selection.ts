import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import { isPath } from '../layout/encoding.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { Entry } from '../layout/types.ts';
import { isBefore, rangeOf, type OpenPoint, type Place } from './open-point.ts';

/**
 * Paths of files and folders as somebody chose them, in order, each once, and without those that lie in another one. An empty path, or none
 * at all, is everything: [''].
 * @throws BackupError `INVALID_INPUT`
 */
export function normaliseSelection(paths: readonly string[]): string[] {
  const bare = [...new Set(paths.map((path) => path.replace(/^\/+|\/+$/g, '')))].sort(compareUtf8);
  if (bare.length === 0 || bare.includes('')) return [''];
  for (const path of bare) {
    if (!isPath(path)) throw invalidFields([['paths', 'must be files or folders of the restore point']]);
  }
  const chosen = new Set(bare);
  return bare.filter((path) => !foldersAbove(path).some((folder) => chosen.has(folder)));
}

function foldersAbove(path: string): string[] {
  const names = path.split('/');
  return names.slice(1).map((_, i) => names.slice(0, i + 1).join('/'));
}

/** How many entries a selection holds. @throws BackupError `PATH_NOT_FOUND` when one of its paths is not in the point */
export async function countSelected(point: OpenPoint, selection: readonly string[]): Promise<number> {
  let count = 0;
  for (const path of selection) {
    const before = count;
    for (const { first, end } of await rangesOf(point, path)) count += point.ordinal(end) - point.ordinal(first);
    if (count === before && path !== '') throw new BackupError('PATH_NOT_FOUND', undefined, { details: { path } });
  }
  return count;
}

/** The entries of a selection, in the order of its paths. */
export async function* selectedEntries(point: OpenPoint, selection: readonly string[]): AsyncGenerator<Entry> {
  for (const path of selection) {
    for (const { first, end } of await rangesOf(point, path)) yield* entriesBetween(point, first, end);
  }
}

async function* entriesBetween(point: OpenPoint, first: Place, end: Place): AsyncGenerator<Entry> {
  for (let place = first; isBefore(place, end); place = { chunk: place.chunk + 1, at: 0 }) {
    const entries = await point.entries(place.chunk);
    yield* entries.slice(place.at, place.chunk === end.chunk ? end.at : entries.length);
  }
}

/** A file of exactly this path, and everything below the folder of this path: stores that know no folders may hold both. */
async function rangesOf(point: OpenPoint, path: string): Promise<{ first: Place; end: Place }[]> {
  const below = await rangeOf(point, path);
  if (path === '') return [below];
  const file = await point.place(path);
  const isThere = isBefore(file, point.end) && (await point.pathAt(file)) === path;
  return isThere ? [{ first: file, end: behind(point, file) }, below] : [below];
}

function behind(point: OpenPoint, place: Place): Place {
  const entries = point.manifest.chunks[place.chunk]?.entries ?? 0;
  return place.at + 1 < entries ? { chunk: place.chunk, at: place.at + 1 } : { chunk: place.chunk + 1, at: 0 };
}
