import { compareUtf8 } from '../layout/order.ts';
import type { Entry, EntryState } from '../layout/types.ts';
import type { Budget } from './budget.ts';
import { readCursor, writeCursor } from './cursors.ts';
import { isBefore, rangeOf, type OpenPoint, type Place } from './open-point.ts';
import { isSameContent } from './versions.ts';

export interface Side {
  readonly size: number;
  readonly mtime: string;
  readonly state: EntryState;
}

export interface Difference {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly path: string;
  readonly before: Side | null;
  readonly after: Side | null;
}

export interface ComparisonCounts {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** Of the files that were added, and of those that were removed. */
  readonly addedBytes: number;
  readonly removedBytes: number;
}

export interface Comparison {
  /** In the order of paths. */
  readonly differences: readonly Difference[];
  /** Of what was compared: of the whole comparison when there was no cursor and `counted` is true. */
  readonly counts: ComparisonCounts;
  /** All was compared; false when the time was up before. */
  readonly counted: boolean;
  readonly next: string | null;
}

/**
 * What is different in `after` against `before`. Chunks that both points share are not even read, so two points of a million files of which a
 * few changed are compared in no time. The first page (without cursor) goes on counting behind its last row until the time is up.
 * @throws BackupError `INVALID_INPUT` (cursor), `ERR_MANIFEST_INVALID`
 */
export async function comparePoints(
  before: OpenPoint,
  after: OpenPoint,
  query: {
    readonly folder: string;
    readonly cursor?: string | undefined;
    readonly limit: number;
    readonly budget: Budget;
  },
): Promise<Comparison> {
  const from = query.cursor === undefined ? null : (readCursor(query.cursor, 1)[0] ?? '');
  const [one, other] = await Promise.all([
    Walker.start(before, query.folder, from),
    Walker.start(after, query.folder, from),
  ]);
  const differences: Difference[] = [];
  const counts = { added: 0, removed: 0, changed: 0, addedBytes: 0, removedBytes: 0 };
  let next: string | null = null;
  // One step at least, however slow: else nobody would ever get further.
  for (let steps = 0; ; steps += 1) {
    skipShared(one, other);
    const [left, right] = await Promise.all([one.entry(), other.entry()]);
    if (left === null && right === null) return { differences, counts, counted: true, next };
    const order = left === null ? 1 : right === null ? -1 : compareUtf8(left.path, right.path);
    const path = (order <= 0 ? left : right)?.path ?? '';
    const onlyPage = query.cursor !== undefined && next !== null;
    if ((steps > 0 && query.budget.spent) || onlyPage)
      return { differences, counts, counted: false, next: next ?? writeCursor([path]) };
    const found = differenceOf(order <= 0 ? left : null, order >= 0 ? right : null);
    if (found !== null) {
      count(counts, found);
      if (differences.length < query.limit) differences.push(found);
      else next ??= writeCursor([path]);
    }
    if (order <= 0) one.advance();
    if (order >= 0) other.advance();
    await query.budget.breathe();
  }
}

/** Goes through the entries of one point from a place on, chunk by chunk. */
class Walker {
  readonly #point: OpenPoint;
  readonly #end: Place;
  #place: Place;
  #entries: { readonly chunk: number; readonly list: readonly Entry[] } | null = null;

  constructor(point: OpenPoint, place: Place, end: Place) {
    this.#point = point;
    this.#place = place;
    this.#end = end;
  }

  static async start(point: OpenPoint, folder: string, from: string | null): Promise<Walker> {
    const { first, end } = await rangeOf(point, folder);
    return new Walker(point, from === null ? first : await point.place(from, first), end);
  }

  /** The key of the chunk that begins here and lies in the range as a whole; null in the midst of one. */
  get wholeChunk(): string | null {
    const { chunk, at } = this.#place;
    if (at !== 0 || chunk >= this.#end.chunk) return null;
    return this.#point.manifest.chunks[chunk]?.key ?? null;
  }

  skipChunk(): void {
    this.#place = { chunk: this.#place.chunk + 1, at: 0 };
  }

  async entry(): Promise<Entry | null> {
    if (!isBefore(this.#place, this.#end)) return null;
    const { chunk, at } = this.#place;
    if (this.#entries?.chunk !== chunk) this.#entries = { chunk, list: await this.#point.entries(chunk) };
    return this.#entries.list[at] ?? null;
  }

  advance(): void {
    const { chunk, at } = this.#place;
    const length = this.#entries?.list.length ?? 0;
    this.#place = at + 1 < length ? { chunk, at: at + 1 } : { chunk: chunk + 1, at: 0 };
  }
}

function skipShared(one: Walker, other: Walker): void {
  while (one.wholeChunk !== null && one.wholeChunk === other.wholeChunk) {
    one.skipChunk();
    other.skipChunk();
  }
}

function differenceOf(before: Entry | null, after: Entry | null): Difference | null {
  if (before !== null && after !== null) {
    if (before.state === after.state && isSameContent(before, after)) return null;
    return { kind: 'changed', path: after.path, before: sideOf(before), after: sideOf(after) };
  }
  if (after !== null) return { kind: 'added', path: after.path, before: null, after: sideOf(after) };
  if (before !== null) return { kind: 'removed', path: before.path, before: sideOf(before), after: null };
  return null;
}

function count(counts: { -readonly [Name in keyof ComparisonCounts]: number }, found: Difference): void {
  counts[found.kind] += 1;
  if (found.kind === 'added') counts.addedBytes += found.after?.size ?? 0;
  if (found.kind === 'removed') counts.removedBytes += found.before?.size ?? 0;
}

function sideOf({ size, mtime, state }: Entry): Side {
  return { size, mtime, state };
}
