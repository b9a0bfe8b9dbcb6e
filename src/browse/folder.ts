import { BackupError } from '../errors/backup-error.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { EntryState } from '../layout/types.ts';
import type { Budget } from './budget.ts';
import { isDirectly, pathAt, stateAt, type ChunkIndex } from './chunk-index.ts';
import { badCursor, readCursor, writeCursor } from './cursors.ts';
import { isBefore, rangeOf, type OpenPoint, type Place } from './open-point.ts';

export interface FolderRow {
  readonly name: string;
  readonly path: string;
  /** Files in it and below. */
  readonly files: number;
}

export interface FileRow {
  readonly name: string;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Epoch milliseconds. */
  readonly mtime: number;
  readonly state: EntryState;
}

export interface FolderPage {
  readonly folders: readonly FolderRow[];
  readonly files: readonly FileRow[];
  /** Files in the folder and below. */
  readonly total: number;
  /** Cursor of the next page, null at the end. A page may be short, even empty, with more to come: the time was up. */
  readonly next: string | null;
}

type Phase = 'folders' | 'files';

/**
 * One page of a folder of a point: its folders first, then its files, both by the bytes of their names. What lies deeper is jumped over, and
 * a page needs the same memory in a folder of ten entries as in one of a million.
 * @param folder path without slashes at its ends; '' is the top
 * @throws BackupError `PATH_NOT_FOUND`, `INVALID_INPUT` (cursor), `ERR_MANIFEST_INVALID`
 */
export async function openFolder(
  point: OpenPoint,
  folder: string,
  query: { readonly cursor?: string | undefined; readonly limit: number; readonly budget: Budget },
): Promise<FolderPage> {
  const range = await rangeOf(point, folder);
  const total = point.ordinal(range.end) - point.ordinal(range.first);
  if (total === 0 && folder !== '') throw new BackupError('PATH_NOT_FOUND');
  const walk = new FolderWalk(point, folder === '' ? '' : `${folder}/`, range);
  const next = await walk.read(query);
  return { folders: walk.folders, files: walk.files, total, next };
}

class FolderWalk {
  readonly folders: FolderRow[] = [];
  readonly files: FileRow[] = [];
  readonly #point: OpenPoint;
  readonly #prefix: string;
  readonly #range: { readonly first: Place; readonly end: Place };

  constructor(point: OpenPoint, prefix: string, range: { first: Place; end: Place }) {
    this.#point = point;
    this.#prefix = prefix;
    this.#range = range;
  }

  async read(query: Parameters<typeof openFolder>[2]): Promise<string | null> {
    const { limit, budget } = query;
    let { phase, place } = await this.#start(query.cursor);
    // One step at least, however slow: else nobody would ever get further.
    for (let steps = 0; ; steps += 1) {
      if (!isBefore(place, this.#range.end)) {
        if (phase === 'files') return null;
        phase = 'files';
        place = this.#range.first;
      } else if (this.folders.length + this.files.length >= limit || (steps > 1 && budget.spent)) {
        return writeCursor([phase, await this.#point.pathAt(place)]);
      } else {
        place = await (phase === 'folders' ? this.#nextFolder(place) : this.#nextFile(place));
        await budget.breathe();
      }
    }
  }

  async #start(cursor: string | undefined): Promise<{ phase: Phase; place: Place }> {
    if (cursor === undefined) return { phase: 'folders', place: this.#range.first };
    const [phase, from = ''] = readCursor(cursor, 2);
    if ((phase !== 'folders' && phase !== 'files') || compareUtf8(from, this.#prefix) < 0) throw badCursor();
    return { phase, place: await this.#point.place(from, this.#range.first) };
  }

  /** Takes the next folder, if there is one in this chunk. Resolves to the place behind what was looked at. */
  async #nextFolder(place: Place): Promise<Place> {
    const index = await this.#point.index(place.chunk);
    const stop = this.#stopIn(place.chunk, index);
    let at = place.at;
    while (at < stop && isDirectly(index, at, this.#prefix.length)) at += 1;
    if (at === stop) return { chunk: place.chunk + 1, at: 0 };
    const path = this.#childOf(pathAt(index, at));
    const here = { chunk: place.chunk, at };
    const behind = await this.#point.place(`${path}0`, here);
    const files = this.#point.ordinal(behind) - this.#point.ordinal(here);
    this.folders.push({ path, name: path.slice(this.#prefix.length), files });
    return behind;
  }

  async #nextFile(place: Place): Promise<Place> {
    const index = await this.#point.index(place.chunk);
    const { chunk, at } = place;
    const path = pathAt(index, at);
    if (!isDirectly(index, at, this.#prefix.length)) return await this.#point.place(`${this.#childOf(path)}0`, place);
    this.files.push(fileRow(index, at));
    return at + 1 < index.count ? { chunk, at: at + 1 } : { chunk: chunk + 1, at: 0 };
  }

  #stopIn(chunk: number, index: ChunkIndex): number {
    return chunk === this.#range.end.chunk ? this.#range.end.at : index.count;
  }

  /** The path of the folder, directly below this one, in which a file lies. */
  #childOf(path: string): string {
    return path.slice(0, path.indexOf('/', this.#prefix.length));
  }
}

export function fileRow(index: ChunkIndex, at: number): FileRow {
  const path = pathAt(index, at);
  return {
    path,
    name: path.slice(path.lastIndexOf('/') + 1),
    size: index.sizes[at] ?? 0,
    mtime: index.mtimes[at] ?? 0,
    state: stateAt(index, at),
  };
}
