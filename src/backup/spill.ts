import { join } from 'node:path';
import { heapHolds } from './heap.ts';
import { LineFile, jsonLines, type LineFormat } from './line-file.ts';

/** Where and how much: `folder` is private to the run and removed after it. */
export interface SpillSpace {
  readonly folder: string;
  /** Items of one list that stay in memory; more go to a file. */
  readonly memoryItems: number;
}

/** Items that can be read any number of times. */
export interface Replayable<T> extends AsyncIterable<T> {
  readonly count: number;
}

let files = 0;

/** A name that is unique in this process. */
export function spillPath(space: SpillSpace): string {
  files += 1;
  return join(space.folder, `spill-${files}`);
}

/** A list that is written once and read often, in memory as long as it is small. */
export class SpillList<T> implements Replayable<T> {
  readonly #space: SpillSpace;
  readonly #format: LineFormat<T>;
  #memory: T[] = [];
  #file: LineFile<T> | null = null;
  #count = 0;

  constructor(space: SpillSpace, format: LineFormat<T> = jsonLines<T>()) {
    this.#space = space;
    this.#format = format;
  }

  get count(): number {
    return this.#count;
  }

  /** A promise only when there is something to wait for: lists of a hundred thousand items are filled one by one. */
  add(item: T): Promise<void> | undefined {
    this.#count += 1;
    return this.#memory.push(item) >= this.#space.memoryItems ? this.#spill() : undefined;
  }

  /** To be called once, after the last item. */
  async finish(): Promise<void> {
    if (this.#file !== null) await this.#spill();
  }

  async #spill(): Promise<void> {
    heapHolds(this.#memory.length);
    this.#file ??= new LineFile(spillPath(this.#space), this.#format);
    await this.#file.append(this.#memory);
    this.#memory = [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    if (this.#file !== null) for await (const batch of this.#file.batches()) yield* batch;
    yield* this.#memory;
  }
}
