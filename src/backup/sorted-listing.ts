import { heapHolds } from './heap.ts';
import { LineFile, jsonLines, type LineFormat } from './line-file.ts';
import { spillPath, type Replayable, type SpillSpace } from './spill.ts';

/**
 * Sorts what may not fit into memory: sorted runs of `memoryItems` are written to files and merged while reading. Small inputs
 * never touch the disk. The sort is stable.
 */
export async function sortExternally<T>(
  items: AsyncIterable<T>,
  compare: (a: T, b: T) => number,
  space: SpillSpace,
  format: LineFormat<T> = jsonLines<T>(),
): Promise<Replayable<T>> {
  const runs: LineFile<T>[] = [];
  let memory: T[] = [];
  let count = 0;
  for await (const item of items) {
    memory.push(item);
    count += 1;
    if (memory.length < space.memoryItems) continue;
    runs.push(await writeRun(memory.sort(compare), space, format));
    memory = [];
  }
  memory.sort(compare);
  const last = memory;
  return {
    count,
    [Symbol.asyncIterator]: () => (runs.length === 0 ? inMemory(last) : merge(runs, last, compare)),
  };
}

async function writeRun<T>(items: T[], space: SpillSpace, format: LineFormat<T>): Promise<LineFile<T>> {
  heapHolds(items.length);
  const file = new LineFile(spillPath(space), format);
  await file.append(items);
  return file;
}

async function* inMemory<T>(items: T[]): AsyncGenerator<T> {
  yield* items;
}

/** One sorted run while it is being merged: `head` is its next item. */
class Cursor<T> {
  readonly order: number;
  readonly #batches: AsyncIterator<T[]>;
  #batch: T[] = [];
  #at = 0;

  constructor(order: number, batches: AsyncIterator<T[]>) {
    this.order = order;
    this.#batches = batches;
  }

  get head(): T {
    return this.#batch[this.#at] as T;
  }

  /** Moves on without waiting; false: the batch is used up, `refill` has to be called. */
  step(): boolean {
    this.#at += 1;
    return this.#at < this.#batch.length;
  }

  async refill(): Promise<boolean> {
    const next = await this.#batches.next();
    if (next.done === true) return false;
    this.#batch = next.value;
    this.#at = 0;
    return this.#batch.length > 0 || (await this.refill());
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}

async function* merge<T>(runs: readonly LineFile<T>[], last: T[], compare: (a: T, b: T) => number): AsyncGenerator<T> {
  const sources = [...runs.map((run) => run.batches()), batchesOf(last)];
  const cursors = sources.map((source, order) => new Cursor(order, source));
  const before = (a: Cursor<T>, b: Cursor<T>): boolean => (compare(a.head, b.head) || a.order - b.order) < 0;
  const heap: Cursor<T>[] = [];
  try {
    for (const cursor of cursors) {
      if (await cursor.refill()) {
        heap.push(cursor);
        siftUp(heap, before);
      }
    }
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      yield top.head;
      if (!top.step() && !(await top.refill())) {
        const tail = heap.pop() as Cursor<T>;
        if (heap.length === 0) break;
        heap[0] = tail;
      }
      siftDown(heap, before);
    }
  } finally {
    for (const cursor of cursors) await cursor.close();
  }
}

async function* batchesOf<T>(items: T[]): AsyncGenerator<T[]> {
  if (items.length > 0) yield items;
}

function siftUp<T>(heap: T[], before: (a: T, b: T) => boolean): void {
  for (let at = heap.length - 1; at > 0;) {
    const parent = (at - 1) >> 1;
    if (!before(heap[at] as T, heap[parent] as T)) return;
    swap(heap, at, parent);
    at = parent;
  }
}

function siftDown<T>(heap: T[], before: (a: T, b: T) => boolean): void {
  for (let at = 0; ;) {
    let least = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && before(heap[child] as T, heap[least] as T)) least = child;
    }
    if (least === at) return;
    swap(heap, at, least);
    at = least;
  }
}

function swap<T>(heap: T[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b] as T, heap[a] as T];
}
